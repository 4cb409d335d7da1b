/*
 * json_text.h - the text of a string or number that does not lie whole and plain in the input: put
 * together here, with its escapes undone. Inside the JSON scanner only.
 */
#ifndef BODY_JSON_TEXT_H
#define BODY_JSON_TEXT_H

#include "agent/base/limits.h"
#include "agent/base/span.h"

struct json_text {
	bool wanted; /* else it is only read */
	bool empty;  /* nothing came yet */
	bool cut;
	uint8_t escape;	    /* where in an escape the input is; 0 = in none */
	uint16_t code;	    /* \uXXXX so far */
	uint16_t surrogate; /* a high one that waits for its low one; 0 = none */
	uint16_t len;
	uint8_t at[LIMIT_JSON_TEXT_BYTES];
};

void json_text_begin(struct json_text *t, bool wanted);

/* Content without escapes. */
void json_text_put(struct json_text *t, struct span plain);

/* The backslash of an escape was read: json_text_escape takes what follows it. */
void json_text_backslash(struct json_text *t);
/* Takes what is there of the escape. False at a byte that cannot be part of one (RFC 8259 section 7). */
bool json_text_escape(struct json_text *t, struct span *in);

/* The string is complete. Borrowed: dies with the next text. */
struct span json_text_end(struct json_text *t);

#endif
