/*
 * h1.h - HTTP/1.0 and HTTP/1.1 in one direction, watched from the side (RFC 9112).
 *
 * It follows messages, it does not judge them: but where the framing is ambiguous (a smuggling
 * shape: both lengths, conflicting lengths, transfer codings that do not end in chunked) it is BAD
 * rather than wrong, and BAD is final for the direction.
 *
 *   while ((step = h1_next(p, &in, &event)) == STEP_EVENT) ...
 *
 * Ten thousand of them live at once: one takes 32 bytes, and a head that came in pieces up to
 * LIMIT_HEAD_BYTES until it is told. A head that lies in one piece is read where it lies.
 */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include "agent/base/buf.h"
#include "agent/base/step.h"
#include "agent/http/chunked.h"
#include "agent/http/event.h"

enum h1_side { H1_REQUESTS, H1_RESPONSES };

struct h1 {
	uint8_t side;	  /* enum h1_side */
	uint8_t state;	  /* enum h1_state (h1.c) */
	uint8_t expected; /* enum http_method of the request that is answered next */
	bool closes : 1;  /* END was brought about by the end of the connection */
	bool has_expected : 1;
	bool interim : 1;    /* the message is a 1xx: `expected` stays */
	bool clear_head : 1; /* the head's bytes were lent out by the last event */
	uint8_t unproven;    /* heads to come before the hunt is known to have found a message */
	union {
		uint64_t left;		/* of a body whose length is known */
		struct chunked chunked; /* of one in chunks */
	};
	struct buf *head; /* a head that was cut by the end of the input; NULL */
};

void h1_init(struct h1 *p, enum h1_side side);
void h1_release(struct h1 *p);

/*
 * One event. `in` is consumed from its front. Event spans point into `in`'s bytes or into the
 * parser and die at the next call.
 * A response parser must know what was asked for: see h1_expect. A response that nobody asked for
 * is followed as a response to GET.
 */
enum step h1_next(struct h1 *p, struct span *in, struct http_event *ev);

/* H1_RESPONSES: the method of the request whose response comes next. Call once before each response
 * whose request is known (any time before its head is complete). 1xx responses keep it. */
void h1_expect(struct h1 *p, enum http_method method);

/*
 * `bytes` of the stream were lost here, behind an input that h1_next has used up (it said MORE). If they
 * lie wholly inside a body part whose length is known, or in a body that runs to the end of the
 * connection, the message goes on without them. Otherwise a message that had begun is lost, which the
 * next call of h1_next tells with HTTP_LOST, and the parser hunts: it drops each further input as a
 * whole (what the caller got by one read or write of the server) until one starts like a message.
 *
 * Text of a body may start like a message, too. Until a second head follows the first message that was
 * found, what is BAD otherwise is HTTP_LOST (between messages, too): the rest of that input is dropped
 * and the hunt goes on. A text that is a whole message in itself is told as one.
 *
 * Returns true if the message goes on; false also between messages, where nothing is told.
 */
bool h1_gap(struct h1 *p, uint64_t bytes);

/*
 * The stream ended. A response body that runs to the end of the connection is complete: the next
 * h1_next (with empty input) gives HTTP_END with `closes`. Otherwise nothing more comes.
 * Returns true if the stream ended between messages or in such a body; false in mid-message.
 */
bool h1_eof(struct h1 *p);

/* Whether it is in a body that runs to the end of the connection. */
bool h1_runs_to_the_end(const struct h1 *p);

/* Whether the next byte would begin a new message. */
bool h1_idle(const struct h1 *p);

#endif
