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
#include "agent/intake/lane.h"

/* The tail is moved at least this often in a drain; a small lane's every quarter. */
#define RELEASE_BYTES (64u * 1024)
/* What one sign of life of a process counts at most for the wait: see waited_enough. */
#define STUCK_STEP_NS 1000000000u

/* The record that is looked at, of whatever ring: one thread drains them all. */
static _Alignas(8) uint8_t copy[WIRE_RECORD_BYTES + WIRE_PAYLOAD_MAX + WIRE_ALIGN];

static uint8_t *at_position(const struct lane *l, uint64_t position)
{
	return (uint8_t *)(l->shared + 1) + (position & (l->bytes - 1));
}

/* ---- giving back -------------------------------------------------------------------------------- */

/* Gives back what was read. It lies in one piece: see lane_release_often. */
void lane_release(struct lane *l)
{
	if (l->at == l->tail)
		return;
	__atomic_store_n(&l->shared->read, l->at, __ATOMIC_RELAXED);
	/* Against the compiler: the processor's own order is what a kill leaves behind. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	memset(at_position(l, l->tail), 0, l->at - l->tail);
	/* Release pairs with the producer's acquire of the tail: what it gets back is zero. */
	__atomic_store_n(&l->shared->tail, l->at, __ATOMIC_RELEASE);
	l->tail = l->at;
}

/* Often enough that a producer finds room, and always at the end of the circle. */
void lane_release_often(struct lane *l)
{
	if (l->at - l->tail >= l->release_bytes || !(l->at & (l->bytes - 1)))
		lane_release(l);
}

/* ---- the next record ---------------------------------------------------------------------------- */

/* No word of it can be believed any more. */
static void break_lane(struct lane *l)
{
	l->broken = true;
	l->skipped++;
}

/* An agent before us left the tail there, or was about to. */
bool lane_begin(struct lane *l, struct wire_lane *shared, uint32_t bytes)
{
	uint64_t tail = __atomic_load_n(&shared->tail, __ATOMIC_RELAXED);
	uint64_t head = __atomic_load_n(&shared->head, __ATOMIC_RELAXED);
	uint64_t read = __atomic_load_n(&shared->read, __ATOMIC_RELAXED);
	uint64_t rest = bytes - (tail & (bytes - 1));
	*l = (struct lane){
		.shared = shared,
		.bytes = bytes,
		.release_bytes = bytes / 4 < RELEASE_BYTES ? bytes / 4 : RELEASE_BYTES,
		.head = tail,
		.at = tail,
		.tail = tail,
	};
	if (tail > head || head - tail > bytes || tail % WIRE_ALIGN)
		break_lane(l);
	if (l->broken || read <= tail || read > head || read - tail > rest || read % WIRE_ALIGN)
		return tail > 0;
	l->at = l->head = read;
	lane_release(l);
	return true;
}

/* Asks the shared head. False if it cannot be. */
static bool look_at_head(struct lane *l)
{
	uint64_t head = __atomic_load_n(&l->shared->head, __ATOMIC_ACQUIRE);
	if (head < l->at || head - l->tail > l->bytes || head % WIRE_ALIGN) {
		break_lane(l);
		return false;
	}
	l->head = head;
	return true;
}

/* Whether the first word of a record, without WIRE_BUSY, can be a length where it stands. */
static bool length_fits(const struct lane *l, uint32_t length)
{
	uint64_t rest = l->bytes - (l->at & (l->bytes - 1));
	return length >= WIRE_ALIGN && length % WIRE_ALIGN == 0 && length <= l->head - l->at &&
	       length <= rest;
}

/*
 * Whether an unpublished record at `at` was waited for long enough, its process living. Only time in
 * which the process records counts, and a second at most at a time: a process that is stopped (docker
 * pause, a debugger) comes back to fill in its record, which must not be another's by then.
 */
static bool waited_enough(struct lane *l, uint64_t now_ns)
{
	const struct wire_lane *lane = l->shared;
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
static uint64_t place_behind(const struct lane *l)
{
	uint64_t circle_end = l->at + l->bytes - (l->at & (l->bytes - 1));
	return l->head < circle_end ? l->head : circle_end;
}

/* An unpublished record is next: wait, or skip it. True if it was skipped. */
static bool skip_unpublished(struct lane *l, uint32_t word, uint64_t now_ns, bool producer_lives)
{
	uint32_t length = word & ~WIRE_BUSY;
	if (word && !length_fits(l, length)) {
		break_lane(l);
		return false;
	}
	/* While it is waited for, the head is not asked again: up to where it was, all is as old. What a
	 * living process reserved later may be written to at this moment. */
	if (producer_lives ? !waited_enough(l, now_ns) : !look_at_head(l))
		return false;
	l->skipped++;
	l->at = word ? l->at + length : place_behind(l);
	return true;
}

/* Copies the published record at `at` and checks the copy; false if it is none. */
static bool copy_record(const struct lane *l, uint32_t length, struct ring_record *rec)
{
	if (length < WIRE_RECORD_BYTES || length > sizeof(copy))
		return false;
	memcpy(copy, at_position(l, l->at), length);
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
		.time_ns = w->time,
		.offset = w->offset,
		.payload = span_of(copy + WIRE_RECORD_BYTES, payload - w->pad),
	};
	return true;
}

enum lane_found lane_next(struct lane *l, uint64_t now_ns, bool producer_lives,
			  struct ring_record *rec)
{
	if (l->at == l->head && (!look_at_head(l) || l->at == l->head))
		return LANE_NOTHING;
	struct wire_record *at = (struct wire_record *)at_position(l, l->at);
	/* Acquire pairs with the producer's release of the published length. */
	uint32_t word = __atomic_load_n(&at->length, __ATOMIC_ACQUIRE);
	if (!word || (word & WIRE_BUSY))
		return skip_unpublished(l, word, now_ns, producer_lives) ? LANE_SKIP : LANE_NOTHING;
	l->stuck_at = 0;
	if (!length_fits(l, word)) {
		break_lane(l);
		return LANE_NOTHING;
	}
	bool is_pad = __atomic_load_n(&at->type, __ATOMIC_RELAXED) == WIRE_PAD;
	bool good = !is_pad && copy_record(l, word, rec);
	l->skipped += !good && !is_pad;
	l->at += word;
	return good ? LANE_RECORD : LANE_SKIP;
}
