/*
 * writing.h - what a writer of a ring puts next: most of it small, the shim's shortest way; some of it several
 * records; now and then one that has no bytes. And the time it takes.
 */
#ifndef TESTS_CHAOS_WRITING_H
#define TESTS_CHAOS_WRITING_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define WRITE_MAX 40000u

static inline uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* xorshift64 */
static inline uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static inline size_t next_bytes(uint64_t *random)
{
	uint64_t r = next_random(random);
	return r % 4 ? r / 4 % 600 : r / 4 % WRITE_MAX;
}

#endif
