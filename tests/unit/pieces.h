/*
 * pieces.h - a parser's input in pieces: whole, byte by byte and in two at every split. Each piece
 * ends against an unmapped page, and every way must give one identical trace.
 */
#ifndef TESTS_PIECES_H
#define TESTS_PIECES_H

#include "tests/unit/test.h"

#include "agent/base/span.h"

#include <sys/mman.h>

#define PIECES_ROOM  (1u << 18) /* the longest piece; whole pages */
#define PIECES_GUARD 4096u

struct trace {
	char text[1u << 18];
	size_t len;
};

static inline void trace_put(struct trace *t, struct span s)
{
	assert_true(s.len <= sizeof(t->text) - 1 - t->len);
	if (s.len)
		memcpy(t->text + t->len, s.at, s.len);
	t->len += s.len;
	t->text[t->len] = '\0';
}

static inline void trace_str(struct trace *t, const char *text)
{
	trace_put(t, span_str(text));
}

/* A parser with its trace. */
struct subject {
	void (*begin)(struct trace *t);
	void (*take)(struct trace *t, struct span piece);
	void (*end)(struct trace *t);
};

/* A copy of `piece` that ends where nothing is mapped. Dies at the next call. */
static inline struct span piece_at_edge(struct span piece)
{
	static uint8_t *room;
	if (!room) {
		room = mmap(NULL, PIECES_ROOM + PIECES_GUARD, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(room, MAP_FAILED);
		assert_int_equal(mprotect(room + PIECES_ROOM, PIECES_GUARD, PROT_NONE), 0);
	}
	assert_true(piece.len <= PIECES_ROOM);
	uint8_t *at = room + PIECES_ROOM - piece.len;
	if (piece.len)
		memcpy(at, piece.at, piece.len);
	return span_of(at, piece.len);
}

/* The trace of `in` cut into pieces of `step` bytes, the first of which has `first`. */
static inline void pieces_run(const struct subject *s, struct span in, size_t first, size_t step,
			      struct trace *t)
{
	t->len = 0;
	t->text[0] = '\0';
	s->begin(t);
	for (size_t n = first; in.len; n = step)
		s->take(t, piece_at_edge(span_take(&in, n < in.len ? n : in.len)));
	s->end(t);
}

/* Every way gives the trace that the whole input gave, which is left in *whole. */
static inline void pieces_agree(const struct subject *s, struct span in, struct trace *whole)
{
	static struct trace t;
	pieces_run(s, in, in.len, in.len, whole);
	pieces_run(s, in, 1, 1, &t);
	assert_string_equal(t.text, whole->text);
	for (size_t first = 1; first < in.len; first++) {
		pieces_run(s, in, first, in.len, &t);
		assert_string_equal(t.text, whole->text);
	}
}

static inline void pieces_give(const struct subject *s, struct span in, const char *want)
{
	static struct trace whole;
	pieces_agree(s, in, &whole);
	assert_string_equal(whole.text, want);
}

#endif
