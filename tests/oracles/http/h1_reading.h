/*
 * h1_reading.h - what a reader of HTTP/1 says of an input: a row of units, HEAD, BODY, END of each message,
 * then how it ended. BAD is one, too.
 */
#ifndef TESTS_ORACLES_H1_READING_H
#define TESTS_ORACLES_H1_READING_H

#include "tests/oracles/chance.h"

#include "agent/base/span.h"

#define UNITS_MAX 256

enum unit_type {
	UNIT_HEAD,
	UNIT_BODY,
	UNIT_END,
	UNIT_UPGRADE,
	UNIT_BAD,
	UNIT_BETWEEN,
	UNIT_INSIDE
};
static const char *const unit_names[] = {"HEAD", "BODY",    "END",   "UPGRADE",
					 "BAD",	 "between", "inside"};

struct unit {
	enum unit_type type;
	size_t at, len; /* what it says, in the reading's text */
	size_t begin;	/* of its message, in the input */
};

struct reading {
	struct text text;
	struct unit units[UNITS_MAX];
	size_t count;
	size_t begin;	/* of the present message */
	size_t stopped; /* at the first byte that was not taken */
};

struct plan {
	bool requests;
	unsigned char asked[UNITS_MAX]; /* enum http_method of the n-th response's request */
};

static inline void unit(struct reading *r, enum unit_type type)
{
	if (r->count == UNITS_MAX)
		abort();
	r->units[r->count++] = (struct unit){type, r->text.len, 0, r->begin};
}

/* Adds to what the last unit says. */
static inline void tell(struct reading *r, const void *at, size_t len)
{
	put(&r->text, at, len);
	r->units[r->count - 1].len += len;
}

/* White space inside a value, which a fold makes of line ends, is one space. */
static inline void tell_value(struct reading *r, const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool space = strchr(" \t\r\n", at[i]) && at[i];
		if (space && i && strchr(" \t\r\n", at[i - 1]) && at[i - 1])
			continue;
		tell(r, space ? " " : (const char *)&at[i], 1);
	}
}

static inline void tell_text(struct reading *r, const char *text)
{
	tell(r, text, strlen(text));
}

#endif
