/*
 * same_bytes.h - how far two texts are the same: inside the JSON shapes only.
 */
#ifndef BODY_SAME_BYTES_H
#define BODY_SAME_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SAME_BYTES_ROOM 16u

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

static inline __m128i equal_in_16(const uint8_t *a, const uint8_t *b)
{
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)a);
	__m128i y = _mm_loadu_si128((const __m128i *)(const void *)b);
	return _mm_cmpeq_epi8(x, y);
}

/* Of at least 16 bytes each; the last 16 are looked at as a whole, whatever was before. */
static inline bool equal_by_16(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t at = 0, last = n - 16;
	for (; at + 16 < last; at += 32) {
		__m128i both = _mm_and_si128(equal_in_16(a + at, b + at),
					     equal_in_16(a + at + 16, b + at + 16));
		if (_mm_movemask_epi8(both) != 0xffff)
			return false;
	}
	__m128i end = equal_in_16(a + last, b + last);
	if (at < last)
		end = _mm_and_si128(end, equal_in_16(a + at, b + at));
	return _mm_movemask_epi8(end) == 0xffff;
}
#endif

static inline uint64_t load_8(const uint8_t *at)
{
	uint64_t w;
	memcpy(&w, at, sizeof(w));
	return w;
}

/* Whether `n` bytes are the same. Of `a` SAME_BYTES_ROOM more can be read, of `b` all of `room`. */
static inline __attribute__((always_inline)) bool equal_bytes(const uint8_t *a, const uint8_t *b,
							      size_t n, size_t room)
{
#ifdef __SSE2__
	if (n >= 16)
		return equal_by_16(a, b, n);
	if (room >= 16)
		return (~(unsigned)_mm_movemask_epi8(equal_in_16(a, b)) & ((1u << n) - 1)) == 0;
#else
	(void)room;
#endif
	size_t at = 0;
	for (; n - at >= 8; at += 8) {
		if (load_8(a + at) != load_8(b + at))
			return false;
	}
	if (n >= 8)
		return load_8(a + n - 8) == load_8(b + n - 8);
	while (at < n && a[at] == b[at])
		at++;
	return at == n;
}

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
	while (n - at >= 8 && load_8(a + at) == load_8(b + at))
		at += 8;
	return at + same_one_by_one(a + at, b + at, n - at);
}

#endif
