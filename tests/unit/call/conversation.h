/*
 * conversation.h - a request and its response, told to a session in pieces of random size: over HTTP/1.1 in
 * chunks, and over HTTP/2 in DATA frames.
 */
#ifndef TESTS_CALL_CONVERSATION_H
#define TESTS_CALL_CONVERSATION_H

#include "tests/unit/call/case.h"
#include "tests/unit/http/frames.h"

#include "agent/call/session.h"

struct conversation {
	const char *path, *type; /* of the response */
	struct span request, response;
	int status;
	bool http2;
	/* Two places of the response, and when the pieces were written that end at or behind them. */
	size_t first_end, last_end;
	uint64_t first_ns, last_ns;
};

static inline uint64_t conversation_ms(size_t piece)
{
	return CASE_EPOCH + (10 + piece) * 1000000ull;
}

static inline void conversation_told(struct session *s, enum session_direction d, uint64_t time_ns,
				     const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	assert_in_range(n, 1, sizeof(text) - 1);
	session_bytes(s, d, span_of(text, (size_t)n), time_ns);
}

/* The next piece of the response, which is told at the time that it gives. */
static inline struct span conversation_piece(struct conversation *c, struct span *rest, size_t n)
{
	size_t done = c->response.len - rest->len, len = 1 + (size_t)rand() % 700;
	struct span piece = span_take(rest, len < rest->len ? len : rest->len);
	if (done < c->first_end && c->first_end <= done + piece.len)
		c->first_ns = conversation_ms(n);
	if (done < c->last_end && c->last_end <= done + piece.len)
		c->last_ns = conversation_ms(n);
	return piece;
}

static inline void conversation_http1(struct session *s, struct conversation *c)
{
	struct span rest = c->response;
	conversation_told(s, SESSION_IN, CASE_EPOCH,
			  "POST %s HTTP/1.1\r\ncontent-length: %zu\r\n\r\n", c->path,
			  c->request.len);
	session_bytes(s, SESSION_IN, c->request, CASE_EPOCH);
	conversation_told(s, SESSION_OUT, conversation_ms(0),
			  "HTTP/1.1 %d X\r\ncontent-type: %s\r\ntransfer-encoding: chunked\r\n\r\n",
			  c->status, c->type);
	for (size_t n = 1; rest.len; n++) {
		struct span piece = conversation_piece(c, &rest, n);
		conversation_told(s, SESSION_OUT, conversation_ms(n), "%zx\r\n", piece.len);
		session_bytes(s, SESSION_OUT, piece, conversation_ms(n));
		conversation_told(s, SESSION_OUT, conversation_ms(n), "\r\n");
	}
	conversation_told(s, SESSION_OUT, conversation_ms(100000), "0\r\n\r\n");
}

/* What was put together, in two pieces. */
static inline void conversation_sent(struct session *s, struct frames *f, enum session_direction d,
				     uint64_t time_ns)
{
	size_t first = f->len > 1 ? (size_t)rand() % f->len : 0;
	session_bytes(s, d, span_of(f->at, first), time_ns);
	session_bytes(s, d, span_of(f->at + first, f->len - first), time_ns);
	f->len = 0;
}

static inline void conversation_http2(struct session *s, struct conversation *c)
{
	static struct frames in, out;
	char text[1024];
	struct span rest = c->request;
	frames_begin(&in);
	frames_begin(&out);
	frames_put(&in, span_str(H2_PREFACE));
	snprintf(text, sizeof(text), ":method: POST\n:scheme: https\n:path: %s\n", c->path);
	frames_head(&in, 1, 0, text);
	while (rest.len > 16384)
		frames_raw(&in, DATA, 0, 1, span_take(&rest, 16384));
	frames_raw(&in, DATA, END_STREAM, 1, rest);
	conversation_sent(s, &in, SESSION_IN, CASE_EPOCH);
	snprintf(text, sizeof(text), ":status: %d\ncontent-type: %s\n", c->status, c->type);
	frames_head(&out, 1, 0, text);
	conversation_sent(s, &out, SESSION_OUT, conversation_ms(0));
	rest = c->response;
	for (size_t n = 1; rest.len; n++) {
		frames_raw(&out, DATA, 0, 1, conversation_piece(c, &rest, n));
		conversation_sent(s, &out, SESSION_OUT, conversation_ms(n));
	}
	frames_raw(&out, DATA, END_STREAM, 1, span_of(NULL, 0));
	conversation_sent(s, &out, SESSION_OUT, conversation_ms(100000));
	frames_end(&in);
	frames_end(&out);
}

static inline void conversation_tell(struct session *s, struct conversation *c)
{
	c->first_ns = c->last_ns = 0;
	if (c->http2)
		conversation_http2(s, c);
	else
		conversation_http1(s, c);
}

#endif
