/*
 * ring.h - the producer's end of the ring: reserve, fill, publish, or drop and count.
 *
 * Called from the hooks, in any thread and from signal handlers that interrupt a hook. Nothing here
 * waits, locks, allocates or makes a system call. The layout is shim/wire.h.
 */
#ifndef SHIM_RING_H
#define SHIM_RING_H

#include "shim/wire.h"

#include <stdbool.h>
#include <sys/uio.h>

#pragma GCC visibility push(hidden) /* reached without the global offset table */

struct ring {
	uint8_t *map; /* the whole file */
	uint32_t lanes;
	uint32_t lane_bytes;
	/* Last tail seen of each lane: the agent's cache line is read only when a lane looks full. */
	uint64_t tail_seen[WIRE_LANES_MAX];
};

/* `map` holds a ring file whose header is complete and whose lanes are zero. */
void ring_init(struct ring *r, void *map, uint32_t lanes, uint32_t lane_bytes);

/* What the record says besides its payload. */
struct ring_note {
	enum wire_type type;
	uint16_t info;
	uint32_t fd;
	uint32_t generation;
	uint64_t time_ns;
	uint64_t offset;
};

/* One record without stream bytes. It may use the lane's reserve. */
void ring_put_control(struct ring *r, const struct ring_note *note);

/* The first `total` bytes of an iovec list as one or more records of at most WIRE_PAYLOAD_MAX bytes;
 * note->offset is that of the first byte. What does not fit is dropped and counted. */
void ring_put_data(struct ring *r, const struct ring_note *note, const struct iovec *iov,
		   size_t total);

#pragma GCC visibility pop

#endif
