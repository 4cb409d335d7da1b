/*
 * A lane, as it is found:
 *
 *   tail                                                                head
 *    |  published | published | PAD | being filled (BUSY) | published |  |
 *    +---- read, zeroed, given back --->|  stops here
 *
 * What follows an unpublished record is not read: order is kept. Its owner is usually just being
 * interrupted; if its process died, or it stays so for RING_STUCK_NS, it is skipped by its length.
 * Without a length (the process died between two instructions) the rest of the lane cannot be
 * found any more, and is given up.
 */
#include "agent/intake/ring_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RELEASE_BYTES (64u * 1024) /* the tail is moved at least this often in a drain */

struct lane_state {
	uint64_t tail;	   /* our own copy: the shared word is only written */
	uint64_t stuck_at; /* position of the record that is waited for, + 1; 0 = none */
	uint64_t stuck_since_ns;
	uint64_t skipped;
	bool broken;
};

struct ring_reader {
	uint8_t *map;
	size_t bytes;
	uint32_t lanes;
	uint32_t lane_bytes;
	bool cut; /* the file lost pages under us */
	struct lane_state lane[WIRE_LANES_MAX];
};

/* The record that is looked at, of whatever ring: one thread drains them all. */
static _Alignas(8) uint8_t copy[WIRE_RECORD_BYTES + WIRE_PAYLOAD_MAX + WIRE_ALIGN];

/* ---- faults ------------------------------------------------------------------------------------- */

/* The ring that this thread touches, and where to go if it is cut. */
static _Thread_local struct ring_reader *touched;
static _Thread_local sigjmp_buf on_cut;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	const uint8_t *at = info->si_addr;
	if (touched && at >= touched->map && at < touched->map + touched->bytes)
		siglongjmp(on_cut, 1);
	signal(sig, SIG_DFL); /* somebody else's fault: it happens again, by default */
}

void ring_reader_setup(void)
{
	struct sigaction act = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};
	sigemptyset(&act.sa_mask);
	sigaction(SIGBUS, &act, NULL);
}

/* ---- opening ------------------------------------------------------------------------------------ */

static void copy_text(char *to, const char *from, size_t room)
{
	memcpy(to, from, room);
	to[room - 1] = '\0';
}

static void copy_process(struct process *p, const struct wire_header *h)
{
	*p = (struct process){
		.pid = h->pid,
		.start_ticks = h->start_ticks,
		.pid_ns = h->pid_ns,
		.sequence = h->sequence,
		.made_mono_ns = h->made_mono_ns,
		.made_real_ns = h->made_real_ns,
	};
	copy_text(p->program, h->program, sizeof(p->program));
	copy_text(p->provider, h->provider, sizeof(p->provider));
	copy_text(p->service_name, h->service_name, sizeof(p->service_name));
	copy_text(p->resource_attributes, h->resource_attributes, sizeof(p->resource_attributes));
	copy_text(p->command_line, h->command_line, sizeof(p->command_line));
	/* Arguments end with a NUL each; the list ends with another, or with the room. */
	while (p->command_line_len < sizeof(p->command_line) - 1 &&
	       p->command_line[p->command_line_len])
		p->command_line_len += strlen(p->command_line + p->command_line_len) + 1;
	if (p->command_line_len >= sizeof(p->command_line))
		p->command_line_len = sizeof(p->command_line) - 1;
}

static int check_header(const struct wire_header *h, size_t file_bytes)
{
	if (h->magic != WIRE_MAGIC)
		return -EINVAL;
	if (h->version != WIRE_VERSION)
		return -EPROTO;
	if (h->header_bytes != WIRE_HEADER_BYTES || !h->lanes || h->lanes > WIRE_LANES_MAX ||
	    (h->lanes & (h->lanes - 1)))
		return -EINVAL;
	if (h->lane_bytes < WIRE_LANE_BYTES_MIN || h->lane_bytes > WIRE_LANE_BYTES_MAX ||
	    (h->lane_bytes & (h->lane_bytes - 1)) ||
	    wire_file_bytes(h->lanes, h->lane_bytes) != file_bytes)
		return -EINVAL;
	return 0;
}

static struct wire_lane *lane_of(const struct ring_reader *r, uint32_t n)
{
	return (struct wire_lane *)(r->map + wire_lane_offset(n, r->lane_bytes));
}

