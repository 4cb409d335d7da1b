/*
 * talk.h - what an HTTP parser tells of one direction, as text.
 *
 *	(<POST /v1/x>{body}.)     BEGIN, HEAD, BODY (pieces joined), END
 *	(<200>{...}$)             END by the end of the connection
 *	(<101>^                   UPGRADE
 *	(<200>{...}?              LOST
 *	!                         BAD
 *
 * and when the stream has ended: | between messages, ~ inside one.
 */
#ifndef TESTS_HTTP_TALK_H
#define TESTS_HTTP_TALK_H

#include "tests/unit/pieces.h"

#include "agent/http/h1.h"

struct talk {
	struct h1 h1;
	enum h1_side side;
	const char *asked; /* what the responses answer, a letter each: G H(EAD) C(ONNECT) */
	bool in_body, interim, bad;
};

static inline void trace_clear(struct trace *t)
{
	t->len = 0;
	t->text[0] = '\0';
}

static inline void talk_expect(struct talk *k)
{
	if (k->side == H1_REQUESTS || !k->asked || !*k->asked)
		return;
	char letter = *k->asked++;
	h1_expect(&k->h1, letter == 'H'	  ? HTTP_HEAD_METHOD
			  : letter == 'C' ? HTTP_CONNECT
					  : HTTP_GET);
}

static inline void talk_begin(struct talk *k, enum h1_side side, const char *asked)
{
	*k = (struct talk){.side = side, .asked = asked};
	h1_init(&k->h1, side);
	talk_expect(k);
}

static inline void talk_head(struct talk *k, struct trace *t, const struct http_head *head)
{
	char status[16];
	k->interim = k->side == H1_RESPONSES && head->status < 200;
	trace_str(t, "<");
	if (k->side == H1_REQUESTS) {
		trace_put(t, head->method_text);
		trace_str(t, " ");
		trace_put(t, head->path);
	} else {
		snprintf(status, sizeof(status), "%u", head->status);
		trace_str(t, status);
	}
	trace_str(t, ">");
}

static inline void talk_event(struct talk *k, struct trace *t, const struct http_event *ev)
{
	if (ev->type == HTTP_BODY) {
		assert_true(ev->body.len > 0);
		trace_str(t, k->in_body ? "" : "{");
		k->in_body = true;
		trace_put(t, ev->body);
		return;
	}
	trace_str(t, k->in_body ? "}" : "");
	k->in_body = false;
	switch (ev->type) {
	case HTTP_BEGIN:
		trace_str(t, "(");
		break;
	case HTTP_HEAD:
		talk_head(k, t, &ev->head);
		break;
	case HTTP_END:
		trace_str(t, ev->closes ? "$)" : ".)");
		if (!k->interim)
			talk_expect(k);
		break;
	case HTTP_UPGRADE:
		talk_head(k, t, &ev->head);
		trace_str(t, "^");
		break;
	case HTTP_LOST:
		trace_str(t, "?");
		break;
	case HTTP_BODY:
		break;
	}
}

static inline void talk_take(struct talk *k, struct trace *t, struct span piece)
{
	struct http_event ev;
	enum step step;
	while ((step = h1_next(&k->h1, &piece, &ev)) == STEP_EVENT)
		talk_event(k, t, &ev);
	if (step == STEP_BAD) {
		trace_str(t, k->in_body ? "}" : "");
		trace_str(t, k->bad ? "" : "!");
		k->in_body = false;
		k->bad = true;
	} else {
		assert_int_equal(piece.len, 0);
		assert_false(k->bad); /* it is for good */
	}
}

static inline void talk_end(struct talk *k, struct trace *t)
{
	bool between = h1_eof(&k->h1);
	talk_take(k, t, span_of(NULL, 0));
	trace_str(t, k->in_body ? "}" : "");
	trace_str(t, between ? "|" : "~");
	h1_release(&k->h1);
}

#endif
