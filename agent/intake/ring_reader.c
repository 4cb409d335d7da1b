/*
 * A lane, as it is found:
 *
 *   tail                          at                                         head
 *    |  published | published | PAD | being filled (BUSY) | published | reserved |
 *    +------- read, not yet ------->|  stops here
 *             given back
 *
 * What follows an unpublished record is not read: order is kept. Its owner is usually just being
 * interrupted; if its process died, or it stays so for RING_STUCK_NS, it is skipped by its length.
 * Without a length (its owner was stopped between two instructions) the next record that can be found
 * is at the beginning of the circle or at the head, and what lies before is given up.
 *
 * Giving back means zeroing, then moving the tail. We may be killed in between, and whoever reads the
 * ring after us would take the zeros for a reservation that never ends. So what is about to be given
 * back is noted in the lane first, and who opens a ring finishes that.
 */
#include "agent/intake/ring_reader.h"

#include "agent/intake/counter.h"
#include "agent/intake/cut_guard.h"
#include "agent/intake/header.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The tail is moved at least this often in a drain; a small lane's every quarter. */
#define RELEASE_BYTES (64u * 1024)
/* What one sign of life of a process counts at most for the wait: see waited_enough. */
#define STUCK_STEP_NS 1000000000u
/* A lane's losses stay below this: it is years of dropping nothing but small records. */
#define LOSS_END (1ULL << 48)

struct lane_state {
	uint64_t head;	   /* as it was last read: the shared word is asked when this is reached */
	uint64_t at;	   /* what is read next */
	uint64_t tail;	   /* given back up to here; the shared word is only written */
	uint64_t stuck_at; /* position of the record that is waited for, + 1; 0 = none */
	uint64_t stuck_ns; /* waited so far */
	uint64_t stuck_seen_ns;
	uint64_t stuck_activity;
	uint64_t skipped;
	struct counter_latest latest; /* of its records: their times do not run back */
	bool broken;
};

struct ring_reader {
	uint8_t *map;
	size_t bytes;
	uint32_t lanes;
	uint32_t lane_bytes;
	uint32_t release_bytes;
	int fd;	  /* what is mapped */
	bool cut; /* the file lost pages under us */
	bool was_read;
	bool counts;		  /* its times may be the counter's */
	struct counter_pair made; /* when it was */
	struct lane_state lane[WIRE_LANES_MAX];
};

/* The record that is looked at, of whatever ring: one thread drains them all. */
static _Alignas(8) uint8_t copy[WIRE_RECORD_BYTES + WIRE_PAYLOAD_MAX + WIRE_ALIGN];

void ring_reader_setup(void)
{
	cut_guard_setup();
	signal(SIGIO, SIG_IGN); /* by default it would end us */
}

/* ---- the map, whose pages may go ---------------------------------------------------------------- */

static void touch(const struct ring_reader *r)
{
	cut_guard_enter(r->map, r->bytes);
}

static void let_go(void)
{
	cut_guard_leave();
}

/* ---- opening ------------------------------------------------------------------------------------ */

static struct wire_lane *lane_of(const struct ring_reader *r, uint32_t n)
{
	return (struct wire_lane *)(r->map + wire_lane_offset(n, r->lane_bytes));
}

static uint8_t *at_position(const struct ring_reader *r, uint32_t n, uint64_t position)
{
	return (uint8_t *)(lane_of(r, n) + 1) + (position & (r->lane_bytes - 1));
}

/* Gives back what was read. It lies in one piece: see must_release. */
static void release(struct ring_reader *r, uint32_t n)
{
	struct lane_state *l = &r->lane[n];
	struct wire_lane *lane = lane_of(r, n);
	if (l->at == l->tail)
		return;
	__atomic_store_n(&lane->read, l->at, __ATOMIC_RELAXED);
	/* Against the compiler: the processor's own order is what a kill leaves behind. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	memset(at_position(r, n, l->tail), 0, l->at - l->tail);
	/* Release pairs with the producer's acquire of the tail: what it gets back is zero. */
	__atomic_store_n(&lane->tail, l->at, __ATOMIC_RELEASE);
	l->tail = l->at;
}

