/*
 * Anything that can happen on connections: well-formed messages, parts of them, any bytes, gaps, ends.
 * Every call that starts ends once, in order; there are no more of them than request lines; memory has
 * a bound, and all of it comes back. Where nothing is lost, how the bytes are cut plays no part.
 */
#include "tests/fuzz/cut.h"

#include "agent/call/session.h"

#include <errno.h>
#include <sanitizer/allocator_interface.h>

/* LIMIT_PIPELINE calls, each with its scanners, and two heads that are gathered (their buffers double). */
#define MEMORY_MAX (LIMIT_PIPELINE * 2560u + 4u * 64u * 1024u)
/* Two tables of fields with their heads, a decoder of gzip. */
#define MEMORY_HTTP2 (4u * 64u * 1024u + 2u * 64u * 1024u + 64u * 1024u)

static const char *const texts[] = {
	"POST /v1/chat/completions HTTP/1.1\r\n",
	"POST /v1/completions HTTP/1.1\r\ncontent-length: "
	"27\r\n\r\n{\"model\":\"b\",\"stream\":true}",
	"POST /completion HTTP/1.1\r\ntransfer-encoding: "
	"chunked\r\n\r\nd\r\n{\"model\":\"b\"}\r\n0\r\n\r\n",
	"GET /health HTTP/1.1\r\n\r\n",
	"HEAD / HTTP/1.1\r\n\r\n",
	"content-length: 13\r\n\r\n{\"model\":\"b\"}",
	"content-length: 70000\r\nexpect: 100-continue\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\n",
	"HTTP/1.1 200 OK\r\ncontent-length: 33\r\n\r\n{\"usage\":{\"completion_tokens\":5}}",
	"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: "
	"chunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n",
	"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n",
	"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\n\r\n",
	"25\r\ndata: {\"choices\":[{\"text\":\"abcd\"}]}\n\n\r\n",
	"1c\r\n{\"choices\":[{\"text\":\"ab\"}]}\n\r\n",
	"14\r\ndata: {\"error\":\"x\"}\n\r\n",
	"0\r\n\r\n",
	"data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n",
	"data: {\"model\":\"/a/b\",\"choices\":[],\"usage\":{\"completion_tokens\":3}}\n\n",
	"\"model\":\"\\ud83d\xff\",\"tokens_predicted\":7,",
};
#define TEXTS (sizeof(texts) / sizeof(texts[0]))

/* Frames of HTTP/2. HPACK without a table: 83 is ":method: POST", 04 a literal ":path", 88 ":status: 200",
 * 5f a "content-type". */
#define FRAME(bytes)                                                                               \
	{                                                                                          \
		(const uint8_t *)(bytes), sizeof(bytes) - 1                                        \
	}
