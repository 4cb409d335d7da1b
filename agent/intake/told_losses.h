/*
 * told_losses.h - which of a ring's losses were exported already.
 *
 * The ring's counts live longer than an agent, and each agent's sums are series of their own: what one before
 * us has exported is not ours to tell again. What was lost since then, while nobody was there, is.
 */
#ifndef INTAKE_TOLD_LOSSES_H
#define INTAKE_TOLD_LOSSES_H

#include "agent/intake/ring_reader.h"

struct told_losses {
	struct {
		uint64_t dropped, skipped; /* records */
	} lane[WIRE_LANES_MAX];
	uint64_t unwatched_before; /* connections that an agent before us has exported */
};

/* Begins with what the ring says was exported, which is at most what it has lost. */
void told_losses_begin(struct told_losses *t, struct ring_reader *r);

/* How many records of a lane were lost since the last such call; they count as told from now on. */
uint64_t told_losses_records(struct told_losses *t, struct ring_reader *r, uint32_t lane);

/* How many connections went unwatched that no agent before us has exported. */
uint64_t told_losses_unwatched(const struct told_losses *t, struct ring_reader *r);

/* Notes in the ring, for the next agent, that all this is exported. */
void told_losses_note(const struct told_losses *t, struct ring_reader *r);

#endif
