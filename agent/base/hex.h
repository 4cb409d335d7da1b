/*
 * hex.h - hexadecimal digits, as chunk sizes, JSON escapes and percent-encoding have them.
 */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stdbool.h>
#include <stdint.h>

/* 0 to 15, of either case; -1 if it is no digit. Whether it is a letter no branch depends on: that would be
 * guessed wrong every third time. */
static inline int hex_digit(uint8_t c)
{
	/* 0..9 | A..F | a..f, a bit each */
	static const uint32_t set[8] = {0, 0x03ff0000, 0x0000007e, 0x0000007e};
	bool digit = set[c / 32] >> (c % 32) & 1;
	return digit ? (c & 15) + 9 * (c >> 6) : -1;
}

#endif
