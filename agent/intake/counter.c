/*
 * The history, and where a counter of a record (x) is placed in it:
 *
 *   made            oldest                            newest
 *    |                |        |     |    |  |  |  |  |  |
 *    +--- x ----------+----------------------- x --------+      x beyond: both are read once more,
 *      the ring's own pair,        between two readings         and it lies between the last two
 *      if the rate agrees
 *
 * When the history is full, a reading is dropped where the others are nearest for its age: the last
 * moments are remembered to ten milliseconds, a minute ago to two seconds, and all of it somehow.
 */
#include "agent/intake/counter.h"

#include "shim/wire.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define START_NS      200000 /* between the first two readings: the rate to some 500 millionths */
#define STARTS	      4u
#define RATE_KNOWN_NS 100000u
#define ASK_AGAIN_NS  10000000000u

/* Between the two looks at the clock of a reading that nobody came into are some 50 ns; the least that was
 * ever seen tells how many, and twice as many are as good. A clock may be coarser. The first of a few
 * attempts that is as narrow is taken, else the narrowest. */
#define NARROW_LEAST_NS 100u
#define ATTEMPTS	8u

/* How far a span may be off what the rate says. The kernel steers its clock by 500 millionths usually
 * and by a tenth when told to (adjtimex(2), chrony's maxslewrate), the latter not for long. Plus what
 * one reading may be off. */
#define STEERED_BRIEFLY 0.15
#define STEERED_LONG	0.001
#define STEERED_NS	150e6
#define READING_NS	10e3

static bool agrees(const struct counter_clock *c, struct counter_pair from, struct counter_pair to)
{
	double want = (double)(to.counter - from.counter) * c->rate;
	double got = (double)(to.mono_ns - from.mono_ns);
	double off = got < want ? want - got : got - want;
	double brief = STEERED_BRIEFLY * want, lasting = STEERED_NS + STEERED_LONG * want;
	return off <= READING_NS + (brief < lasting ? brief : lasting);
}

static struct counter_pair *newest(struct counter_clock *c)
{
	return &c->at[c->count - 1];
}

/* Drops the reading that is missed least: with the least between its neighbours, for its age. */
static void drop_one(struct counter_clock *c, uint64_t now_ns)
{
	size_t least = 1;
	double least_gap = 1e18, least_age = 1;
	for (size_t i = 1; i + 1 < c->count; i++) {
		double gap = (double)(c->at[i + 1].mono_ns - c->at[i - 1].mono_ns);
		double age = (double)(now_ns - c->at[i].mono_ns);
		if (gap * least_age >= least_gap * age)
			continue;
		least = i;
		least_gap = gap;
		least_age = age;
	}
	c->count--;
	memmove(&c->at[least], &c->at[least + 1], (c->count - least) * sizeof(*c->at));
	c->piece = 0;
}

static uint64_t narrow_ns(const struct counter_clock *c)
{
	return 2 * c->narrowest_ns > NARROW_LEAST_NS ? 2 * c->narrowest_ns : NARROW_LEAST_NS;
}

/* What is off at both ends together is half a hundredth of it at most, and less the longer it lasts. */
static void tell_rate(struct counter_clock *c, struct counter_pair p)
{
	uint64_t ns = p.mono_ns - c->base.mono_ns;
	if (c->base_off_ns > narrow_ns(c) / 2 && c->base_off_ns > 2 * c->newest_off_ns) {
		c->base = p;
		c->base_off_ns = c->newest_off_ns;
	} else if (ns >= RATE_KNOWN_NS && c->base_off_ns + c->newest_off_ns <= ns / 200) {
		c->rate = (double)ns / (double)(p.counter - c->base.counter);
	}
}

static void remember(struct counter_clock *c, struct counter_pair p, uint64_t off_ns)
{
	/* The newest is replaced while it is no further from the one before than neighbours are, and by one
	 * that is much better. */
	bool near = c->count > 1 && newest(c)->mono_ns - newest(c)[-1].mono_ns < COUNTER_SPACING_NS;
	if (c->count && (near || c->newest_off_ns > 2 * off_ns))
		c->count--;
	if (c->count == COUNTER_PAIRS)
		drop_one(c, p.mono_ns);
	c->at[c->count++] = p;
	c->newest_off_ns = off_ns;
	tell_rate(c, p);
}

static void begin_anew(struct counter_clock *c, struct counter_pair p, uint64_t off_ns)
{
	c->broken = true;
	c->era++;
	c->count = 0;
	c->piece = 0;
	c->base_off_ns = UINT64_MAX;
	remember(c, p, off_ns);
}

static uint64_t width(struct counter_reading r)
{
	return r.after_ns - r.before_ns;
}

static struct counter_reading read_narrow(struct counter_clock *c)
{
	struct counter_reading best = c->read(c->user);
	bool first = !c->narrowest_ns;
	for (unsigned i = 1; i < ATTEMPTS && (first || width(best) > narrow_ns(c)); i++) {
		struct counter_reading r = c->read(c->user);
		if (width(r) < width(best))
			best = r;
	}
	if (first || width(best) < c->narrowest_ns)
		c->narrowest_ns = width(best) ? width(best) : 1;
	return best;
}

/* The moment of the counter: in the middle of the two looks at the clock; or, where they lie far apart, as
 * near as between them can be to what the last reading and the rate say. */
