/*
 * sse_makes.h - a stream of events, made up: what servers send, what the standard allows beyond, and what
 * two readers may read differently; and how it comes in pieces.
 */
#ifndef TESTS_ORACLES_SSE_MAKES_H
#define TESTS_ORACLES_SSE_MAKES_H

#include "tests/oracles/chance.h"

/* One stream keeps to one kind of line end, mostly. */
struct sse_maker {
	struct chance c;
	struct text *to;
	const char *line_end;
};

static inline void sse_line_end(struct sse_maker *m)
{
	static const char *const ends[] = {"\n", "\r\n", "\r"};
	static const char *const wrong[] = {"\n\r",	"\r\r\n",	"\x0b",
					    "\xc2\x85", "\xe2\x80\xa8", ""};
	if (m->line_end)
		say(m->to, m->line_end);
	else
		say(m->to, PICK(&m->c, ends));
	if (odd(&m->c))
		say(m->to, PICK(&m->c, wrong));
}

static inline void sse_colon(struct sse_maker *m)
{
	static const char *const usual[] = {": ", ": ", ": ", ":"};
	static const char *const wrong[] = {":  ", ":\t", " :",	       " : ",
					    "::",  "",	  ":\xc2\xa0", ": :"};
	say(m->to, odd(&m->c) ? PICK(&m->c, wrong) : PICK(&m->c, usual));
}

/* Parts of texts of every kind; nothing in them ends a line. */
static inline void sse_text(struct sse_maker *m)
{
	static const char *const parts[] = {
		"a",
		"hello ",
		" ",
		"0123456789abcdef",
		"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\" the\"}}]}",
		"\xc3\xa9",
		"\xe2\x82\xac",
		"\xf0\x9f\x98\x80",
		"data: ",
		"event",
		":",
		"\\n",
		"\t",
		"\x7f"};
	static const char *const wrong[] = {
		"\xff",		"\xc3",		"\xe2\x82",    "\xf0\x9f\x98", "\xf0\x9f",
		"\x80",		"\xbf\xbf",	"\xc0\xaf",    "\xed\xa0\x80", "\xf4\x90\x80\x80",
		"\xe0\x80\x80", "\xef\xbb\xbf", "\xf8\x88\x80"};
	for (unsigned n = 1 + below(&m->c, 4); n; n--) {
		if (!odd(&m->c))
			say(m->to, PICK(&m->c, parts));
		else if (one_in(&m->c, 4))
			put_byte(m->to, 0);
		else
			say(m->to, PICK(&m->c, wrong));
	}
}

/* So long that it goes over what is searched at once. */
static inline void sse_long_text(struct sse_maker *m)
{
	size_t most = one_in(&m->c, 8) ? 40000 : 3000;
	size_t end = m->to->len + 900 + below(&m->c, (unsigned)most);
	while (m->to->len < end)
		sse_text(m);
}

static inline void sse_data(struct sse_maker *m)
{
	switch (below(&m->c, 12)) {
	case 0:
		break;
	case 1:
		say(m->to, "[DONE]");
		break;
	case 2:
		say(m->to, " ");
		break;
	case 3:
		if (one_in(&m->c, 12))
			sse_long_text(m);
		break;
	default:
		sse_text(m);
	}
}

static inline void sse_name(struct sse_maker *m)
{
	static const char *const names[] = {"error",
					    "ping",
					    "message",
					    "message_start",
					    "content_block_delta",
					    "response.created",
					    "end",
					    "",
					    "message",
					    "response.output_text.delta",
					    "a name of 22 bytes: 22",
					    "a name of 21 bytes 21",
					    "a name of 23 bytes: 23.",
					    "a name of 22 byte\xf0\x9f\x98\x80s"};
	if (odd(&m->c))
		sse_text(m);
	else
		say(m->to, PICK(&m->c, names));
	if (odd(&m->c))
		sse_text(m);
}

static inline void sse_other_field(struct sse_maker *m)
{
	static const char *const fields[] = {"id: 7",
					     "id",
					     "id:",
					     "retry: 3000",
					     "retry: 3s",
					     "retry:",
					     "datum: a",
					     "dat: a",
					     "Data: a",
					     "EVENT:",
					     "events: a",
					     "even: a",
					     "evente",
					     "a field name: that is long",
					     " data: a",
					     " ",
					     "foo",
					     "foo: bar",
					     "id: 7: 8",
					     "id:\xff",
					     "retry: -1",
					     "retry: 99999999999999999999",
					     "retry",
					     "event ",
					     "event :a",
					     "data :a",
					     "data\t: a",
					     "eve",
					     "dat",
					     "datadata: a",
					     "data data: a",
					     "event event",
					     "\357\273\277event: a",
					     "\357\273\277data: a"};
	say(m->to, PICK(&m->c, fields));
	if (one_in(&m->c, 20)) {
		say(m->to, "id: 1");
		put_byte(m->to, 0);
	}
}

static inline void sse_line(struct sse_maker *m)
{
	unsigned kind = below(&m->c, 16);
	if (kind < 9) {
		say(m->to, "data");
		if (!one_in(&m->c, 20)) {
			sse_colon(m);
			sse_data(m);
		}
	} else if (kind < 12) {
		say(m->to, "event");
		if (!one_in(&m->c, 20)) {
			sse_colon(m);
			sse_name(m);
		}
	} else if (kind < 14) {
		say(m->to, ":");
		if (one_in(&m->c, 2))
			sse_text(m);
	} else {
		sse_other_field(m);
	}
	sse_line_end(m);
}

static inline void sse_begin(struct sse_maker *m)
{
	static const char *const odd_marks[] = {"\xef",		"\xef\xbb",
						"\xbb\xbf",	"\xef\xbb\xbf\xef\xbb\xbf",
						"\xef\xbb\xbe", "\xc3\xaf\xc2\xbb\xc2\xbf",
						"\xfe\xff",	"\n\xef\xbb\xbf"};
	if (odd(&m->c) && one_in(&m->c, 2))
		say(m->to, PICK(&m->c, odd_marks));
	else if (one_in(&m->c, 12))
		say(m->to, "\xef\xbb\xbf");
}

static inline void make_stream(struct chance *c, struct text *to)
{
	static const char *const ends[] = {"\n", "\n", "\r\n", "\r", NULL};
	static const char telling[] = "\r\n\r\n: :dataevent\0\xef\xbb\xbf";
	struct sse_maker m = {*c, to, NULL};
	m.line_end = PICK(&m.c, ends);
	sse_begin(&m);
	for (unsigned n = 1 + below(&m.c, one_in(&m.c, 10) ? 30 : 5); n; n--) {
		for (unsigned lines = one_in(&m.c, 2) ? 1 : below(&m.c, 6); lines; lines--)
			sse_line(&m);
		if (!odd(&m.c))
			sse_line_end(&m);
	}
	if (one_in(&m.c, 5))
		to->len -= below(&m.c, to->len < 40 ? (unsigned)to->len + 1 : 40);
	if (m.c.odd && one_in(&m.c, 3))
		mutate(&m.c, to, telling, sizeof(telling) - 1);
	*c = m.c;
}

#define SSE_PIECES 8u

/* How many bytes come next of those that are left: all at once, one by one, or as it happens. */
static inline size_t piece_bytes(struct chance *c, unsigned how, size_t left)
{
	static const unsigned most[SSE_PIECES] = {0, 0, 0, 1, 3, 12, 40, 100};
	size_t n = most[how] ? 1 + below(c, most[how]) : left;
	if (left > 2000 && n < 500)
		n = 500 + below(c, 700); /* a long one would be all pieces */
	return n < left ? n : left;
}

#endif
