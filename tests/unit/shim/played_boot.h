/*
 * played_boot.h - the shim's life in a process (boot.h), played: it is what a test says. The ring has
 * one lane. For one file of a program: it defines what boot.c and real.c do.
 */
#ifndef TESTS_PLAYED_BOOT_H
#define TESTS_PLAYED_BOOT_H

#include "tests/unit/test.h"

#include "shim/boot.h"
#include "shim/conn.h"
#include "shim/real.h"
#include "shim/ring.h"

#define PLAYED_MAP_BYTES(lane_bytes) (WIRE_HEADER_BYTES + WIRE_LANE_HEADER_BYTES + (lane_bytes))

bool boot_enabled = true;
bool boot_wipe_missing;
struct ring boot_ring;
struct shim_real shim_real;

static struct played {
	bool own_process, has_ring, may_call;
	uint64_t now_ns;
	unsigned unwatched;	 /* atomic */
	void (*meanwhile)(void); /* what another thread does when the clock is read next */
} played;

/* Of descriptors: as where the kernel does not wipe them in forked children, and as they are where it
 * did. */
static inline bool played_fresh_tables(void)
{
	boot_wipe_missing = true;
	bool made = conn_prepare();
	boot_wipe_missing = false;
	return made;
}

/* An active process without connections. `map` is all zero; false: no memory. */
static inline bool played_begin(uint8_t *map, uint32_t lane_bytes)
{
	played = (struct played){
		.own_process = true, .has_ring = true, .may_call = true, .now_ns = 1};
	ring_init(&boot_ring, map, 1, lane_bytes);
	return played_fresh_tables();
}

static inline struct wire_lane *played_lane(void)
{
	return (struct wire_lane *)(boot_ring.map + WIRE_HEADER_BYTES);
}

/* The record at its tail; NULL: there is none. */
static inline struct wire_record *played_record(void)
{
	struct wire_lane *lane = played_lane();
	if (lane->tail >= lane->head)
		return NULL;
	return (struct wire_record *)((uint8_t *)(lane + 1) + lane->tail);
}

void boot_serve(void)
{
}

void boot_activate_for_one(void)
{
}

bool boot_may_call(void)
{
	return played.may_call;
}

bool boot_has_ring(void)
{
	return played.own_process && played.has_ring;
}

bool boot_is_active(void)
{
	return played.own_process;
}

bool boot_own_process(void)
{
	return played.own_process;
}

uint64_t boot_now_ns(void)
{
	void (*meanwhile)(void) = played.meanwhile;
	if (meanwhile) {
		played.meanwhile = NULL;
		meanwhile();
	}
	return played.now_ns;
}

void boot_count_unwatched(void)
{
	__atomic_fetch_add(&played.unwatched, 1, __ATOMIC_RELAXED);
}

#endif