static struct counter_pair place(struct counter_clock *c, struct counter_reading r)
{
	uint64_t ns = r.before_ns + width(r) / 2;
	if (width(r) > narrow_ns(c) && c->count && c->rate > 0 && r.counter > newest(c)->counter) {
		double since = (double)(r.counter - newest(c)->counter) * c->rate;
		double least = (double)r.before_ns - (double)newest(c)->mono_ns;
		double most = least + (double)width(r);
		since = since < least ? least : since > most ? most : since;
		ns = since > 0 ? newest(c)->mono_ns + (uint64_t)since : r.before_ns;
	}
	return (struct counter_pair){r.counter, ns};
}

void counter_read_again(struct counter_clock *c)
{
	struct counter_reading r = read_narrow(c);
	struct counter_pair p = place(c, r), last = *newest(c);
	if (p.counter == last.counter)
		return;
	if (p.counter < last.counter || p.mono_ns < last.mono_ns) {
		begin_anew(c, p, width(r) / 2);
		return;
	}
	if (c->rate > 0 && !agrees(c, last, p))
		c->broken = true;
	remember(c, p, width(r) / 2);
}

void counter_start(struct counter_clock *c, counter_read *read, void *user)
{
	*c = (struct counter_clock){.read = read, .user = user, .base_off_ns = UINT64_MAX};
	struct counter_reading r = read_narrow(c);
	remember(c, place(c, r), width(r) / 2);
	for (unsigned i = 0; i < STARTS && c->rate == 0; i++) {
		nanosleep(&(struct timespec){.tv_nsec = START_NS}, NULL);
		counter_read_again(c);
	}
}

/* ---- conversion --------------------------------------------------------------------------------- */

static uint64_t between(struct counter_pair a, struct counter_pair b, uint64_t counter)
{
	double part = (double)(counter - a.counter) / (double)(b.counter - a.counter);
	uint64_t ns = (uint64_t)(part * (double)(b.mono_ns - a.mono_ns));
	return a.mono_ns + ns < b.mono_ns ? a.mono_ns + ns : b.mono_ns;
}

static bool in_piece(const struct counter_clock *c, size_t i, uint64_t counter)
{
	return i + 1 < c->count && c->at[i].counter <= counter && counter < c->at[i + 1].counter;
}

/* The reading at or before it. Records come in order: it is the same piece as before, or the next. */
static size_t piece_of(const struct counter_clock *c, uint64_t counter)
{
	for (size_t i = c->piece; i < c->piece + 2; i++) {
		if (in_piece(c, i, counter))
			return i;
	}
	size_t low = 0, high = c->count - 1;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (c->at[middle].counter <= counter)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static uint64_t before_history(const struct counter_clock *c, uint64_t counter,
			       const struct counter_pair *made)
{
	struct counter_pair first = c->at[0];
	if (made->counter && made->counter <= counter && made->mono_ns <= first.mono_ns &&
	    agrees(c, *made, first))
		return between(*made, first, counter);
	double ago = (double)(c->base.counter - counter) * c->rate;
	uint64_t ns = ago < (double)c->base.mono_ns ? c->base.mono_ns - (uint64_t)ago : 0;
	return ns < first.mono_ns ? ns : first.mono_ns;
}

/* The newest reading may be replaced after a counter was placed by it, and the line through the next
 * one lies a little lower: time would run back. */
static uint64_t in_order(const struct counter_clock *c, struct counter_latest *l, uint64_t counter,
			 uint64_t mono_ns)
{
	if (l->era != c->era)
		*l = (struct counter_latest){.era = c->era};
	if (counter == l->at.counter) /* of one read that brought much */
		mono_ns = l->at.mono_ns;
	if (counter < l->at.counter)
		return mono_ns < l->at.mono_ns ? mono_ns : l->at.mono_ns;
	if (mono_ns < l->at.mono_ns)
		mono_ns = l->at.mono_ns;
	l->at = (struct counter_pair){counter, mono_ns};
	return mono_ns;
}

static uint64_t on_its_line(struct counter_clock *c, uint64_t counter,
			    const struct counter_pair *made)
{
	if (counter < c->at[0].counter)
		return before_history(c, counter, made);
	if (c->count == 1)
		return c->at[0].mono_ns;
	c->piece = piece_of(c, counter);
	return between(c->at[c->piece], c->at[c->piece + 1], counter);
}

uint64_t counter_to_mono(struct counter_clock *c, uint64_t counter, const struct counter_pair *made,
			 struct counter_latest *latest)
{
	if (counter > newest(c)->counter)
		counter_read_again(c);
	if (counter > newest(c)->counter)
		counter = newest(c)->counter; /* of the future: no record of this machine */
	return in_order(c, latest, counter, on_its_line(c, counter, made));
}

/* ---- the machine's ------------------------------------------------------------------------------ */

static uint64_t clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct counter_reading read_both(void *user)
{
	(void)user;
	struct counter_reading r;
	r.before_ns = clock_ns();
	r.counter = wire_counter();
	r.after_ns = clock_ns();
	return r;
}

struct counter_clock *counter_machine(void)
{
	static struct counter_clock machine;
	if (!machine.read)
		counter_start(&machine, read_both, NULL);
	return &machine;
}

static bool ask_kernel(void)
{
	char name[sizeof(WIRE_CLOCKSOURCE)] = "";
	int fd = open(WIRE_CLOCKSOURCE_FILE, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	ssize_t n = read(fd, name, sizeof(name));
	close(fd);
	return n < 0 ||
	       (n == sizeof(name) - 1 && memcmp(name, WIRE_CLOCKSOURCE, sizeof(name) - 1) == 0);
}

bool counter_is_kernels(uint64_t now_ns)
{
	static bool is = true;
	static uint64_t ask_at_ns;
	if (now_ns >= ask_at_ns) {
		is = ask_kernel();
		ask_at_ns = now_ns + ASK_AGAIN_NS;
	}
	return is;
}
