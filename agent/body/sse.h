/*
 * sse.h - server-sent events, as the WHATWG "event stream interpretation" reads them.
 *
 * Lines end in CR, LF or CRLF; one leading BOM is dropped; comments (":") are told apart from
 * events because they are not tokens; "data" lines of one event are joined by LF.
 *
 * Data is handed on in pieces as it passes, so that an event of any length costs no memory:
 *   SSE_DATA   a piece of the current event's data, not empty
 *   SSE_END    the event is complete (a blank line); `name` is its "event" field, cut to
 *              SSE_NAME_BYTES. Events without any data line give no SSE_END (the standard drops
 *              them), unless they had a name.
 *   SSE_COMMENT a comment line
 * The joining LF between two data lines comes as (part of) a piece.
 */
#ifndef BODY_SSE_H
#define BODY_SSE_H

#include "agent/base/span.h"
#include "agent/base/step.h"

/* A stream holds this much of a name: more than of the one that matters, "error". The longest on the wire
 * are of OpenAI's Responses API, such as the 38 bytes of "response.function_call_arguments.delta". */
#define SSE_NAME_BYTES 22u

/* One more than the longest field name that matters, "event": what fills it is another field. */
#define SSE_FIELD_BYTES 6u

enum sse_event_type { SSE_DATA, SSE_END, SSE_COMMENT };

struct sse_event {
	enum sse_event_type type;
	struct span data; /* SSE_DATA */
	struct span name; /* SSE_END; empty if the event has none */
};

struct sse {
	uint8_t state;
	uint8_t flags;
	uint8_t field_len;
	uint8_t name_len;
	char field[SSE_FIELD_BYTES]; /* start of a field name that is not known yet */
	char name[SSE_NAME_BYTES];   /* "event" of the current event */
};

void sse_init(struct sse *p);
/* Never BAD: every byte sequence is an event stream. */
enum step sse_next(struct sse *p, struct span *in, struct sse_event *ev);
/* Whether the value of a data line begins at the front of *in, once the field's name in *in is taken: of one
 * that is not joined to another line. What sse_next gives next begins there; or the caller takes of the
 * value himself, all that is in *in before a line end. */
bool sse_value(struct sse *p, struct span *in);
/* Behind such a value: whether the event ends at the front of *in, which is taken, and has no name. False: it
 * is left to sse_next to say. */
bool sse_ends(struct sse *p, struct span *in);
/* The body ended. Returns true if an event was left without its blank line: the standard drops it,
 * servers send such (a last line without the blank one); the caller may take it as complete. */
bool sse_eof(const struct sse *p);

#endif
