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

#include "shim/text.h"

void ring_init(struct ring *r, void *map, uint32_t lanes, uint32_t lane_bytes)
{
	*r = (struct ring){.map = map, .lanes = lanes, .lane_bytes = lane_bytes};
}

static struct wire_lane *ring_lane(const struct ring *r, uint32_t n)
{
	return (struct wire_lane *)(r->map + wire_lane_offset(n, r->lane_bytes));
}

static uint32_t aligned(size_t bytes)
{
	return (uint32_t)((bytes + WIRE_ALIGN - 1) & ~(size_t)(WIRE_ALIGN - 1));
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
static bool has_room(struct ring *r, struct wire_lane *lane, uint32_t n, uint64_t head,
		     uint64_t need, uint32_t spare)
{
	uint64_t seen = __atomic_load_n(&r->tail_seen[n], __ATOMIC_ACQUIRE);
	if (head - seen <= r->lane_bytes && head - seen + need + spare <= r->lane_bytes)
		return true;
	uint64_t tail = __atomic_load_n(&lane->tail, __ATOMIC_ACQUIRE);
	if (tail > head || head - tail > r->lane_bytes || (tail & (WIRE_ALIGN - 1)))
		return false;
	__atomic_store_n(&r->tail_seen[n], tail, __ATOMIC_RELEASE);
	return head - tail + need + spare <= r->lane_bytes;
}

/*
 * Reserves `length` bytes in one piece. Where they would run over the end of the circle, the rest of
 * it becomes a PAD record. NULL if the lane is full.
 */
static struct wire_record *reserve(struct ring *r, uint32_t n, uint32_t length, uint32_t spare)
{
	struct wire_lane *lane = ring_lane(r, n);
	uint8_t *circle = (uint8_t *)(lane + 1);
	uint64_t head = __atomic_load_n(&lane->head, __ATOMIC_RELAXED);
	uint32_t at, pad;
	do {
		/* The head lies in the agent's reach as well: keep it aligned and inside. */
		at = (uint32_t)head & (r->lane_bytes - 1) & ~(WIRE_ALIGN - 1);
		uint32_t rest = r->lane_bytes - at;
		pad = rest < length ? rest : 0;
		if (!has_room(r, lane, n, head, (uint64_t)pad + length, spare))
			return NULL;
	} while (!__atomic_compare_exchange_n(&lane->head, &head, head + pad + length, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	if (pad) {
		struct wire_record *filler = (struct wire_record *)(circle + at);
		filler->type = WIRE_PAD;
		/* Release: the type is there when the length is. Pairs with the agent's acquire. */
		__atomic_store_n(&filler->length, pad, __ATOMIC_RELEASE);
		at = 0;
	}
	struct wire_record *rec = (struct wire_record *)(circle + at);
	__atomic_store_n(&rec->length, length | WIRE_BUSY, __ATOMIC_RELAXED);
	return rec;
}

static void fill(struct wire_record *rec, const struct ring_note *note, uint32_t length,
		 size_t payload)
{
	rec->type = (uint8_t)note->type;
	rec->pad = (uint8_t)(length - WIRE_RECORD_BYTES - payload);
	rec->info = note->info;
	rec->fd = note->fd;
	rec->generation = note->generation;
	rec->time_ns = note->time_ns;
	rec->offset = note->offset;
}

static void publish(struct wire_record *rec, uint32_t length)
{
	/* Release: everything filled in is there when the length without BUSY is. Pairs with the
	 * agent's acquire of the same word. */
	__atomic_store_n(&rec->length, length, __ATOMIC_RELEASE);
}

void ring_put_control(struct ring *r, const struct ring_note *note)
{
	uint32_t n = note->fd & (r->lanes - 1);
	struct wire_record *rec = reserve(r, n, WIRE_RECORD_BYTES, 0);
	if (!rec) {
		count_drop(ring_lane(r, n), 0, true);
		return;
	}
	fill(rec, note, WIRE_RECORD_BYTES, 0);
	publish(rec, WIRE_RECORD_BYTES);
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
			text_bytes(to, from, count);
			g->skip += count;
			return;
		}
		text_bytes(to, from, here);
		to += here;
		count -= here;
		g->iov++;
		g->skip = 0;
	}
}

/* One record of `count` bytes; false if the lane is full. */
static bool put_piece(struct ring *r, const struct ring_note *note, struct gather *from,
		      size_t count)
{
	uint32_t length = aligned(WIRE_RECORD_BYTES + count);
	struct wire_record *rec = reserve(r, note->fd & (r->lanes - 1), length, WIRE_LANE_RESERVE);
	if (!rec)
		return false;
	fill(rec, note, length, count);
	gather_copy(from, (uint8_t *)(rec + 1), count);
	publish(rec, length);
	return true;
}

void ring_put_data(struct ring *r, const struct ring_note *note, const struct iovec *iov,
		   size_t total)
{
	struct gather from = {iov, 0};
	struct ring_note part = *note;
	while (total) {
		size_t count = total < WIRE_PAYLOAD_MAX ? total : WIRE_PAYLOAD_MAX;
		if (!put_piece(r, &part, &from, count)) {
			/* What follows of this call would find the lane full as well. */
			count_drop(ring_lane(r, note->fd & (r->lanes - 1)), total, false);
			return;
		}
		part.offset += count;
		total -= count;
	}
}