/* Maps and checks; the header was read from the file into *h, not from the map: one copy. */
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
	madvise(r->map, bytes, MADV_DONTDUMP);
	for (uint32_t n = 0; n < r->lanes; n++) {
		/* An agent before us may have read a part: it left the tail there. */
		uint64_t tail = __atomic_load_n(&lane_of(r, n)->tail, __ATOMIC_RELAXED);
		uint64_t head = __atomic_load_n(&lane_of(r, n)->head, __ATOMIC_RELAXED);
		r->lane[n].tail = tail;
		r->lane[n].broken = tail > head || head - tail > r->lane_bytes || tail % WIRE_ALIGN;
	}
	*reader = r;
	return 0;
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
	else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_size < (off_t)sizeof(h) ||
		 pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
		err = -EINVAL;
	else
		err = check_header(&h, (size_t)st.st_size);
	if (!err)
		err = map_ring(fd, (size_t)st.st_size, &h, reader);
	if (!err)
		copy_process(p, &h);
	close(fd);
	return err;
}

void ring_reader_close(struct ring_reader *r)
{
	if (!r)
		return;
	munmap(r->map, r->bytes);
	free(r);
}

uint32_t ring_reader_lanes(const struct ring_reader *r)
{
	return r->lanes;
}

/* ---- reading ------------------------------------------------------------------------------------ */

static uint8_t *at_position(const struct ring_reader *r, uint32_t n, uint64_t position)
{
	return (uint8_t *)(lane_of(r, n) + 1) + (position & (r->lane_bytes - 1));
}

/* Zeroes what was read. The release of the tail that follows pairs with the producer's acquire. */
static void consume(struct ring_reader *r, uint32_t n, uint64_t bytes)
{
	struct lane_state *l = &r->lane[n];
	uint64_t left = bytes;
	while (left) {
		uint64_t rest = r->lane_bytes - (l->tail & (r->lane_bytes - 1));
		uint64_t here = left < rest ? left : rest;
		memset(at_position(r, n, l->tail), 0, here);
		l->tail += here;
		left -= here;
	}
}

static void release(struct ring_reader *r, uint32_t n)
{
	__atomic_store_n(&lane_of(r, n)->tail, r->lane[n].tail, __ATOMIC_RELEASE);
}

/* The first word of a record, without WIRE_BUSY, if it can be a length where it stands. */
static bool length_fits(const struct ring_reader *r, uint64_t position, uint64_t head,
			uint32_t length)
{
	uint64_t rest = r->lane_bytes - (position & (r->lane_bytes - 1));
	return length >= WIRE_ALIGN && length % WIRE_ALIGN == 0 && length <= head - position &&
	       length <= rest;
}

/* An unpublished record is at the tail: wait, or skip it. True if it was skipped. */
static bool skip_unpublished(struct ring_reader *r, uint32_t n, uint64_t head, uint32_t word,
			     uint64_t now_ns, bool producer_lives)
{
	struct lane_state *l = &r->lane[n];
	if (producer_lives) {
		if (l->stuck_at != l->tail + 1) {
			l->stuck_at = l->tail + 1;
			l->stuck_since_ns = now_ns;
		}
		if (now_ns - l->stuck_since_ns < RING_STUCK_NS)
			return false;
	}
	uint32_t length = word & ~WIRE_BUSY;
	if (word && !length_fits(r, l->tail, head, length)) {
		l->broken = true;
		return false;
	}
	if (!word && producer_lives)
		return false; /* its length is not known: whoever it is, it must come back */
	l->skipped++;
	consume(r, n, word ? length : head - l->tail);
	return true;
}

/* Copies the published record at the tail and checks the copy; false if it is none. */
static bool copy_record(struct ring_reader *r, uint32_t n, uint32_t length, struct ring_record *rec)
{
	if (length < WIRE_RECORD_BYTES ||
	    length > WIRE_RECORD_BYTES + WIRE_PAYLOAD_MAX + WIRE_ALIGN)
		return false;
	memcpy(copy, at_position(r, n, r->lane[n].tail), length);
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
		.time_ns = w->time_ns,
		.offset = w->offset,
		.payload = span_of(copy + WIRE_RECORD_BYTES, payload - w->pad),
	};
	return true;
}

enum found { FOUND_NOTHING, FOUND_SKIP, FOUND_RECORD };

