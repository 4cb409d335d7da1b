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
#define RATE_KNOWN_NS 100000u
#define ATTEMPTS      4u
#define ASK_AGAIN_NS  10000000000u

/* How far a span may be off what the rate says. The kernel steers its clock by 500 millionths usually
 * and by a tenth when told to (adjtimex(2), chrony's maxslewrate), the latter not for long. Plus what
 * one reading may be off. */
#define STEERED_BRIEFLY 0.15
#define STEERED_LONG	0.001
#define STEERED_NS	150e6
#define READING_NS	100e3

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

static void remember(struct counter_clock *c, struct counter_pair p)
{
	/* The newest is replaced while it is no further from the one before than neighbours are. */
	bool near = c->count > 1 && newest(c)->mono_ns - newest(c)[-1].mono_ns < COUNTER_SPACING_NS;
	if (near)
		c->count--;
	if (c->count == COUNTER_PAIRS)
		drop_one(c, p.mono_ns);
	c->at[c->count++] = p;
	uint64_t ns = p.mono_ns - c->at[0].mono_ns;
	if (ns >= RATE_KNOWN_NS)
		c->rate = (double)ns / (double)(p.counter - c->at[0].counter);
}

static void begin_anew(struct counter_clock *c, struct counter_pair p)
{
	c->broken = true;
	c->count = 0;
	c->piece = 0;
	c->latest = (struct counter_pair){0, 0};
	remember(c, p);
}

void counter_read_again(struct counter_clock *c)
{
	struct counter_pair p = c->read(c->user), last = *newest(c);
	if (p.counter == last.counter)
		return;
	if (p.counter < last.counter || p.mono_ns < last.mono_ns) {
		begin_anew(c, p);
		return;
	}
	if (c->rate > 0 && !agrees(c, last, p))
		c->broken = true;
	remember(c, p);
}

void counter_start(struct counter_clock *c, counter_read *read, void *user)
{
	*c = (struct counter_clock){.read = read, .user = user};
	remember(c, read(user));
	nanosleep(&(struct timespec){.tv_nsec = START_NS}, NULL);
	counter_read_again(c);
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
	double ago = (double)(first.counter - counter) * c->rate;
	return ago < (double)first.mono_ns ? first.mono_ns - (uint64_t)ago : 0;
}

/* The newest reading may be replaced after a counter was placed by it, and the line through the next
 * one lies a little lower: time would run back. */
static uint64_t in_order(struct counter_clock *c, uint64_t counter, uint64_t mono_ns)
{
	struct counter_pair *l = &c->latest;
	if (counter < l->counter)
		return mono_ns < l->mono_ns ? mono_ns : l->mono_ns;
	if (mono_ns < l->mono_ns)
		mono_ns = l->mono_ns;
	*l = (struct counter_pair){counter, mono_ns};
	return mono_ns;
}

uint64_t counter_to_mono(struct counter_clock *c, uint64_t counter, const struct counter_pair *made)
{
	if (counter > newest(c)->counter)
		counter_read_again(c);
	if (counter > newest(c)->counter)
		counter = newest(c)->counter; /* of the future: no record of this machine */
	if (counter < c->at[0].counter)
		return before_history(c, counter, made);
	if (c->count == 1)
		return c->at[0].mono_ns;
	c->piece = piece_of(c, counter);
	return in_order(c, counter, between(c->at[c->piece], c->at[c->piece + 1], counter));
}

/* ---- the machine's ------------------------------------------------------------------------------ */

/* The clock between two looks at the counter; the attempt with the least between them. */
static struct counter_pair read_both(void *user)
{
	(void)user;
	struct counter_pair best = {0};
	uint64_t least = UINT64_MAX;
	for (unsigned i = 0; i < ATTEMPTS; i++) {
		struct timespec t;
		uint64_t before = wire_counter();
		clock_gettime(CLOCK_MONOTONIC, &t);
		uint64_t width = wire_counter() - before;
		if (width >= least)
			continue;
		least = width;
		best.counter = before + width / 2;
		best.mono_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	}
	return best;
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
