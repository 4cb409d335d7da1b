/*
 * same_bytes.h - how far two texts are the same: inside the JSON shapes only.
 */
#ifndef BODY_SAME_BYTES_H
#define BODY_SAME_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>

/* Of 16 bytes each; 16 if there is no difference. */
static inline size_t same_of_16(const uint8_t *a, const uint8_t *b)
{
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)a);
	__m128i y = _mm_loadu_si128((const __m128i *)(const void *)b);
	unsigned differ = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) ^ 0xffffu;
	return differ ? (size_t)__builtin_ctz(differ) : 16;
}
#endif

static inline size_t same_one_by_one(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t at = 0;
	while (at < n && a[at] == b[at])
		at++;
	return at;
}

/* Bytes before the first that differs; n if none does. */
static inline size_t same_bytes(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t at = 0;
#ifdef __SSE2__
	for (; n - at >= 16; at += 16) {
		size_t same = same_of_16(a + at, b + at);
		if (same < 16)
			return at + same;
	}
	if (at && at < n) /* the last 16, of which the first were compared already */
		return n - 16 + same_of_16(a + n - 16, b + n - 16);
#endif
	for (; n - at >= 8; at += 8) {
		uint64_t x, y;
		memcpy(&x, a + at, 8);
		memcpy(&y, b + at, 8);
		if (x != y)
			break;
	}
	return at + same_one_by_one(a + at, b + at, n - at);
}

#endif
