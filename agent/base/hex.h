/*
 * hex.h - hexadecimal digits, as chunk sizes, JSON escapes and percent-encoding have them.
 */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stdint.h>

/* 0 to 15, of either case; -1 if it is no digit. */
static inline int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
