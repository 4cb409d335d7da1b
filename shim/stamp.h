/*
 * stamp.h - the time of a record, read where it costs least: from the processor's counter where the
 * kernel keeps time by that (shim/wire.h). The agent makes CLOCK_MONOTONIC of it.
 */
#ifndef SHIM_STAMP_H
#define SHIM_STAMP_H

#include "shim/boot.h"

/* There must be a ring, mapped in this process: a forked child of one that has one does not have it. */
static inline uint64_t stamp_now(void)
{
	const struct wire_header *h = (const struct wire_header *)boot_ring.map;
	if (__builtin_expect(__atomic_load_n(&h->clock, __ATOMIC_RELAXED) == WIRE_CLOCK_COUNTER, 1))
		return wire_counter() | WIRE_TIME_COUNTER;
	return boot_now_ns();
}

#endif