/* What is at the tail: a record (copied, given back), something to pass over, or nothing for now. */
static enum found take(struct ring_reader *r, uint32_t n, uint64_t now_ns, bool producer_lives,
		       struct ring_record *rec)
{
	struct lane_state *l = &r->lane[n];
	/* Acquire: the marks of the reservations up to this head are seen or are zero. */
	uint64_t head = __atomic_load_n(&lane_of(r, n)->head, __ATOMIC_ACQUIRE);
	if (head == l->tail)
		return FOUND_NOTHING;
	if (head < l->tail || head - l->tail > r->lane_bytes) {
		l->broken = true;
		return FOUND_NOTHING;
	}
	struct wire_record *at = (struct wire_record *)at_position(r, n, l->tail);
	/* Acquire pairs with the producer's release of the published length. */
	uint32_t word = __atomic_load_n(&at->length, __ATOMIC_ACQUIRE);
	if (!word || (word & WIRE_BUSY))
		return skip_unpublished(r, n, head, word, now_ns, producer_lives) ? FOUND_SKIP
										  : FOUND_NOTHING;
	l->stuck_at = 0;
	if (!length_fits(r, l->tail, head, word)) {
		l->broken = true;
		return FOUND_NOTHING;
	}
	bool good = at->type != WIRE_PAD && copy_record(r, n, word, rec);
	l->skipped += !good && at->type != WIRE_PAD;
	consume(r, n, word);
	return good ? FOUND_RECORD : FOUND_SKIP;
}

/* take(), with the map's pages possibly gone. */
static enum found take_guarded(struct ring_reader *r, uint32_t n, uint64_t now_ns,
			       bool producer_lives, struct ring_record *rec)
{
	touched = r;
	enum found found = take(r, n, now_ns, producer_lives, rec);
	touched = NULL;
	return found;
}

static void cut(struct ring_reader *r)
{
	touched = NULL;
	r->cut = true;
}

size_t ring_reader_drain(struct ring_reader *r, uint32_t n, size_t most, uint64_t now_ns,
			 bool producer_lives,
			 void (*found)(void *user, const struct ring_record *rec), void *user)
{
	struct ring_record rec;
	volatile size_t count = 0;
	volatile uint64_t released = r->lane[n].tail;
	if (r->cut || r->lane[n].broken)
		return 0;
	if (sigsetjmp(on_cut, 0)) {
		cut(r);
		return count;
	}
	while (count < most) {
		enum found what = take_guarded(r, n, now_ns, producer_lives, &rec);
		if (what == FOUND_NOTHING)
			break;
		if (what == FOUND_RECORD) {
			found(user, &rec);
			count++;
		}
		if (r->lane[n].tail - released >= RELEASE_BYTES) {
			touched = r;
			release(r, n);
			touched = NULL;
			released = r->lane[n].tail;
		}
	}
	if (r->lane[n].tail != released) {
		touched = r;
		release(r, n);
		touched = NULL;
	}
	return count;
}

/* ---- figures ------------------------------------------------------------------------------------ */

/* A counter in the map; 0 once the file was cut. */
static uint64_t shared_counter(struct ring_reader *r, const uint64_t *at)
{
	if (r->cut)
		return 0;
	if (sigsetjmp(on_cut, 0)) {
		cut(r);
		return 0;
	}
	touched = r;
	uint64_t value = __atomic_load_n(at, __ATOMIC_RELAXED);
	touched = NULL;
	return value;
}

struct ring_loss ring_reader_loss(struct ring_reader *r, uint32_t n)
{
	const struct wire_lane *lane = lane_of(r, n);
	return (struct ring_loss){
		.records = shared_counter(r, &lane->dropped_records),
		.bytes = shared_counter(r, &lane->dropped_bytes),
		.controls = shared_counter(r, &lane->dropped_controls),
		.skipped = r->lane[n].skipped,
	};
}

bool ring_reader_broken(const struct ring_reader *r)
{
	if (r->cut)
		return true;
	for (uint32_t n = 0; n < r->lanes; n++) {
		if (!r->lane[n].broken)
			return false;
	}
	return true;
}

uint64_t ring_reader_unwatched(struct ring_reader *r)
{
	return shared_counter(r, &((const struct wire_header *)r->map)->unwatched);
}
