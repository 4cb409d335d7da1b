/*
 * hex.h - hexadecimal digits, as chunk sizes, JSON escapes and percent-encoding have them.
 */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stdint.h>

/* 0 to 15, of either case; -1 if it is no digit. Whether it is a letter no branch depends on: that would be
 * guessed wrong every third time. */
static inline int hex_digit(uint8_t c)
{
	static const uint8_t one_more[256] = {
		['0'] = 1,  ['1'] = 2,	['2'] = 3,  ['3'] = 4,	['4'] = 5,  ['5'] = 6,
		['6'] = 7,  ['7'] = 8,	['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
		['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
		['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
	};
	return one_more[c] - 1;
}

#endif
