/*
 * token.h - the bytes of a token (RFC 9110 5.6.2): methods, field names, names of codings.
 */
#ifndef HTTP_TOKEN_H
#define HTTP_TOKEN_H

#include "agent/base/span.h"

static inline bool is_token_byte(uint8_t c)
{
	/* ! # $ % & ' * + - . 0..9 | A..Z ^ _ | ` a..z | ~, a bit each */
	static const uint32_t set[8] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff};
	return set[c / 32] >> (c % 32) & 1;
}

static inline bool is_token(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!is_token_byte(s.at[i]))
			return false;
	}
	return s.len > 0;
}

#endif