/* No word of it can be believed any more. */
static void break_lane(struct lane_state *l)
{
	l->broken = true;
	l->skipped++;
}

/* An agent before us may have read a part: it left the tail there, or was about to. */
static void find_place(struct ring_reader *r, uint32_t n)
{
	struct lane_state *l = &r->lane[n];
	uint64_t tail = __atomic_load_n(&lane_of(r, n)->tail, __ATOMIC_RELAXED);
	uint64_t head = __atomic_load_n(&lane_of(r, n)->head, __ATOMIC_RELAXED);
	uint64_t read = __atomic_load_n(&lane_of(r, n)->read, __ATOMIC_RELAXED);
	uint64_t rest = r->lane_bytes - (tail & (r->lane_bytes - 1));
	l->tail = l->at = l->head = tail;
	r->was_read |= tail > 0;
	if (tail > head || head - tail > r->lane_bytes || tail % WIRE_ALIGN)
		break_lane(l);
	if (l->broken || read <= tail || read > head || read - tail > rest || read % WIRE_ALIGN)
		return;
	l->at = l->head = read;
	release(r, n);
	r->was_read = true;
}

static void find_places(struct ring_reader *r)
{
	if (sigsetjmp(cut_guard_back, 0)) {
		r->cut = true;
		return;
	}
	touch(r);
	for (uint32_t n = 0; n < r->lanes; n++)
		find_place(r, n);
	let_go();
}

/* The header was read from the file into *h, not from the map: one copy, which is checked. */
static int map_ring(int fd, size_t bytes, const struct wire_header *h, struct ring_reader **reader)
{
	struct ring_reader *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->bytes = bytes;
	r->lanes = h->lanes;
	r->lane_bytes = h->lane_bytes;
	r->release_bytes = r->lane_bytes / 4 < RELEASE_BYTES ? r->lane_bytes / 4 : RELEASE_BYTES;
	r->map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r->map == MAP_FAILED) {
		int err = errno;
		free(r);
		return -err;
	}
	r->fd = fd;
	r->counts = h->clock != WIRE_CLOCK_MONOTONIC;
	r->made = (struct counter_pair){h->made_counter, h->made_mono_ns};
	madvise(r->map, bytes, MADV_DONTDUMP);
	find_places(r);
	*reader = r;
	return 0;
}

/* Prompts are in it: it must be ours, and ours alone. */
static bool is_private(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid() &&
	       !(st->st_mode & (S_IRWXG | S_IRWXO));
}

int ring_reader_open(int dir_fd, const char *name, struct ring_reader **reader, struct process *p)
{
	struct wire_header h;
	struct stat st;
	int fd = openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	int err = -EINVAL;
	if (fstat(fd, &st) != 0)
		err = -errno;
	else if (is_private(&st) && pread(fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h))
		err = header_check(&h, (size_t)st.st_size);
	if (!err)
		err = map_ring(fd, (size_t)st.st_size, &h, reader);
	if (!err)
		header_read(&h, p);
	else
		close(fd);
	return err;
}

void ring_reader_close(struct ring_reader *r)
{
	if (!r)
		return;
	munmap(r->map, r->bytes);
	close(r->fd);
	free(r);
}

/* The kernel grants a write lease to none but the only one that has a file open (fcntl(2), F_SETLEASE);
 * a map counts as its descriptor, and ours are one. Who opens the file while we hold the lease waits
 * until we give it back, and we are told with SIGIO. */
bool ring_reader_has_producer(const struct ring_reader *r)
{
	if (fcntl(r->fd, F_SETLEASE, F_WRLCK) != 0)
		return true;
	fcntl(r->fd, F_SETLEASE, F_UNLCK);
	return false;
}

