/*
 * A ring's file, opened and mapped, its lanes drained one record after the other, and its figures. What a lane
 * is: lane.c. Every access to the map is guarded against a file that is cut.
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

/* A lane's losses stay below this: it is years of dropping nothing but small records. */
#define LOSS_END (1ULL << 48)

struct ring_reader {
	uint8_t *map;
	size_t bytes;
	uint32_t lanes;
	uint32_t lane_bytes;
	int fd;	  /* what is mapped */
	bool cut; /* the file lost pages under us */
	bool was_read;
	bool counts;		  /* its times may be the counter's */
	struct counter_pair made; /* when it was */
	struct lane lane[WIRE_LANES_MAX];
	struct counter_latest
		latest[WIRE_LANES_MAX]; /* of a lane's records: times do not run back */
};

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

static void find_places(struct ring_reader *r)
{
	if (sigsetjmp(cut_guard_back, 0)) {
		r->cut = true;
		return;
	}
	touch(r);
	for (uint32_t n = 0; n < r->lanes; n++)
		r->was_read |= lane_begin(&r->lane[n], lane_of(r, n), r->lane_bytes);
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

#define CAREFULLY (O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)

/* Its owner has the right to write for this moment, see wire.h. Where there is another file under the
 * name by the time that it is opened, that one is looked at as any other would be. */
static int open_with_right(int dir_fd, const char *name)
{
	struct stat st;
	int look = openat(dir_fd, name, O_RDONLY | CAREFULLY);
	if (look < 0)
		return -1;
	int fd = -1, err = EACCES;
	if (fstat(look, &st) == 0 && is_private(&st) && fchmod(look, st.st_mode | S_IWUSR) == 0) {
		fd = openat(dir_fd, name, O_RDWR | CAREFULLY);
		err = errno;
		fchmod(look, st.st_mode);
	}
	close(look);
	errno = err;
	return fd;
}

/* Root may write whatever the mode is, mostly. */
static int open_to_write(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDWR | CAREFULLY);
	return fd < 0 && errno == EACCES ? open_with_right(dir_fd, name) : fd;
}

int ring_reader_open(int dir_fd, const char *name, struct ring_reader **reader, struct process *p)
{
	struct wire_header h;
	struct stat st;
	int fd = open_to_write(dir_fd, name);
	if (fd < 0)
		return -errno;
	int err = -EINVAL;
	if (fstat(fd, &st) != 0)
		err = -errno;
	else if (is_private(&st) && pread(fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h))
		err = header_check(&h, (size_t)st.st_size);
	if (!err)
		err = map_ring(fd, (size_t)st.st_size, &h, reader);
	if (err) {
		close(fd);
		return err;
	}
	fchmod(fd, WIRE_FILE_MODE); /* an agent may have died while it had the right */
	header_read(&h, p);
	return 0;
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

static uint64_t time_of(struct ring_reader *r, uint32_t n, uint64_t time)
{
	if (!(time & WIRE_TIME_COUNTER))
		return time;
	return counter_to_mono(counter_machine(), time & ~WIRE_TIME_COUNTER, &r->made,
			       &r->latest[n]);
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
		enum lane_found what = lane_next(&r->lane[n], now_ns, producer_lives, &rec);
		let_go();
		if (what == LANE_NOTHING)
			break;
		passed++;
		if (what == LANE_RECORD) {
			rec.time_ns = time_of(r, n, rec.time_ns);
			found(user, &rec);
		}
		touch(r);
		lane_release_often(&r->lane[n]);
		let_go();
	}
	touch(r);
	lane_release(&r->lane[n]);
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
		unmoved &= lane_is_quiet(&r->lane[n]);
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
