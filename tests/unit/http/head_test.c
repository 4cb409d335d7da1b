/*
 * A whole head: what is read of it. What it says of the framing is in framing_test.c.
 */
#include "tests/unit/pieces.h"

#include "agent/http/head.h"

static void assert_span(struct span s, const char *want)
{
	if (!span_is(s, want))
		fail_msg("\"%.*s\", not \"%s\"", (int)s.len, (const char *)s.at, want);
}

static struct head read_request(const char *text)
{
	struct head h;
	if (!head_read_request(piece_at_edge(span_str(text)), &h))
		fail_msg("refused: %s", text);
	return h;
}

static struct head read_response(const char *text)
{
	struct head h;
	if (!head_read_response(piece_at_edge(span_str(text)), &h))
		fail_msg("refused: %s", text);
	return h;
}

static void where_a_head_ends(void **state)
{
	static const struct {
		const char *text;
		size_t end;
	} rows[] = {
		{"", 0},
		{"\n", 0},
		{"\r\n", 0},
		{"a\r\n\r\n", 5},
		{"a\n\n", 3},
		{"a\n\r\n", 4},
		{"a\r\n\n", 4},
		{"a\r\n\r", 0},
		{"a\r\n\rb\r\n\r\n", 9},
		{"a\r\n\r\r\n", 0}, /* a bare CR is text */
		{"a\r\r\n\r\n", 6},
		{"a\r\nb: c\r\n\r\nbody\r\n\r\n", 11},
		{"a\r\n \r\n\r\n", 8},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct span text = piece_at_edge(span_str(rows[i].text));
		if (head_find_end(text) != rows[i].end)
			fail_msg("row %zu: %zu", i, head_find_end(text));
	}
}

static void methods(void **state)
{
	static const struct {
		const char *text;
		enum http_method method;
	} rows[] = {
		{"GET", HTTP_GET},
		{"HEAD", HTTP_HEAD_METHOD},
		{"POST", HTTP_POST},
		{"PUT", HTTP_PUT},
		{"CONNECT", HTTP_CONNECT},
		{"OPTIONS", HTTP_OPTIONS},
		{"DELETE", HTTP_DELETE},
		{"PATCH", HTTP_PATCH},
		{"TRACE", HTTP_METHOD_OTHER},
		{"get", HTTP_METHOD_OTHER},
		{"POSTS", HTTP_METHOD_OTHER},
		{"G", HTTP_METHOD_OTHER},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[64];
		snprintf(text, sizeof(text), "%s /x HTTP/1.1\r\n\r\n", rows[i].text);
		struct head h = read_request(text);
		assert_int_equal(h.fields.method, rows[i].method);
		assert_span(h.fields.method_text, rows[i].text);
		assert_span(h.fields.path, "/x");
		assert_int_equal(h.fields.status, 0);
	}
}

static void fields_that_are_read(void **state)
{
	(void)state;
	struct head h = read_response("HTTP/1.0 404 Not Found\r\n"
				      "SERVER:llama.cpp\r\n"
				      "content-type: \t application/json; charset=utf-8 \r\n"
				      "Content-Encoding: gzip\r\n"
				      "Content-Type: text/plain\r\n"
				      "\r\n");
	assert_int_equal(h.fields.status, 404);
	assert_int_equal(h.fields.minor, 0);
	assert_span(h.fields.server, "llama.cpp");
	assert_span(h.fields.content_type, "application/json; charset=utf-8");
	assert_span(h.fields.content_encoding, "gzip");
	assert_int_equal(h.framing, HEAD_UNTIL_CLOSE);

	h = read_response("HTTP/1.1 200\r\n\r\n");
	assert_int_equal(h.fields.minor, 1);
	assert_int_equal(h.fields.server.len, 0);
	assert_int_equal(h.fields.content_type.len, 0);
	assert_int_equal(h.fields.content_encoding.len, 0);
}

static void any_field_by_its_name(void **state)
{
	(void)state;
	struct head h = read_request("GET / HTTP/1.1\r\n"
				     "Host: a:8000\r\n"
				     "X-Empty:\r\n"
				     "X-Folded: one\r\n two\r\n"
				     "X-Twice: 1\r\n"
				     "x-twice: 2\r\n"
				     "X: y\n"
				     "\r\n");
	assert_span(http_field(h.fields.fields, "host"), "a:8000");
	assert_span(http_field(h.fields.fields, "HOST"), "a:8000");
	assert_span(http_field(h.fields.fields, "x-empty"), "");
	assert_span(http_field(h.fields.fields, "x-folded"), "one\r\n two");
	assert_span(http_field(h.fields.fields, "x-twice"), "1");
	assert_span(http_field(h.fields.fields, "x"), "y");
	assert_span(http_field(h.fields.fields, "x-"), "");
	assert_span(http_field(h.fields.fields, "absent"), "");
	assert_span(http_field(span_of(NULL, 0), "host"), "");
	/* Also of text that was never checked. */
	assert_span(http_field(span_str("no field\r\nHost: a\r\n"), "host"), "");
	assert_span(http_field(span_str("Host: a"), "host"), "a");
}

static void targets(void **state)
{
	(void)state;
	assert_span(read_request("GET /a?b=c#d HTTP/1.1\r\n\r\n").fields.path, "/a?b=c#d");
	assert_span(read_request("GET * HTTP/1.1\r\n\r\n").fields.path, "*");
	assert_span(read_request("GET /a  b HTTP/1.1\n\n").fields.path, "/a  b");
	assert_span(read_request("GET /\xc3\xa4 HTTP/1.9\n\n").fields.path, "/\xc3\xa4");
}

static void refused(void **state)
{
	struct head h;
	(void)state;
	assert_false(head_read_request(span_of(NULL, 0), &h));
	assert_false(head_read_response(span_of(NULL, 0), &h));
	assert_false(head_starts_request(span_of(NULL, 0)));
	assert_false(head_starts_response(span_of(NULL, 0)));
	assert_false(head_read_request(span_str("\r\n\r\n"), &h));
	assert_false(head_read_response(span_str("GET / HTTP/1.1\r\n\r\n"), &h));
	assert_false(head_read_request(span_str("HTTP/1.1 200 OK\r\n\r\n"), &h));
}

/* Every head that is cut short, and every byte of one changed to every other: nothing reads past it. */
static void damaged(void **state)
{
	static const char text[] = "POST /v1 HTTP/1.1\r\nContent-Length: 5, 5\r\n"
				   "Server:\r\n a\r\n\r\n";
	char damaged[sizeof(text)];
	struct head h;
	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		head_read_request(piece_at_edge(span_of(text, n)), &h);
		head_read_response(piece_at_edge(span_of(text, n)), &h);
		head_starts_request(piece_at_edge(span_of(text, n)));
		head_starts_response(piece_at_edge(span_of(text, n)));
	}
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		for (int byte = 0; byte < 256; byte++) {
			memcpy(damaged, text, sizeof(text));
			damaged[i] = (char)byte;
			struct span s = piece_at_edge(span_of(damaged, sizeof(text) - 1));
			if (head_read_request(s, &h))
				assert_true(h.framing != HEAD_LENGTH || h.length > 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_a_head_ends),
		cmocka_unit_test(methods),
		cmocka_unit_test(fields_that_are_read),
		cmocka_unit_test(any_field_by_its_name),
		cmocka_unit_test(targets),
		cmocka_unit_test(refused),
		cmocka_unit_test(damaged),
	};
	return cmocka_run_group_tests_name("http/head", tests, NULL, NULL);
}