/* Of a ring that a producer maps it would be a SIGBUS in the server, once the tmpfs is full. */
void ring_reader_discard(struct ring_reader *r)
{
	if (!ring_reader_has_producer(r))
		fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, WIRE_HEADER_BYTES,
			  (off_t)(r->bytes - WIRE_HEADER_BYTES));
}

bool ring_reader_was_read(const struct ring_reader *r)
{
	return r->was_read;
}

uint32_t ring_reader_lanes(const struct ring_reader *r)
{
	return r->lanes;
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* Often enough that a producer finds room, and always at the end of the circle. */
static bool must_release(const struct ring_reader *r, uint32_t n)
{
	const struct lane_state *l = &r->lane[n];
	return l->at - l->tail >= r->release_bytes ||
	       (l->at != l->tail && !(l->at & (r->lane_bytes - 1)));
}

/* Asks the shared head. False if it cannot be. */
static bool look_at_head(struct ring_reader *r, uint32_t n)
{
	struct lane_state *l = &r->lane[n];
	uint64_t head = __atomic_load_n(&lane_of(r, n)->head, __ATOMIC_ACQUIRE);
	if (head < l->at || head - l->tail > r->lane_bytes || head % WIRE_ALIGN) {
		break_lane(l);
		return false;
	}
	l->head = head;
	return true;
}

/* Whether the first word of a record, without WIRE_BUSY, can be a length where it stands. */
static bool length_fits(const struct ring_reader *r, const struct lane_state *l, uint32_t length)
{
	uint64_t rest = r->lane_bytes - (l->at & (r->lane_bytes - 1));
	return length >= WIRE_ALIGN && length % WIRE_ALIGN == 0 && length <= l->head - l->at &&
	       length <= rest;
}

/*
 * Whether an unpublished record at `at` was waited for long enough, its process living. Only time in
 * which the process records counts, and a second at most at a time: a process that is stopped (docker
 * pause, a debugger) comes back to fill in its record, which must not be another's by then.
 */
static bool waited_enough(struct ring_reader *r, uint32_t n, uint64_t now_ns)
{
	struct lane_state *l = &r->lane[n];
	const struct wire_lane *lane = lane_of(r, n);
	uint64_t activity = __atomic_load_n(&lane->head, __ATOMIC_RELAXED) +
			    __atomic_load_n(&lane->dropped_records, __ATOMIC_RELAXED);
	if (l->stuck_at != l->at + 1) {
		l->stuck_at = l->at + 1;
		l->stuck_ns = 0;
	} else if (activity != l->stuck_activity) {
		uint64_t since = now_ns - l->stuck_seen_ns;
		l->stuck_ns += since < STUCK_STEP_NS ? since : STUCK_STEP_NS;
	} else {
		return l->stuck_ns >= RING_STUCK_NS;
	}
	l->stuck_activity = activity;
	l->stuck_seen_ns = now_ns;
	return l->stuck_ns >= RING_STUCK_NS;
}

/* The place behind an unpublished record whose length is not known. */
static uint64_t place_behind(const struct ring_reader *r, const struct lane_state *l)
{
	uint64_t circle_end = l->at + r->lane_bytes - (l->at & (r->lane_bytes - 1));
	return l->head < circle_end ? l->head : circle_end;
}

/* An unpublished record is next: wait, or skip it. True if it was skipped. */
static bool skip_unpublished(struct ring_reader *r, uint32_t n, uint32_t word, uint64_t now_ns,
			     bool producer_lives)
{
	struct lane_state *l = &r->lane[n];
	uint32_t length = word & ~WIRE_BUSY;
	if (word && !length_fits(r, l, length)) {
		break_lane(l);
		return false;
	}
	/* While it is waited for, the head is not asked again: up to where it was, all is as old. What a
	 * living process reserved later may be written to at this moment. */
	if (producer_lives ? !waited_enough(r, n, now_ns) : !look_at_head(r, n))
		return false;
	l->skipped++;
	l->at = word ? l->at + length : place_behind(r, l);
	return true;
}

static uint64_t time_of(struct ring_reader *r, uint32_t n, uint64_t time)
{
	if (!(time & WIRE_TIME_COUNTER))
		return time;
	return counter_to_mono(counter_machine(), time & ~WIRE_TIME_COUNTER, &r->made,
			       &r->lane[n].latest);
}

/* Has the producer use the other clock from now on, where the counter is no good. */
static void judge_counter(struct ring_reader *r, uint64_t now_ns)
{
	if (!r->counts || (!counter_machine()->broken && counter_is_kernels(now_ns)))
		return;
	r->counts = false;
	touch(r);
	__atomic_store_n(&((struct wire_header *)r->map)->clock, WIRE_CLOCK_MONOTONIC,
			 __ATOMIC_RELAXED);
	let_go();
}

/* Copies the published record at `at` and checks the copy; false if it is none. */
static bool copy_record(struct ring_reader *r, uint32_t n, uint32_t length, struct ring_record *rec)
{
	if (length < WIRE_RECORD_BYTES || length > sizeof(copy))
		return false;
	memcpy(copy, at_position(r, n, r->lane[n].at), length);
	const struct wire_record *w = (const struct wire_record *)copy;
	size_t payload = length - WIRE_RECORD_BYTES;
	if (w->pad >= WIRE_ALIGN || w->pad > payload || w->type < WIRE_OPEN ||
	    w->type > WIRE_OPAQUE || payload - w->pad > WIRE_PAYLOAD_MAX)
		return false;
	*rec = (struct ring_record){
		.type = w->type,
		.info = w->info,
		.fd = w->fd,
		.generation = w->generation,
		.time_ns = time_of(r, n, w->time),
		.offset = w->offset,
		.payload = span_of(copy + WIRE_RECORD_BYTES, payload - w->pad),
	};
	return true;
}

enum found { FOUND_NOTHING, FOUND_SKIP, FOUND_RECORD };

/* What is next: a record (copied), something to pass over, or nothing for now. */
static enum found take(struct ring_reader *r, uint32_t n, uint64_t now_ns, bool producer_lives,
		       struct ring_record *rec)
{
	struct lane_state *l = &r->lane[n];
	if (l->at == l->head && (!look_at_head(r, n) || l->at == l->head))
		return FOUND_NOTHING;
	struct wire_record *at = (struct wire_record *)at_position(r, n, l->at);
	/* Acquire pairs with the producer's release of the published length. */
	uint32_t word = __atomic_load_n(&at->length, __ATOMIC_ACQUIRE);
	if (!word || (word & WIRE_BUSY))
		return skip_unpublished(r, n, word, now_ns, producer_lives) ? FOUND_SKIP
									    : FOUND_NOTHING;
	l->stuck_at = 0;
	if (!length_fits(r, l, word)) {
		break_lane(l);
		return FOUND_NOTHING;
	}
	bool is_pad = __atomic_load_n(&at->type, __ATOMIC_RELAXED) == WIRE_PAD;
	bool good = !is_pad && copy_record(r, n, word, rec);
	l->skipped += !good && !is_pad;
	l->at += word;
	return good ? FOUND_RECORD : FOUND_SKIP;
}

size_t ring_reader_drain(struct ring_reader *r, uint32_t n, size_t most, uint64_t now_ns,
			 bool producer_lives,
			 void (*found)(void *user, const struct ring_record *rec), void *user)
{
	struct ring_record rec;
	volatile size_t passed = 0;
	if (r->cut || r->lane[n].broken)
		return 0;
	if (sigsetjmp(cut_guard_back, 0)) {
		r->cut = true;
		return passed;
	}
	judge_counter(r, now_ns);
	while (passed < most) {
		touch(r);
		enum found what = take(r, n, now_ns, producer_lives, &rec);
		let_go();
		if (what == FOUND_NOTHING)
			break;
		passed++;
		if (what == FOUND_RECORD)
			found(user, &rec);
		touch(r);
		if (must_release(r, n))
			release(r, n);
		let_go();
	}
	touch(r);
	release(r, n);
	let_go();
	return passed;
}

/* ---- figures ------------------------------------------------------------------------------------ */

/* A counter in the map; 0 once the file was cut. */
static uint64_t shared_counter(struct ring_reader *r, const uint64_t *at)
{
	if (r->cut)
		return 0;
	if (sigsetjmp(cut_guard_back, 0)) {
		r->cut = true;
		return 0;
	}
	touch(r);
	uint64_t value = __atomic_load_n(at, __ATOMIC_RELAXED);
	let_go();
	return value;
}

/* More than a producer can have counted is what was written over its count: none is better. */
static uint64_t loss_told(struct ring_reader *r, const uint64_t *at)
{
	uint64_t told = shared_counter(r, at);
	return told < LOSS_END ? told : 0;
}

struct ring_loss ring_reader_loss(struct ring_reader *r, uint32_t n)
{
	const struct wire_lane *lane = lane_of(r, n);
	return (struct ring_loss){
		.records = loss_told(r, &lane->dropped_records),
		.bytes = loss_told(r, &lane->dropped_bytes),
		.controls = loss_told(r, &lane->dropped_controls),
		.skipped = r->lane[n].skipped,
	};
}

static void note(struct ring_reader *r, uint64_t *at, uint64_t value)
{
	if (r->cut)
		return;
	if (sigsetjmp(cut_guard_back, 0)) {
		r->cut = true;
		return;
	}
	touch(r);
	__atomic_store_n(at, value, __ATOMIC_RELAXED);
	let_go();
}

uint64_t ring_reader_told(struct ring_reader *r, uint32_t n)
{
	return loss_told(r, &lane_of(r, n)->told);
}

void ring_reader_tell(struct ring_reader *r, uint32_t n, uint64_t records)
{
	note(r, &lane_of(r, n)->told, records);
}

/* Looks at all of them, whatever the first says: the loads of a loop that may stop wait for each
 * other's cache lines. A function of its own, because locals and sigsetjmp do not go together. */
static __attribute__((noinline)) bool heads_are_unmoved(const struct ring_reader *r)
{
	bool unmoved = true;
	for (uint32_t n = 0; n < r->lanes; n++)
		unmoved &= r->lane[n].broken ||
			   __atomic_load_n(&lane_of(r, n)->head, __ATOMIC_RELAXED) == r->lane[n].at;
	return unmoved;
}

bool ring_reader_is_quiet(struct ring_reader *r)
{
	if (r->cut)
		return true;
	if (sigsetjmp(cut_guard_back, 0)) {
		r->cut = true;
		return false;
	}
	touch(r);
	bool quiet = heads_are_unmoved(r);
	let_go();
	return quiet;
}

bool ring_reader_lane_broken(const struct ring_reader *r, uint32_t n)
{
	return r->cut || r->lane[n].broken;
}

unsigned ring_reader_fill(struct ring_reader *r, uint32_t n)
{
	if (r->lane[n].broken)
		return 0;
	uint64_t used = shared_counter(r, &lane_of(r, n)->head) - r->lane[n].tail;
	if (used > r->lane_bytes) /* its head cannot be, or the file was cut: the drain finds out */
		return 0;
	return (unsigned)((used * 1000 + r->lane_bytes - 1) / r->lane_bytes);
}

bool ring_reader_broken(const struct ring_reader *r)
{
	for (uint32_t n = 0; n < r->lanes; n++) {
		if (!ring_reader_lane_broken(r, n))
			return false;
	}
	return true;
}

uint64_t ring_reader_unwatched(struct ring_reader *r)
{
	return shared_counter(r, &((const struct wire_header *)r->map)->unwatched);
}

uint64_t ring_reader_unwatched_told(struct ring_reader *r)
{
	return shared_counter(r, &((const struct wire_header *)r->map)->unwatched_told);
}

void ring_reader_tell_unwatched(struct ring_reader *r, uint64_t connections)
{
	note(r, &((struct wire_header *)r->map)->unwatched_told, connections);
}
