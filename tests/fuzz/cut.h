/*
 * cut.h - an input in pieces, each in memory of its own, so that a read past its end is seen; and a
 * sum of what was told of them, which must not depend on how the input was cut.
 */
#ifndef TESTS_CUT_H
#define TESTS_CUT_H

#include "tests/fuzz/must.h"

#include "agent/base/span.h"

#include <string.h>

struct cut {
	struct span rest;
	size_t next, step; /* bytes of the next piece, and of those behind it */
	uint8_t *piece;
};

/* A copy that free() takes back. */
static inline uint8_t *cut_copy(struct span bytes)
{
	uint8_t *copy = malloc(bytes.len ? bytes.len : 1);
	must(copy != NULL, "no memory");
	if (bytes.len)
		memcpy(copy, bytes.at, bytes.len);
	return copy;
}

/* The first piece may be empty, the others are not: `step` is at least 1. */
static inline struct cut cut_begin(struct span in, size_t first, size_t step)
{
	return (struct cut){.rest = in, .next = first, .step = step};
}

/* A fuzzer's input, whole and in pieces: its first two bytes say how the rest is cut. False: it is shorter. */
static inline bool cut_as_told(const uint8_t *data, size_t size, struct cut *whole,
			       struct cut *pieces)
{
	if (size < 2)
		return false;
	struct span in = span_of(data + 2, size - 2);
	*whole = cut_begin(in, in.len, in.len);
	*pieces = cut_begin(in, data[0], 1u + data[1] % 32u);
	return true;
}

static inline void cut_end(struct cut *c)
{
	free(c->piece);
	c->piece = NULL;
}

/* False at the end of the input. *piece dies at the next call; who stops before the end calls cut_end. */
static inline bool cut_next(struct cut *c, struct span *piece)
{
	cut_end(c);
	if (!c->rest.len)
		return false;
	struct span bytes = span_take(&c->rest, c->next < c->rest.len ? c->next : c->rest.len);
	c->next = c->step;
	c->piece = cut_copy(bytes);
	*piece = span_of(c->piece, bytes.len);
	return true;
}

/* FNV-1a of 64 bits. */
#define SUM_BEGIN 14695981039346656037u

static inline void sum_add(uint64_t *sum, struct span bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		*sum = (*sum ^ bytes.at[i]) * 1099511628211u;
}

#endif
