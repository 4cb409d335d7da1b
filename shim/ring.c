/*
 * Reserve, mark, fill, publish: see the picture in wire.h.
 *
 *   head:  ...|  published  |  being filled  |  reserved  |  free ...          (of one lane)
 *             ^tail                                       ^head
 *
 * A producer that is interrupted between these steps by a signal handler that records too, or that
 * is killed there, leaves a hole that the consumer waits for or skips; others are not held up.
 */
#include "shim/ring.h"

void ring_init(struct ring *r, void *map, uint32_t lanes, uint32_t lane_bytes)
{
	r->map = map;
	r->lanes = lanes;
	r->lane_bytes = lane_bytes;
	for (uint32_t n = 0; n < lanes; n++) {
		r->lane[n].at = (struct wire_lane *)(r->map + wire_lane_offset(n, lane_bytes));
		r->lane[n].tail_seen = 0;
	}
}

static void count_drop(struct wire_lane *lane, uint64_t stream_bytes, bool control)
{
	__atomic_fetch_add(&lane->dropped_records, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&lane->dropped_bytes, stream_bytes, __ATOMIC_RELAXED);
	if (control)
		__atomic_fetch_add(&lane->dropped_controls, 1, __ATOMIC_RELAXED);
}

/* Whether `need` bytes fit at head and leave `spare` free. The tail is the agent's word: one that
 * cannot be is taken for "full". Acquire pairs with the agent's release of the zeroed bytes. */
static bool has_room(const struct ring *r, struct ring_lane *l, uint64_t head, uint64_t need,
		     uint32_t spare)
{
	if (ring_fits(r, head, __atomic_load_n(&l->tail_seen, __ATOMIC_ACQUIRE), need, spare))
		return true;
	uint64_t tail = __atomic_load_n(&l->at->tail, __ATOMIC_ACQUIRE);
	if (tail > head || head - tail > r->lane_bytes || (tail & (WIRE_ALIGN - 1)))
		return false;
	__atomic_store_n(&l->tail_seen, tail, __ATOMIC_RELEASE);
	return ring_fits(r, head, tail, need, spare);
}

/*
 * Reserves `length` bytes in one piece. Where they would run over the end of the circle, the rest of
 * it becomes a PAD record. NULL if the lane is full.
 */
static struct wire_record *reserve(struct ring *r, struct ring_lane *l, uint32_t length,
				   uint32_t spare)
{
	uint8_t *circle = (uint8_t *)(l->at + 1);
	uint64_t head = __atomic_load_n(&l->at->head, __ATOMIC_RELAXED);
	uint32_t at, pad;
	do {
		at = ring_place(r, head);
		uint32_t rest = r->lane_bytes - at;
		pad = rest < length ? rest : 0;
		if (!has_room(r, l, head, (uint64_t)pad + length, spare))
			return NULL;
	} while (!__atomic_compare_exchange_n(&l->at->head, &head, head + pad + length, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	if (pad) {
		struct wire_record *filler = (struct wire_record *)(circle + at);
		filler->type = WIRE_PAD;
		/* The type is there when the length is. */
		ring_publish(filler, pad);
		at = 0;
	}
	struct wire_record *rec = (struct wire_record *)(circle + at);
	ring_mark(rec, length);
	return rec;
}

void ring_put_control(struct ring *r, const struct ring_note *note)
{
	struct ring_lane *l = ring_lane_of(r, note->fd);
	struct wire_record *rec = reserve(r, l, WIRE_RECORD_BYTES, 0);
	if (!rec) {
		count_drop(l->at, 0, true);
		return;
	}
	ring_fill(rec, note, WIRE_RECORD_BYTES, 0);
	ring_publish(rec, WIRE_RECORD_BYTES);
}

/* A place in an iovec list. */
struct gather {
	const struct iovec *iov;
	size_t skip; /* bytes of *iov already taken */
};

static void gather_copy(struct gather *g, uint8_t *to, size_t count)
{
	for (;;) {
		const uint8_t *from = (const uint8_t *)g->iov->iov_base + g->skip;
		size_t here = g->iov->iov_len - g->skip;
		if (here >= count) { /* it ends in this buffer */
			copy_bytes(to, from, count);
			g->skip += count;
			return;
		}
		copy_bytes(to, from, here);
		to += here;
		count -= here;
		g->iov++;
		g->skip = 0;
	}
}

/* One record of `count` bytes; false if the lane is full. */
static bool put_piece(struct ring *r, struct ring_lane *l, const struct ring_note *note,
		      struct gather *from, size_t count)
{
	uint32_t length = ring_aligned(WIRE_RECORD_BYTES + count);
	struct wire_record *rec = reserve(r, l, length, WIRE_LANE_RESERVE);
	if (!rec)
		return false;
	ring_fill(rec, note, length, count);
	gather_copy(from, (uint8_t *)(rec + 1), count);
	ring_publish(rec, length);
	return true;
}

bool ring_put_data(struct ring *r, const struct ring_note *note, const struct iovec *iov,
		   size_t total)
{
	struct ring_lane *l = ring_lane_of(r, note->fd);
	struct gather from = {iov, 0};
	struct ring_note part = *note;
	while (total) {
		size_t count = total < WIRE_PAYLOAD_MAX ? total : WIRE_PAYLOAD_MAX;
		if (!put_piece(r, l, &part, &from, count)) {
			/* What follows of this call would find the lane full as well. */
			count_drop(l->at, total, false);
			return false;
		}
		part.offset += count;
		total -= count;
	}
	return true;
}
