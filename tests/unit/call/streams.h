/*
 * streams.h - a session that is told frames of HTTP/2, which are put together by hand, or text.
 */
#ifndef TESTS_CALL_STREAMS_H
#define TESTS_CALL_STREAMS_H

#include "tests/unit/call/booked.h"
#include "tests/unit/http/frames.h"

static struct frames in, out;

static inline int streams_set_up(void **state)
{
	frames_begin(&in);
	frames_begin(&out);
	frames_put(&in, span_str(H2_PREFACE));
	return booked_set_up(state);
}

static inline int streams_tear_down(void **state)
{
	frames_end(&in);
	frames_end(&out);
	return booked_tear_down(state);
}

/* What was put together since the last time, a millisecond later, a byte at a time. */
static inline void send(struct frames *f, enum session_direction d)
{
	now_ms++;
	for (size_t i = 0; i < f->len; i++)
		session_bytes(session, d, span_of(f->at + i, 1), now());
	f->len = 0;
}

static inline void ask(uint32_t stream, const char *body)
{
	frames_head(&in, stream, 0, FRAMES_POST);
	frames_data(&in, stream, END_STREAM, body);
	send(&in, SESSION_IN);
}

static inline void answer_head(uint32_t stream)
{
	frames_head(&out, stream, 0, ":status: 200\ncontent-type: text/event-stream\n");
	send(&out, SESSION_OUT);
}

static inline void answer_event(uint32_t stream, const char *text)
{
	char event[256];
	snprintf(event, sizeof(event), "data: {\"choices\":[{\"delta\":{\"content\":\"%s\"}}]}\n\n",
		 text);
	frames_data(&out, stream, 0, event);
	send(&out, SESSION_OUT);
}

static inline void answer_end(uint32_t stream)
{
	frames_data(&out, stream, END_STREAM,
		    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],"
		    "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n");
	send(&out, SESSION_OUT);
}

#define ASKED "{\"model\":\"m\",\"stream\":true}"

static inline void text(enum session_direction d, const char *s)
{
	now_ms++;
	while (*s)
		session_bytes(session, d, span_of(s++, 1), now());
}

#endif