#define HEAD_IN "\x83\x04\x14/v1/chat/completions"
static const struct span frames[] = {
	FRAME("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	FRAME("\0\0\0\4\0\0\0\0\0"),
	FRAME("\0\0\x17\1\4\0\0\0\1" HEAD_IN),
	FRAME("\0\0\x17\1\5\0\0\0\3" HEAD_IN),
	FRAME("\0\0\x17\1\4\0\0\0\5" HEAD_IN),
	FRAME("\0\0\x1b\0\1\0\0\0\1{\"model\":\"b\",\"stream\":true}"),
	FRAME("\0\0\x0d\0\1\0\0\0\5{\"model\":\"b\"}"),
	FRAME("\0\0\1\1\4\0\0\0\1\x88"),
	FRAME("\0\0\x14\1\4\0\0\0\1\x88\x5f\x11text/event-stream"),
	FRAME("\0\0\x14\1\4\0\0\0\3\x88\x5f\x11text/event-stream"),
	FRAME("\0\0\1\1\5\0\0\0\5\x8d"),
	FRAME("\0\0\x25\0\0\0\0\0\1data: {\"choices\":[{\"text\":\"abcd\"}]}\n\n"),
	FRAME("\0\0\x27\0\x09\0\0\0\3\1data: {\"choices\":[{\"text\":\"abcd\"}]}\n\n\0"),
	FRAME("\0\0\0\0\1\0\0\0\1"),
	FRAME("\0\0\4\3\0\0\0\0\1\0\0\0\x08"),
	FRAME("\0\0\4\3\0\0\0\0\3\0\0\0\x07"),
	FRAME("\0\0\x08\7\0\0\0\0\0\0\0\0\1\0\0\0\0"),
	FRAME("\0\0\1\1\0\0\0\0\7\x83"),
	FRAME("\0\0\x16\x09\4\0\0\0\7\x04\x14/v1/chat/completions"),
	FRAME("HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n"),
};
#define FRAMES (sizeof(frames) / sizeof(frames[0]))

struct run {
	const uint8_t *at;
	size_t left;
	struct server *server;
	struct call_sink sink;
	struct session *session;
	uint64_t now_ns;
	bool keeps;  /* memory, at its end */
	bool single; /* bytes come one by one */
	bool lossy;
	/* of the connection */
	size_t bytes_in;
	bool http2;
	size_t request_lines, matched;
	size_t connection_started;
	/* of the run */
	size_t started, ended, lost, first_tokens;
	uint64_t hash;
};

static void mix(struct run *r, const void *data, size_t len)
{
	sum_add(&r->hash, span_of(data, len));
}

static void mix_text(struct run *r, const char *text)
{
	mix(r, text, strlen(text) + 1);
}

/* A request's frame over HTTP/2 has 9 bytes and at least one of fields. */
static size_t most_requests(const struct run *r)
{
	return r->request_lines + (r->http2 ? r->bytes_in / 10 : 0);
}

/* ---- what is told ------------------------------------------------------------------------------- */

static void on_started(void *user, const struct call *c)
{
	struct run *r = user;
	r->started++;
	r->connection_started++;
	must(c->arrived_ns && !c->ended_ns, "started with odd times");
	must(r->connection_started <= most_requests(r), "more calls than requests");
}

static void on_first_token(void *user, const struct call *c)
{
	struct run *r = user;
	r->first_tokens++;
	must(c->labels.stream && !c->incomplete, "a first token of nobody");
	must(c->first_token_ns >= c->received_ns && c->received_ns >= c->arrived_ns,
	     "a first token out of order");
}

static void on_ended(void *user, const struct call *c)
{
	struct run *r = user;
	r->ended++;
	must(c->ended_ns >= c->arrived_ns && c->ended_ns >= c->last_token_ns &&
		     c->ended_ns >= c->received_ns,
	     "ended before it happened");
	must(!c->first_token_ns || c->first_token_ns <= c->last_token_ns, "tokens out of order");
	must(!c->incomplete || !c->has_output_tokens, "tokens of half a call");
	must(strlen(c->labels.model) > 0 && strlen(c->labels.provider) > 0, "an empty word");
	must(c->http_status || c->error, "success without a response");
	const uint64_t numbers[] = {c->arrived_ns,    c->received_ns,  c->first_token_ns,
				    c->last_token_ns, c->ended_ns,     (uint64_t)c->error,
				    c->http_status,   c->events,       c->output_tokens,
				    c->request_bytes, c->labels.stream};
	mix(r, numbers, sizeof(numbers));
	mix_text(r, c->labels.model);
	mix_text(r, c->labels.provider);
	mix_text(r, c->finish_reason);
	mix_text(r, c->path);
}

static void on_lost(void *user, const struct call *c)
{
	struct run *r = user;
	r->lost++;
	must(!c->ended_ns, "lost, and yet ended");
	mix(r, &c->arrived_ns, sizeof(c->arrived_ns));
}

/* ---- what happens ------------------------------------------------------------------------------- */

static unsigned take(struct run *r)
{
	if (!r->left)
		return 0;
	r->left--;
	return *r->at++;
}

/* Every request has a line with this in it. */
static void count_request_lines(struct run *r, struct span bytes)
{
	static const char mark[] = " HTTP/1.";
	r->bytes_in += bytes.len;
	for (size_t i = 0; i < bytes.len; i++) {
		r->matched = bytes.at[i] == (uint8_t)mark[r->matched] ? r->matched + 1
			     : bytes.at[i] == ' '		      ? 1
								      : 0;
		if (r->matched == sizeof(mark) - 1) {
			r->request_lines++;
			r->matched = 0;
		}
	}
}

static void put_bytes(struct run *r, enum session_direction d, struct span bytes)
{
	if (d == SESSION_IN)
		count_request_lines(r, bytes);
	size_t step = r->single ? 1 : bytes.len;
	struct cut pieces = cut_begin(bytes, step, step);
	struct span piece;
	while (cut_next(&pieces, &piece))
		session_bytes(r->session, d, piece, r->now_ns);
}

static void put_text(struct run *r, enum session_direction d)
{
	unsigned which = take(r), cut = take(r);
	/* The other half of the numbers are frames. */
	struct span text = which < 128 ? span_str(texts[which % TEXTS]) : frames[which % FRAMES];
	r->http2 |= which >= 128;
	if (cut > 200) /* most of the time all of it */
		text.len = cut % (text.len + 1);
	put_bytes(r, d, text);
}

static void put_raw(struct run *r, enum session_direction d)
{
	size_t n = take(r);
	if (n > r->left)
		n = r->left;
	put_bytes(r, d, span_of(r->at, n));
	r->at += n;
	r->left -= n;
}

static void put_gap(struct run *r)
{
	static const uint64_t sizes[] = {1, 7, 33, 65536, UINT64_MAX};
	unsigned how = take(r);
	r->lossy = true;
	if (how >= 224) {
		session_lost_in(r->session);
		return;
	}
	session_gap(r->session, how & 1 ? SESSION_IN : SESSION_OUT,
		    how & 2 ? how : sizes[how / 4 % 5], r->now_ns);
}

static void begin_connection(struct run *r)
{
	r->session = session_new(r->server);
	must(r->session != NULL, "no memory");
	r->request_lines = r->matched = r->connection_started = r->bytes_in = 0;
	r->http2 = false;
}

static void end_connection(struct run *r, unsigned how)
{
	if (how % 4 < 3)
		session_close(r->session, (enum session_end)(how % 4), r->now_ns);
	session_free(r->session);
	must(r->started == r->ended + r->lost, "a call that never ended");
	must(r->first_tokens <= r->started, "too many first tokens");
}

static void step(struct run *r)
{
	unsigned what = take(r);
	r->now_ns += what >> 4;
	switch (what & 15) {
	case 0:
		put_gap(r);
		break;
	case 1:
		session_eof(r->session, r->now_ns);
		break;
	case 2:
		session_shut(r->session, r->now_ns);
		break;
	case 3:
		session_fail(r->session, EPIPE, r->now_ns);
		break;
	case 4:
		end_connection(r, take(r));
		begin_connection(r);
		break;
	case 5:
		put_raw(r, SESSION_IN);
		break;
	case 6:
		put_raw(r, SESSION_OUT);
		break;
	default:
		put_text(r, what & 1 ? SESSION_IN : SESSION_OUT);
		break;
	}
}

static struct run run(const uint8_t *data, size_t size, bool single)
{
	size_t before = __sanitizer_get_current_allocated_bytes();
	struct run r = {.at = data, .left = size, .now_ns = 1000, .single = single};
	r.hash = SUM_BEGIN;
	r.sink = (struct call_sink){on_started, on_first_token, on_ended, on_lost, &r, NULL};
	r.server = server_new("x", span_of(NULL, 0), NULL, &r.sink);
	must(r.server != NULL, "no memory");
	size_t with_server = __sanitizer_get_current_allocated_bytes();
	begin_connection(&r);
	while (r.left) {
		step(&r);
		must(__sanitizer_get_current_allocated_bytes() - with_server <=
			     MEMORY_MAX + MEMORY_HTTP2 + most_requests(&r) * 2560u,
		     "too much memory");
	}
	end_connection(&r, 0);
	server_free(r.server);
	r.keeps = __sanitizer_get_current_allocated_bytes() != before;
	return r;
}

/* The compiled tables of wanted fields are made by the first call and live on. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	static struct call_sink sink;
	struct run r = {.now_ns = 1000};
	sink = (struct call_sink){on_started, on_first_token, on_ended, on_lost, &r, NULL};
	r.server = server_new("x", span_of(NULL, 0), NULL, &sink);
	r.session = r.server ? session_new(r.server) : NULL;
	must(r.session != NULL, "no memory");
	put_bytes(&r, SESSION_IN, span_str(texts[1]));
	put_bytes(&r, SESSION_OUT, span_str(texts[8]));
	must(r.ended == 1, "a plain call");
	session_free(r.session);
	server_free(r.server);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run whole = run(data, size, false);
	struct run cut = run(data, size, true);
	/* libFuzzer's own threads allocate, too, when they begin: what leaks leaks again. */
	must(!whole.keeps || !run(data, size, false).keeps, "memory that is kept");
	must(!cut.keeps || !run(data, size, true).keeps, "memory that is kept in pieces");
	must(whole.lossy || (whole.hash == cut.hash && whole.started == cut.started &&
			     whole.lost == cut.lost),
	     "pieces differ from the whole");
	return 0;
}
