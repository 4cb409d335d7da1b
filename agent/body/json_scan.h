/*
 * json_scan.h - how far a JSON string goes on plainly: inside the JSON scanner only.
 */
#ifndef BODY_JSON_SCAN_H
#define BODY_JSON_SCAN_H

#include "agent/base/span.h"
#include "agent/body/swar.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Whether a byte in a string is anything but content: its end, an escape, or what JSON forbids. */
static inline bool json_is_special(uint8_t c)
{
	return c == '"' || c == '\\' || c < 0x20;
}

/* With this bit turned over a quote is the byte behind the controls, which stay among themselves: one
 * comparison finds both. */
#define JSON_QUOTE_BIT	  ('"' ^ 0x20)
#define JSON_BELOW_TURNED 0x21

/* Bytes before the first special one; the length of `in` if there is none. */
static inline size_t json_plain_bytes(struct span in)
{
	size_t at = 0;
#ifdef __SSE2__
	const __m128i bit = _mm_set1_epi8(JSON_QUOTE_BIT), slash = _mm_set1_epi8('\\');
	const __m128i most = _mm_set1_epi8(JSON_BELOW_TURNED - 1);
	for (; in.len - at >= 16; at += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(in.at + at));
		__m128i turned = _mm_xor_si128(v, bit);
		__m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, slash),
					   _mm_cmpeq_epi8(_mm_min_epu8(turned, most), turned));
		int bits = _mm_movemask_epi8(hit);
		if (bits)
			return at + (size_t)__builtin_ctz((unsigned)bits);
	}
#else
	for (; in.len - at >= 8; at += 8) {
		uint64_t w = swar_load(in.at + at);
		if (swar_has(w, '\\') ||
		    swar_has_below(w ^ (SWAR_ONES * JSON_QUOTE_BIT), JSON_BELOW_TURNED))
			break;
	}
#endif
	while (at < in.len && !json_is_special(in.at[at]))
		at++;
	return at;
}

#endif
