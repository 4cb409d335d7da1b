/*
 * lane.h - the consumer's end of one lane of a ring (shim/wire.h): what is next in it, and what was read
 * given back. Every word is checked before it is used, a record is copied out once and the copy is what is
 * looked at. The map may lose its pages at any access: whoever calls is on guard (cut_guard.h).
 */
#ifndef INTAKE_LANE_H
#define INTAKE_LANE_H

#include "agent/base/span.h"
#include "shim/wire.h"

/* A record's copy. `payload` dies with the next record of whatever lane. */
struct ring_record {
	uint8_t type; /* enum wire_type */
	uint16_t info;
	uint32_t fd;
	uint32_t generation;
	uint64_t time_ns;
	uint64_t offset;
	struct span payload;
};

/* An unpublished record of a process that goes on without it is skipped after so long. */
#define RING_STUCK_NS 10000000000u

struct lane {
	struct wire_lane *shared;
	uint32_t bytes;		/* of the circle */
	uint32_t release_bytes; /* given back at least this often */
	uint64_t head;	   /* as it was last read: the shared word is asked when this is reached */
	uint64_t at;	   /* what is read next */
	uint64_t tail;	   /* given back up to here; the shared word is only written */
	uint64_t stuck_at; /* position of the record that is waited for, + 1; 0 = none */
	uint64_t stuck_ns; /* waited so far */
	uint64_t stuck_seen_ns;
	uint64_t stuck_activity;
	uint64_t skipped; /* never published, no record at all, or where the lane broke */
	bool broken;	  /* no word of it can be believed any more: nothing is read of it */
};

/* Finds the place up to which an agent before us read. True if there was one. */
bool lane_begin(struct lane *l, struct wire_lane *shared, uint32_t bytes);

enum lane_found { LANE_NOTHING, LANE_SKIP, LANE_RECORD };

/* What is next: a record, something to pass over, or nothing for now. A record's time is as it stands in the
 * ring, the counter's where WIRE_TIME_COUNTER is set. now_ns and producer_lives: see ring_reader_drain. */
enum lane_found lane_next(struct lane *l, uint64_t now_ns, bool producer_lives,
			  struct ring_record *rec);

/* Gives back what was read: now, or when it is enough that a producer waits for it. */
void lane_release(struct lane *l);
void lane_release_often(struct lane *l);

/* Whether its head is where it was read to; of a broken one, always. */
static inline bool lane_is_quiet(const struct lane *l)
{
	return l->broken || __atomic_load_n(&l->shared->head, __ATOMIC_RELAXED) == l->at;
}

#endif
