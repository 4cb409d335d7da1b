/*
 * copy.h - bytes from one place to another, inline: the shim's memcpy where a call would show.
 *
 * SSE2 and NEON are what every machine of the two architectures has; more would have to be asked for
 * at run time. Records are a few hundred bytes: blocks of 64, and what is left by the last 64, 32, 16,
 * ... bytes, which overlap what was copied before. No byte by itself, no loop for the rest.
 */
#ifndef SHIM_COPY_H
#define SHIM_COPY_H

#include <stddef.h>
#include <stdint.h>

/* At any alignment: one register each. */
typedef uint8_t copy_v16 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t copy_v8 __attribute__((aligned(1), may_alias));
typedef uint32_t copy_v4 __attribute__((aligned(1), may_alias));
typedef uint16_t copy_v2 __attribute__((aligned(1), may_alias));

/* The first and the last bytes of a short run. */
#define COPY_BOTH_ENDS(type, t, f, n)                                                              \
	do {                                                                                       \
		type copy_first = *(const type *)(f);                                              \
		type copy_last = *(const type *)((f) + (n) - sizeof(type));                        \
		*(type *)(t) = copy_first;                                                         \
		*(type *)((t) + (n) - sizeof(type)) = copy_last;                                   \
	} while (0)

static inline void copy_32(uint8_t *t, const uint8_t *f)
{
	copy_v16 a = *(const copy_v16 *)f, b = *(const copy_v16 *)(f + 16);
	*(copy_v16 *)t = a;
	*(copy_v16 *)(t + 16) = b;
}

/* Fewer than 64. */
static inline void copy_short(uint8_t *t, const uint8_t *f, size_t n)
{
	if (n >= 32) {
		copy_32(t, f);
		copy_32(t + n - 32, f + n - 32);
	} else if (n >= 16) {
		COPY_BOTH_ENDS(copy_v16, t, f, n);
	} else if (n >= 8) {
		COPY_BOTH_ENDS(copy_v8, t, f, n);
	} else if (n >= 4) {
		COPY_BOTH_ENDS(copy_v4, t, f, n);
	} else if (n >= 2) {
		COPY_BOTH_ENDS(copy_v2, t, f, n);
	} else if (n) {
		*t = *f;
	}
}

/* The areas do not overlap. */
static inline void copy_bytes(void *to, const void *from, size_t n)
{
	uint8_t *t = to;
	const uint8_t *f = from;
	if (n < 64) {
		copy_short(t, f, n);
		return;
	}
	uint8_t *last = t + n - 64;
	const uint8_t *last_from = f + n - 64;
	for (; t < last; t += 64, f += 64) {
		copy_32(t, f);
		copy_32(t + 32, f + 32);
	}
	copy_32(last, last_from);
	copy_32(last + 32, last_from + 32);
}

#endif
