/*
 * h2.h - HTTP/2 in one direction, watched from the side (RFC 9113; HPACK, RFC 7541, by nghttp2).
 *
 * It follows frames, it does not judge streams: which events of a stream make sense is the caller's to
 * know. What breaks the framing or the compression of fields is BAD, and BAD is final for the direction:
 * without the table of fields no later head can be read.
 *
 *   while ((step = h2_next(p, &in, time_ns, &event)) == STEP_EVENT) ...
 *
 * SETTINGS are not followed. They bound what an encoder may do, and it tells what it does: a change of the
 * table's size stands at the start of the next field block (RFC 7541 4.2). So, one direction needs nothing
 * of the other.
 *
 * A pushed response (PUSH_PROMISE) is read for the table's sake and not told: its stream is even.
 */
#ifndef HTTP_H2_H
#define HTTP_H2_H

#include "agent/base/step.h"
#include "agent/http/event.h"

/* What a client sends first (RFC 9113 3.4). */
#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

enum h2_side { H2_REQUESTS, H2_RESPONSES };

enum h2_event_type {
	H2_HEAD,  /* fields with :method or :status; 1xx are heads, too. Trailers are not told */
	H2_BODY,  /* a piece of DATA without its padding, never empty */
	H2_END,	  /* END_STREAM: this side sends no more on the stream */
	H2_RESET, /* RST_STREAM */
	H2_AWAY,  /* GOAWAY: `stream` is the last one that is or will be looked at */
};

/* Error codes that say more than "it ended" (RFC 9113 7). */
#define H2_REFUSED_STREAM 0x7u

/* Spans die at the next call on the parser. */
struct h2_event {
	enum h2_event_type type;
	uint32_t stream;
	uint64_t began_ns;     /* H2_HEAD: of the input with its frame's first byte */
	struct http_head head; /* H2_HEAD; `fields` has the regular fields, a line each */
	struct span body;      /* H2_BODY */
	uint32_t error;	       /* H2_RESET, H2_AWAY */
};

struct h2;

/* H2_REQUESTS begins with the preface. NULL without memory. */
struct h2 *h2_new(enum h2_side side);
void h2_free(struct h2 *p);

/* One event. `in` is consumed from its front; `time_ns` is that of its bytes. */
enum step h2_next(struct h2 *p, struct span *in, uint64_t time_ns, struct h2_event *ev);

/*
 * `bytes` of the stream were lost here, behind an input that h2_next has used up. True if they lie
 * wholly inside a DATA frame: it goes on without them, and *stream is whose it is. False: where the next
 * frame begins, and what was in the lost ones, nobody can say; the parser is BAD from here on.
 */
bool h2_gap(struct h2 *p, uint64_t bytes, uint32_t *stream);

#endif
