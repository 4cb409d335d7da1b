/*
 * sse_scan.h - how far a line goes: inside the SSE parser only.
 *
 * One pass for both line ends. Two calls of memchr, one for each, would read the rest of the input
 * again at every line of a stream that uses only the other one.
 */
#ifndef BODY_SSE_SCAN_H
#define BODY_SSE_SCAN_H

#include "agent/base/span.h"
#include "agent/body/swar.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool sse_is_line_end(uint8_t c)
{
	return c == '\r' || c == '\n';
}

/* Bytes before the first CR or LF; the length of `in` if there is none. */
static inline size_t sse_line_bytes(struct span in)
{
	size_t at = 0;
#ifdef __SSE2__
	const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r');
	for (; in.len - at >= 16; at += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(in.at + at));
		__m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, lf), _mm_cmpeq_epi8(v, cr));
		int bits = _mm_movemask_epi8(hit);
		if (bits)
			return at + (size_t)__builtin_ctz((unsigned)bits);
	}
#else
	for (; in.len - at >= 8; at += 8) {
		uint64_t w = swar_load(in.at + at);
		if (swar_has(w, '\n') || swar_has(w, '\r'))
			break;
	}
#endif
	while (at < in.len && !sse_is_line_end(in.at[at]))
		at++;
	return at;
}

#endif
