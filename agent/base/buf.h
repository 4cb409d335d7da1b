/*
 * buf.h - a growing buffer that is given its maximum when it is made.
 *
 * Whatever an outsider can make grow stands in one of these. Past its maximum it refuses: the
 * caller decides what a refusal means. A zeroed struct is an empty buffer with maximum 0.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "agent/base/span.h"

struct buf {
	uint8_t *at;
	size_t len;
	size_t room; /* bytes allocated */
	size_t max;  /* len never passes this */
};

void buf_init(struct buf *b, size_t max);
/* Frees the memory; the buffer is empty and keeps its maximum. */
void buf_release(struct buf *b);

/* Appends; 0, or -ENOSPC past the maximum, -ENOMEM without memory. Then nothing was appended. */
int buf_put(struct buf *b, struct span s);

/* Forgets the contents, keeps the memory. */
static inline void buf_clear(struct buf *b)
{
	b->len = 0;
}

/* Borrowed: dies at the next call on b. */
static inline struct span buf_span(const struct buf *b)
{
	return span_of(b->at, b->len);
}

#endif
