/*
 * swar.h - eight bytes in a register, for scanning where there is no SSE2.
 *
 * The answers are exact for "any or none", whatever the byte order; which byte it was is left to a
 * loop over the eight.
 */
#ifndef BODY_SWAR_H
#define BODY_SWAR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SWAR_ONES  0x0101010101010101u
#define SWAR_HIGHS 0x8080808080808080u

static inline uint64_t swar_load(const uint8_t *at)
{
	uint64_t w;
	memcpy(&w, at, sizeof(w));
	return w;
}

/* Whether one of the bytes is below n, which is at most 128. */
static inline bool swar_has_below(uint64_t w, uint8_t n)
{
	return ((w - SWAR_ONES * n) & ~w & SWAR_HIGHS) != 0;
}

/* Whether one of the bytes is c. */
static inline bool swar_has(uint64_t w, uint8_t c)
{
	return swar_has_below(w ^ (SWAR_ONES * c), 1);
}

#endif
