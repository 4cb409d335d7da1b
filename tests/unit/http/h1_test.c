/*
 * Conversations as talk.h writes them down. Each is given whole, byte by byte and in two at every split.
 */
#include "tests/unit/http/talk.h"

#include "agent/base/limits.h"

static struct talk talk;
static enum h1_side side;
static const char *asked;

static void begin(struct trace *t)
{
	(void)t;
	talk_begin(&talk, side, asked);
}

static void take(struct trace *t, struct span piece)
{
	talk_take(&talk, t, piece);
}

static void end(struct trace *t)
{
	talk_end(&talk, t);
}

static const struct subject subject = {begin, take, end};

static void requests_give(const char *in, const char *want)
{
	side = H1_REQUESTS;
	asked = NULL;
	pieces_give(&subject, span_str(in), want);
}

/* `methods`: what was asked for, see talk.h. */
static void responses_give(const char *methods, const char *in, const char *want)
{
	side = H1_RESPONSES;
	asked = methods;
	pieces_give(&subject, span_str(in), want);
}

/* ---- requests ----------------------------------------------------------------------------------- */

static void requests(void **state)
{
	(void)state;
	requests_give("", "|");
	requests_give("GET / HTTP/1.1\r\n\r\n", "(<GET />.)|");
	requests_give("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "(<GET />.)|");
	requests_give("POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: "
		      "5\r\n\r\nhello",
		      "(<POST /v1/chat/completions?x=1>{hello}.)|");
	requests_give("POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n", "(<POST />.)|");
	requests_give("POST / HTTP/1.1\r\n\r\n", "(<POST />.)|");
	requests_give("MKCALENDAR / HTTP/1.1\r\n\r\n", "(<MKCALENDAR />.)|");
	requests_give("get / HTTP/1.1\r\n\r\n", "(<get />.)|");
	requests_give("OPTIONS * HTTP/1.1\r\n\r\n", "(<OPTIONS *>.)|");
	requests_give("GET http://a:1/x HTTP/1.1\r\n\r\n", "(<GET http://a:1/x>.)|");
	requests_give("GET /a b HTTP/1.1\r\n\r\n", "(<GET /a b>.)|");
	requests_give("CONNECT a:443 HTTP/1.1\r\n\r\n", "(<CONNECT a:443>.)|");
}

static void unfinished(void **state)
{
	(void)state;
	requests_give("G", "(~");
	requests_give("GET / HTTP/1.1\r\nHost: a\r\n", "(~");
	requests_give("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell", "(<POST />{hell}~");
	requests_give("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		      "(<POST />{hello}~");
	responses_give("G", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "(<200>~");
	responses_give("G", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
		       "(<200>~");
}

static void pipelining(void **state)
{
	(void)state;
	requests_give("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", "(<GET /1>.)(<GET /2>.)|");
	requests_give("POST /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
		      "POST /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\n\r\n"
		      "GET /3 HTTP/1.1\r\n\r\n",
		      "(<POST /1>{abc}.)(<POST /2>{def}.)(<GET /3>.)|");
	responses_give("GGG",
		       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"
		       "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nb"
		       "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nc",
		       "(<200>{a}.)(<404>{b}.)(<200>{c}.)|");
}

/* RFC 9112 2.2 */
static void empty_lines_before_a_message(void **state)
{
	(void)state;
	requests_give("\r\n\n\r\nGET / HTTP/1.1\r\n\r\n\r\n", "(<GET />.)|");
	requests_give("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi\r\nGET / HTTP/1.1\r\n\r\n",
		      "(<POST />{hi}.)(<GET />.)|");
	responses_give("G", "\r\nHTTP/1.1 204 No\r\n\r\n", "(<204>.)|");
}

static void line_ends_and_white_space(void **state)
{
	(void)state;
	requests_give("GET / HTTP/1.1\nHost: a\n\n", "(<GET />.)|");
	requests_give("GET / HTTP/1.1\nHost: a\n\r\n", "(<GET />.)|");
	requests_give("GET / HTTP/1.1\r\nHost: a\r\n\n", "(<GET />.)|");
	requests_give("POST / HTTP/1.1\nContent-Length:2\n\nhi", "(<POST />{hi}.)|");
	requests_give("POST / HTTP/1.1\r\nContent-Length: \t 2\t \r\n\r\nhi", "(<POST />{hi}.)|");
	requests_give("POST / HTTP/1.1\r\nX: a\r\n b\r\n\tc\r\nContent-Length: 2\r\n\r\nhi",
		      "(<POST />{hi}.)|");
	requests_give("POST / HTTP/1.1\r\nContent-Length:\r\n 2\r\n\r\nhi", "(<POST />{hi}.)|");
	requests_give("POST / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
		      "(<POST />.)|");
	/* llhttp and others take more spaces than one; they are none of the target. */
	requests_give("GET  /x  HTTP/1.1\r\n\r\n", "(<GET /x>.)|");
	requests_give("GET /a b HTTP/1.1\r\n\r\n", "(<GET /a b>.)|");
	/* A line of white space continues the field before; it does not end the head. */
	requests_give("POST / HTTP/1.1\r\nX: a\r\n \r\nContent-Length: 2\r\n\r\nhi",
		      "(<POST />{hi}.)|");
}

/* llhttp, h11 and cpp-httplib all decode it; RFC 9112 6.1 calls it faulty. */
static void chunks_of_http_1_0(void **state)
{
	(void)state;
	requests_give("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		      "(<POST />.)|");
}

static void start_lines(void **state)
{
	(void)state;
	static const char *const bad_requests[] = {
		"GET /\r\n\r\n",
		"GET / HTTP/2.0\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET / HTTP/1.\r\n\r\n",
		"GET / HTTP/1.10\r\n\r\n",
		"GET / http/1.1\r\n\r\n",
		"GET  HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1 \r\n\r\n",
		"G(T / HTTP/1.1\r\n\r\n",
		"GET /\rx HTTP/1.1\r\n\r\n",
		"GET\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof(bad_requests) / sizeof(bad_requests[0]); i++)
		requests_give(bad_requests[i], "(!~");
	static const char *const bad_responses[] = {
		"HTTP/1.1\r\n\r\n",	     "HTTP/1.1 20\r\n\r\n",	"HTTP/1.1 2000\r\n\r\n",
		"HTTP/1.1 099 X\r\n\r\n",    "HTTP/2 200 OK\r\n\r\n",	"HTTP/1.1  200 OK\r\n\r\n",
		"HTTP/1.1 200\rOK\r\n\r\n",  "HTTP/1.1 2x0\r\n\r\n",	"HELO\r\n\r\n",
		"HTTP/1.1 200 O\rK\r\n\r\n", "HTTP/1.x 200 OK\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof(bad_responses) / sizeof(bad_responses[0]); i++)
		responses_give("G", bad_responses[i], "(!~");
	/* What cannot even begin a message begins none. */
	requests_give("\x16\x03\x01\x02", "!~");
	requests_give(" GET / HTTP/1.1\r\n\r\n", "!~");
	requests_give("GET / HTTP/1.1\r\n\r\n\x81\x05hello", "(<GET />.)!~");
	responses_give("G", "<html>", "!~");
	responses_give("G", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!", "(<200>{hi}.)!~");
}

/* ---- responses ---------------------------------------------------------------------------------- */

static void bodies_of_responses(void **state)
{
	(void)state;
	responses_give("G", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		       "(<200>{hello}.)|");
	responses_give("G", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "(<200>.)|");
	responses_give("G", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "(<200>.)|");
	responses_give("G", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", "(<999>.)|");
	responses_give("G", "HTTP/1.0 200 OK\r\n\r\nall\r\n\r\nof it",
		       "(<200>{all\r\n\r\nof it}$)|");
	responses_give("G", "HTTP/1.0 200 OK\r\n\r\n", "(<200>$)|");
	responses_give("G", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxyz",
		       "(<200>{xyz}$)|");
	responses_give("G", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nHTTP/1.1",
		       "(<200>{HTTP/1.1}$)|");
	responses_give("", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "(<200>{hi}.)|");
	/* llama-server: the last chunk and the blank line are two writes. */
	responses_give("G",
		       "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=100\r\n"
		       "Content-Type: text/event-stream\r\nServer: llama.cpp\r\n"
		       "Transfer-Encoding: chunked\r\n\r\n"
		       "11\r\ndata: {\"a\":\"b\"}\n\n\r\n"
		       "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
		       "(<200>{data: {\"a\":\"b\"}\n\ndata: [DONE]\n\n}.)|");
}

/* RFC 9112 6.3, item 1 */
static void responses_without_body(void **state)
{
	(void)state;
	responses_give("GG", "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n",
		       "(<204>.)(<204>.)|");
	responses_give("GG",
		       "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
		       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
		       "(<304>.)(<200>{a}.)|");
	responses_give("HG",
		       "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
		       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
		       "(<200>.)(<200>{a}.)|");
	responses_give(
		"HH",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 404 No\r\n\r\n",
		"(<200>.)(<404>.)|");
	/* The method is forgotten with its response: the next is nobody's, as to GET. */
	responses_give("H",
		       "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
		       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
		       "(<200>.)(<200>{a}.)|");
}

static void interim_responses(void **state)
{
	(void)state;
	responses_give("G",
		       "HTTP/1.1 100 Continue\r\n\r\n"
		       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
		       "(<100>.)(<200>{a}.)|");
	/* The method stays over them; what they say of a length is nothing. */
	responses_give("HG",
		       "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
		       "HTTP/1.1 100 Continue\r\nContent-Length: 9\r\n\r\n"
		       "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
		       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
		       "(<103>.)(<100>.)(<200>.)(<200>{a}.)|");
}

static void upgrades(void **state)
{
	(void)state;
	responses_give("G",
		       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
		       "\x81\x05HTTP/1.1 200 OK\r\n\r\n",
		       "(<101>^|");
	responses_give("C", "HTTP/1.1 200 Connected\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "(<200>^|");
	responses_give("C", "HTTP/1.1 299 X\r\nContent-Length: 5\r\n\r\n..", "(<299>^|");
	responses_give("CG",
		       "HTTP/1.1 407 No\r\nContent-Length: 1\r\n\r\na"
		       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb",
		       "(<407>{a}.)(<200>{b}.)|");
	responses_give("CG", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Connected\r\n\r\nabc",
		       "(<100>.)(<200>^|");
}

/* ---- sizes -------------------------------------------------------------------------------------- */

/* A request of `bytes`, all of it head, in two pieces of which the first has `first`. */
static void head_of(size_t bytes, size_t first, const char *want)
{
	static char in[LIMIT_HEAD_BYTES + 64];
	static struct trace t;
	memset(in, 'a', sizeof(in));
	memcpy(in, "GET / HTTP/1.1\r\nX: ", 19);
	memcpy(in + bytes - 4, "\r\n\r\n", 4);
	side = H1_REQUESTS;
	pieces_run(&subject, span_of(in, bytes), first, bytes, &t);
	assert_string_equal(t.text, want);
}

static void long_heads(void **state)
{
	(void)state;
	static const size_t firsts[] = {1, 20, LIMIT_HEAD_BYTES / 2, LIMIT_HEAD_BYTES - 1,
					LIMIT_HEAD_BYTES};
	for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		head_of(LIMIT_HEAD_BYTES, firsts[i], "(<GET />.)|");
		head_of(LIMIT_HEAD_BYTES + 1, firsts[i], "(!~");
		head_of(LIMIT_HEAD_BYTES + 4, firsts[i], "(!~");
		head_of(LIMIT_HEAD_BYTES + 40, firsts[i], "(!~");
	}
	head_of(LIMIT_HEAD_BYTES, LIMIT_HEAD_BYTES, "(<GET />.)|");
	head_of(LIMIT_HEAD_BYTES + 1, LIMIT_HEAD_BYTES + 1, "(!~");
}

static void huge_lengths(void **state)
{
	(void)state;
	requests_give("POST / HTTP/1.1\r\nContent-Length: 922337203685477580\r\n\r\nabc",
		      "(<POST />{abc}~");
	requests_give("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nabc",
		      "(<POST />{abc}~");
	requests_give(
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nabc",
		"(<POST />!~");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(unfinished),
		cmocka_unit_test(pipelining),
		cmocka_unit_test(empty_lines_before_a_message),
		cmocka_unit_test(line_ends_and_white_space),
		cmocka_unit_test(chunks_of_http_1_0),
		cmocka_unit_test(start_lines),
		cmocka_unit_test(bodies_of_responses),
		cmocka_unit_test(responses_without_body),
		cmocka_unit_test(interim_responses),
		cmocka_unit_test(upgrades),
		cmocka_unit_test(long_heads),
		cmocka_unit_test(huge_lengths),
	};
	return cmocka_run_group_tests_name("http/h1", tests, NULL, NULL);
}
