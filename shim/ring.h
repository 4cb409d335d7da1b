/*
 * ring.h - the producer's end of the ring: reserve, fill, publish, or drop and count.
 *
 * Called from the hooks, in any thread and from signal handlers that interrupt a hook. Nothing here
 * waits, locks, allocates or makes a system call. The layout is shim/wire.h.
 */
#ifndef SHIM_RING_H
#define SHIM_RING_H

#include "shim/copy.h"
#include "shim/wire.h"

#include <stdbool.h>
#include <sys/uio.h>

#pragma GCC visibility push(hidden) /* reached without the global offset table */

/* What the producer keeps of a lane; no two in one cache line, as they are written by the threads of
 * different connections. */
struct ring_lane {
	struct wire_lane *at;
	/* Last tail seen: the agent's cache line is read only when the lane looks full. */
	uint64_t tail_seen;
} __attribute__((aligned(64)));

struct ring {
	uint8_t *map; /* the whole file */
	uint32_t lanes;
	uint32_t lane_bytes;
	struct ring_lane lane[WIRE_LANES_MAX];
};

/* `map` holds a ring file whose header is complete and whose lanes are zero. */
void ring_init(struct ring *r, void *map, uint32_t lanes, uint32_t lane_bytes);

/* What the record says besides its payload. */
struct ring_note {
	enum wire_type type;
	uint16_t info;
	uint32_t fd;
	uint32_t generation;
	uint64_t time; /* as in wire.h */
	uint64_t offset;
};

/* One record without stream bytes. It may use the lane's reserve. */
void ring_put_control(struct ring *r, const struct ring_note *note);

/* The first `total` bytes of an iovec list as one or more records of at most WIRE_PAYLOAD_MAX bytes;
 * note->offset is that of the first byte. What does not fit is dropped and counted; false then. */
bool ring_put_data(struct ring *r, const struct ring_note *note, const struct iovec *iov,
		   size_t total);

/* ---- the steps, see wire.h ---------------------------------------------------------------------- */

static inline uint32_t ring_aligned(size_t bytes)
{
	return (uint32_t)((bytes + WIRE_ALIGN - 1) & ~(size_t)(WIRE_ALIGN - 1));
}

static inline struct ring_lane *ring_lane_of(struct ring *r, uint32_t fd)
{
	return &r->lane[fd & (r->lanes - 1)];
}

/* Whether `need` bytes and `spare` fit behind a head by the tail that was seen last. A tail before
 * which the head cannot be fails this, too. */
static inline bool ring_fits(const struct ring *r, uint64_t head, uint64_t tail, uint64_t need,
			     uint32_t spare)
{
	return head - tail <= r->lane_bytes - spare - need;
}

/* The head lies in the agent's reach as well: whatever it says, this is inside and aligned. */
static inline uint32_t ring_place(const struct ring *r, uint64_t head)
{
	return (uint32_t)head & (r->lane_bytes - 1) & ~(WIRE_ALIGN - 1);
}

/* Reserves at once, or does nothing and returns NULL: the lane looks full, the circle's end is near,
 * or another thread was quicker. */
static inline struct wire_record *ring_reserve_at_once(struct ring *r, struct ring_lane *l,
						       uint32_t length, uint32_t spare)
{
	uint64_t head = __atomic_load_n(&l->at->head, __ATOMIC_RELAXED);
	uint32_t at = ring_place(r, head);
	/* Acquire pairs with the release with which another thread noted the tail that it saw. */
	uint64_t seen = __atomic_load_n(&l->tail_seen, __ATOMIC_ACQUIRE);
	if (at > r->lane_bytes - length || !ring_fits(r, head, seen, length, spare) ||
	    !__atomic_compare_exchange_n(&l->at->head, &head, head + length, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return NULL;
	return (struct wire_record *)((uint8_t *)(l->at + 1) + at);
}

static inline void ring_mark(struct wire_record *rec, uint32_t length)
{
	__atomic_store_n(&rec->length, length | WIRE_BUSY, __ATOMIC_RELAXED);
}

static inline void ring_fill(struct wire_record *rec, const struct ring_note *note, uint32_t length,
			     size_t payload)
{
	rec->type = (uint8_t)note->type;
	rec->pad = (uint8_t)(length - WIRE_RECORD_BYTES - payload);
	rec->info = note->info;
	rec->fd = note->fd;
	rec->generation = note->generation;
	rec->time = note->time;
	rec->offset = note->offset;
}

static inline void ring_publish(struct wire_record *rec, uint32_t length)
{
	/* Release: everything filled in is there when the length without BUSY is. Pairs with the
	 * agent's acquire of the same word. */
	__atomic_store_n(&rec->length, length, __ATOMIC_RELEASE);
}

/* ring_put_data for what most calls are: one record of bytes in one piece that fits. False if it is
 * not that; then nothing was done. */
static inline __attribute__((always_inline)) bool ring_put_at_once(struct ring *r,
								   const struct ring_note *note,
								   const void *bytes, size_t n)
{
	if (n > WIRE_PAYLOAD_MAX)
		return false;
	uint32_t length = ring_aligned(WIRE_RECORD_BYTES + n);
	struct wire_record *rec =
		ring_reserve_at_once(r, ring_lane_of(r, note->fd), length, WIRE_LANE_RESERVE);
	if (!rec)
		return false;
	ring_mark(rec, length);
	ring_fill(rec, note, length, n);
	copy_bytes(rec + 1, bytes, n);
	ring_publish(rec, length);
	return true;
}

#pragma GCC visibility pop

#endif
