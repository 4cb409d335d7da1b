/*
 * Every gap in a pipelined conversation: each place, each length. What must be told follows from what
 * the conversation's parts are, which stand here, and not from how the parser goes about it:
 *
 *   - a message that arrived whole is told whole;
 *   - one that lacks bytes of one body part of known length is told without them;
 *   - one that had begun otherwise is told as far as it came, and is lost;
 *   - one whose beginning is missing is not told at all, and nothing is ever made up.
 */
#include "tests/unit/http/talk.h"

enum kind { HEAD, DATA, FRAMING };

struct part {
	enum kind kind;
	const char *text;
	const char *told; /* of a head */
};

/* A message begins with each HEAD. */
static const struct part requests[] = {
	{HEAD, "POST /1 HTTP/1.1\r\nContent-Length: 12\r\n\r\n", "<POST /1>"},
	{DATA, "{\"model\":\"m\"", NULL},
	{HEAD, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n", "<GET /2>"},
	{HEAD, "POST /3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "<POST /3>"},
	{FRAMING, "6;a=b\r\n", NULL},
	{DATA, "hello ", NULL},
	{FRAMING, "\r\n5\r\n", NULL},
	{DATA, "world", NULL},
	{FRAMING, "\r\n0\r\nTrailer: x\r\n\r\n", NULL},
	{HEAD, "GET /4 HTTP/1.1\r\n\r\n", "<GET /4>"},
	/* Prose that begins like a request, as prompts do. */
	{HEAD, "POST /5 HTTP/1.1\r\nContent-Length: 20\r\n\r\n", "<POST /5>"},
	{DATA, "AND so\nPOST a letter", NULL},
	{HEAD, "GET /6 HTTP/1.1\r\n\r\n", "<GET /6>"},
};

static const struct part responses[] = {
	{HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", "<200>"},
	{DATA, "{\"id\":\"x\"}\n", NULL},
	{HEAD, "HTTP/1.1 204 No Content\r\n\r\n", "<204>"},
	{HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "<200>"},
	{FRAMING, "8\r\n", NULL},
	{DATA, "data: a\n", NULL},
	{FRAMING, "\r\n0e\r\n", NULL},
	{DATA, "data: [DONE]\n\n", NULL},
	{FRAMING, "\r\n0\r\n\r\n", NULL},
	{HEAD, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\n", "<503>"},
	{DATA, "busy", NULL},
	{HEAD, "HTTP/1.0 200 OK\r\n\r\n", "<200>"},
	{DATA, "to the end of the connection", NULL},
};

/* A conversation laid out: what each byte is, and where each message ends. */
#define ROOM 1024
struct conversation {
	enum h1_side side;
	char bytes[ROOM];
	enum kind kind[ROOM];
	unsigned part[ROOM];
	size_t start[16], end[16]; /* of the messages */
	const char *told[16];
	size_t messages, len;
	bool until_close; /* the last one */
};

static void lay_out(struct conversation *c, const struct part *parts, size_t n)
{
	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < n; i++) {
		if (parts[i].kind == HEAD) {
			c->start[c->messages] = c->len;
			c->told[c->messages++] = parts[i].told;
		}
		for (const char *b = parts[i].text; *b; b++) {
			c->kind[c->len] = parts[i].kind;
			c->part[c->len] = i;
			c->bytes[c->len++] = *b;
		}
		c->end[c->messages - 1] = c->len;
	}
}

/* Body of the message from `from` to `to`, into an open brace or a new one. */
static void want_body(const struct conversation *c, struct trace *t, size_t from, size_t to,
		      bool *open)
{
	for (size_t i = from; i < to; i++) {
		if (c->kind[i] != DATA)
			continue;
		if (!*open)
			trace_str(t, "{");
		*open = true;
		trace_put(t, span_of(&c->bytes[i], 1));
	}
}

static bool bridged(const struct conversation *c, size_t m, size_t at, size_t gap)
{
	if (c->kind[at] != DATA || at + gap > c->end[m])
		return false;
	return c->part[at] == c->part[at + gap - 1];
}

static void want_message(const struct conversation *c, struct trace *t, size_t m, size_t at,
			 size_t gap)
{
	size_t start = c->start[m], end = c->end[m], resumes = at + gap, head = start;
	bool last = c->until_close && m == c->messages - 1, open = false;
	bool whole = end <= at || start >= resumes;
	bool goes_on = !whole && bridged(c, m, at, gap);
	if (!whole && start >= at) /* its beginning is missing */
		return;
	while (head < end && c->kind[head] == HEAD)
		head++;
	trace_str(t, "(");
	if (whole || at >= head)
		trace_str(t, c->told[m]);
	want_body(c, t, start, whole ? end : at, &open);
	if (goes_on)
		want_body(c, t, resumes, end, &open);
	trace_str(t, open ? "}" : "");
	trace_str(t, !whole && !goes_on ? "?" : last ? "$)" : ".)");
}

/* What follows the gap comes in pieces that end where messages do, as servers read and write them. */
static void give(const struct conversation *c, struct trace *t, size_t at, size_t gap, bool single)
{
	struct talk k;
	struct span before = span_of(c->bytes, at);
	talk_begin(&k, c->side, NULL);
	while (before.len)
		talk_take(&k, t, piece_at_edge(span_take(&before, single ? 1 : before.len)));
	h1_gap(&k.h1, gap);
	talk_take(&k, t, span_of(NULL, 0));
	for (size_t m = 0, from = at + gap; m < c->messages; m++) {
		if (c->end[m] <= from)
			continue;
		talk_take(&k, t, piece_at_edge(span_of(&c->bytes[from], c->end[m] - from)));
		from = c->end[m];
	}
	talk_end(&k, t);
}

static void every_gap(const struct conversation *c)
{
	static struct trace want, got;
	/* A gap that swallows the whole head of the last message leaves nothing; the end stays. */
	for (size_t at = 0; at < c->len; at++) {
		for (size_t gap = 1; at + gap <= c->len; gap++) {
			trace_clear(&want);
			for (size_t m = 0; m < c->messages; m++)
				want_message(c, &want, m, at, gap);
			trace_str(&want, "|");
			for (int single = 0; single < 2; single++) {
				trace_clear(&got);
				give(c, &got, at, gap, single);
				if (strcmp(got.text, want.text) != 0)
					print_error("%zu bytes missing at %zu:\n", gap, at);
				assert_string_equal(got.text, want.text);
			}
		}
	}
}

static void every_gap_in_requests(void **state)
{
	static struct conversation c;
	(void)state;
	lay_out(&c, requests, sizeof(requests) / sizeof(requests[0]));
	c.side = H1_REQUESTS;
	every_gap(&c);
}

static void every_gap_in_responses(void **state)
{
	static struct conversation c;
	(void)state;
	lay_out(&c, responses, sizeof(responses) / sizeof(responses[0]));
	c.side = H1_RESPONSES;
	c.until_close = true;
	every_gap(&c);
}

/* ---- what the conversations do not show --------------------------------------------------------- */

static struct talk talk;
static struct trace trace;

static void start(enum h1_side side)
{
	trace_clear(&trace);
	talk_begin(&talk, side, NULL);
}

static void take(const char *text)
{
	talk_take(&talk, &trace, piece_at_edge(span_str(text)));
}

static void ends_with(const char *want)
{
	talk_end(&talk, &trace);
	assert_string_equal(trace.text, want);
}

static void what_a_gap_answers(void **state)
{
	(void)state;
	start(H1_REQUESTS);
	assert_true(h1_gap(&talk.h1, 0));
	assert_true(h1_idle(&talk.h1));
	assert_false(h1_gap(&talk.h1, 1)); /* between messages: nothing is told */
	assert_true(h1_idle(&talk.h1));
	assert_false(h1_gap(&talk.h1, 1));
	take("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nab");
	assert_false(h1_idle(&talk.h1));
	assert_true(h1_gap(&talk.h1, 7));
	assert_false(h1_gap(&talk.h1, 2)); /* one byte of the next message with it */
	take("");
	ends_with("(<POST />{ab}?|");

	start(H1_REQUESTS);
	take("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n");
	assert_true(h1_gap(&talk.h1, 10));
	ends_with("(<POST />.)|");

	start(H1_REQUESTS);
	take("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n");
	assert_false(h1_gap(&talk.h1, UINT64_MAX));
	take("");
	ends_with("(<POST />?|");
}

static void gaps_where_nothing_is_counted(void **state)
{
	(void)state;
	start(H1_RESPONSES);
	take("HTTP/1.1 200 OK\r\n\r\nab");
	assert_true(h1_gap(&talk.h1, 1000));
	take("cd");
	ends_with("(<200>{abcd}$)|");

	start(H1_RESPONSES);
	take("HTTP/1.1 101 Switching Protocols\r\n\r\n");
	assert_true(h1_gap(&talk.h1, 1000));
	take("HTTP/1.1 200 OK\r\n\r\n");
	ends_with("(<101>^|");

	start(H1_RESPONSES);
	take("ssh");
	assert_true(h1_gap(&talk.h1, 1000));
	take("HTTP/1.1 200 OK\r\n\r\n");
	ends_with("!~");
}

/* What was asked before the loss says nothing of the response that is found behind it. */
static void the_method_is_forgotten(void **state)
{
	(void)state;
	start(H1_RESPONSES);
	h1_expect(&talk.h1, HTTP_HEAD_METHOD);
	assert_false(h1_gap(&talk.h1, 1000));
	take("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	ends_with("(<200>{hi}.)|");
}

static void finds(enum h1_side side, const char *piece, bool found)
{
	start(side);
	assert_false(h1_gap(&talk.h1, 10));
	take(piece);
	h1_eof(&talk.h1);
	if (!found)
		assert_int_equal(trace.len, 0);
	else
		assert_int_equal(trace.text[0], '(');
	h1_release(&talk.h1);
}

static void what_a_message_starts_like(void **state)
{
	(void)state;
	finds(H1_REQUESTS, "GET / HTTP/1.1\r\n\r\n", true);
	finds(H1_REQUESTS, "GET http://a/ HTTP/1.0\n", true);
	finds(H1_REQUESTS, "DELETE /x HTTP/1.1\r\nX", true);
	finds(H1_REQUESTS, "POST /a/path/that/is/cut", true);
	finds(H1_REQUESTS, "POST /", true);
	finds(H1_REQUESTS, "POST ", false);
	finds(H1_REQUESTS, "POST a letter", false);
	finds(H1_REQUESTS, "THE END of it\n", false);
	finds(H1_REQUESTS, "GET / HTTP/2.0\r\n", false);
	finds(H1_REQUESTS, "\r\nGET / HTTP/1.1\r\n\r\n", false);
	finds(H1_REQUESTS, "OST / HTTP/1.1\r\n\r\n", false);
	finds(H1_REQUESTS, "OST /", false);
	finds(H1_REQUESTS, "xGET / HTTP/1.1\r\n\r\n", false);
	finds(H1_REQUESTS, "HTTP/1.1 200 OK\r\n\r\n", false);
	finds(H1_RESPONSES, "HTTP/1.1 200 OK\r\n", true);
	finds(H1_RESPONSES, "HTTP/1.1 200", true);
	finds(H1_RESPONSES, "HTTP/1.1 200\r", true);
	finds(H1_RESPONSES, "HTTP/1.1 200\n", true);
	finds(H1_RESPONSES, "HTTP/1.1 20", false);
	finds(H1_RESPONSES, "HTTP/1.1 is a protocol", false);
	finds(H1_RESPONSES, "HTTP/2 200 OK\r\n", false);
	finds(H1_RESPONSES, "data: HTTP/1.1 200 OK\r\n", false);
	finds(H1_RESPONSES, "GET / HTTP/1.1\r\n\r\n", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_gap_in_requests),
		cmocka_unit_test(every_gap_in_responses),
		cmocka_unit_test(what_a_gap_answers),
		cmocka_unit_test(gaps_where_nothing_is_counted),
		cmocka_unit_test(the_method_is_forgotten),
		cmocka_unit_test(what_a_message_starts_like),
	};
	return cmocka_run_group_tests_name("http/h1_gap", tests, NULL, NULL);
}
