/* What cannot be said by a case: limits, memory, words. The rest is in tests/cases/call. */
#include "tests/unit/call/booked.h"

#include "agent/call/outcome.h"

/* Of the address sanitizer's runtime; gcc's package has no header for it. */
size_t __sanitizer_get_current_allocated_bytes(void);

static void in(const char *text)
{
	session_bytes(session, SESSION_IN, span_str(text), CASE_EPOCH);
}

static void out(const char *text)
{
	session_bytes(session, SESSION_OUT, span_str(text), CASE_EPOCH + 1000000);
}

#define HEAD_IN	 "POST /v1/completions HTTP/1.1\r\n"
#define REQUEST	 HEAD_IN "content-length: 13\r\n\r\n{\"model\":\"b\"}"
#define RESPONSE "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
#define STREAM                                                                                     \
	"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
#define EVENT "25\r\ndata: {\"choices\":[{\"text\":\"abcd\"}]}\n\n\r\n"

static void test_pipeline_limit(void **state)
{
	(void)state;
	for (unsigned n = 0; n < LIMIT_PIPELINE; n++)
		in(REQUEST);
	for (unsigned n = 0; n < LIMIT_PIPELINE; n++)
		out(RESPONSE);
	assert_int_equal(book.count, LIMIT_PIPELINE);
	for (unsigned n = 0; n < LIMIT_PIPELINE; n++)
		assert_false(book.was_lost[n]);
	book.count = book.started = 0;
	for (unsigned n = 0; n <= LIMIT_PIPELINE; n++)
		in(REQUEST);
	assert_int_equal(book.count, LIMIT_PIPELINE);
	for (unsigned n = 0; n < LIMIT_PIPELINE; n++)
		assert_true(book.was_lost[n]);
	out(RESPONSE);
	in(REQUEST);
	assert_int_equal(book.started, LIMIT_PIPELINE);
}

static void test_freed_while_open(void **state)
{
	(void)state;
	in(REQUEST);
	out(STREAM EVENT);
	session_free(session);
	session = NULL;
	assert_int_equal(book.first_tokens, 1);
	assert_int_equal(book.count, 1);
	assert_true(book.was_lost[0]);
	session_free(NULL);
}

static void test_nothing_after_close(void **state)
{
	(void)state;
	in(REQUEST);
	session_close(session, SESSION_CLOSED, CASE_EPOCH + 2000000);
	assert_int_equal(book.count, 1);
	in(REQUEST);
	out(RESPONSE);
	session_gap(session, SESSION_OUT, 5, CASE_EPOCH + 3000000);
	session_fail(session, EPIPE, CASE_EPOCH + 3000000);
	session_close(session, SESSION_SERVER_DIED, CASE_EPOCH + 3000000);
	assert_int_equal(book.started, 1);
	assert_int_equal(book.count, 1);
}

/* A connection with a stream, its parsers and all, and one that waits. */
static void test_memory_of_a_stream(void **state)
{
	(void)state;
	in(REQUEST);
	out(STREAM EVENT);
	in(REQUEST);
	out("0\r\n\r\n" RESPONSE);
	size_t before = __sanitizer_get_current_allocated_bytes();
	struct session *other = session_new(server);
	size_t idle = __sanitizer_get_current_allocated_bytes() - before;
	session_bytes(other, SESSION_IN, span_str("GET /health HTTP/1.1\r\n\r\n"), CASE_EPOCH);
	session_bytes(other, SESSION_OUT, span_str("HTTP/1.1 200 OK\r\n\r\nok"), CASE_EPOCH);
	size_t health = __sanitizer_get_current_allocated_bytes() - before;
	session_free(other);
	other = session_new(server);
	session_bytes(other, SESSION_IN, span_str(REQUEST), CASE_EPOCH);
	session_bytes(other, SESSION_OUT, span_str(STREAM EVENT), CASE_EPOCH);
	size_t stream = __sanitizer_get_current_allocated_bytes() - before;
	print_message("bytes of a session: %zu idle, %zu with /health, %zu with a stream\n", idle,
		      health, stream);
	assert_true(idle <= 512);
	assert_true(health <= 600);
	assert_true(stream <= 768);
	session_free(other);
	assert_int_equal(__sanitizer_get_current_allocated_bytes(), before);
}

/* Of a connection that left HTTP, with a head that came in two reads, nothing is kept but the fact. */
static void test_memory_after_an_upgrade(void **state)
{
	(void)state;
	static char field[8192];
	size_t before = __sanitizer_get_current_allocated_bytes();
	struct session *other = session_new(server);
	memset(field, 'x', sizeof(field));
	session_bytes(other, SESSION_IN, span_str(REQUEST), CASE_EPOCH);
	session_bytes(other, SESSION_OUT, span_str("HTTP/1.1 101 Go\r\nx: "), CASE_EPOCH);
	session_bytes(other, SESSION_OUT, span_of(field, sizeof(field)), CASE_EPOCH);
	session_bytes(other, SESSION_OUT, span_str("\r\n\r\n"), CASE_EPOCH);
	session_bytes(other, SESSION_OUT, span_str("\x81\x01x"), CASE_EPOCH);
	assert_int_equal(book.count, 1);
	assert_true(book.was_lost[0]);
	assert_true(__sanitizer_get_current_allocated_bytes() - before <= 256);
	session_gap(other, SESSION_IN, 7, CASE_EPOCH);
	session_gap(other, SESSION_OUT, 7, CASE_EPOCH);
	session_eof(other, CASE_EPOCH);
	session_fail(other, EPIPE, CASE_EPOCH);
	session_close(other, SESSION_CLOSED, CASE_EPOCH);
	session_free(other);
	assert_int_equal(__sanitizer_get_current_allocated_bytes(), before);
}

static size_t most(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* 64 MB of prompt and of answer, and heads that never end. */
static void test_memory_is_bounded(void **state)
{
	(void)state;
	static char block[1u << 16];
	size_t before = __sanitizer_get_current_allocated_bytes(), peak = 0;
	memset(block, 'x', sizeof(block));
	in(HEAD_IN "content-length: 67108889\r\n\r\n{\"prompt\":\"");
	for (unsigned n = 0; n < 1024; n++) {
		session_bytes(session, SESSION_IN, span_of(block, sizeof(block)), CASE_EPOCH);
		peak = most(peak, __sanitizer_get_current_allocated_bytes() - before);
	}
	in("\",\"model\":\"b\" }");
	assert_int_equal(book.started, 1);
	out(STREAM "4000000\r\ndata: {\"choices\":[{\"text\":\"");
	for (unsigned n = 0; n < 1023; n++) {
		session_bytes(session, SESSION_OUT, span_of(block, sizeof(block)), CASE_EPOCH);
		peak = most(peak, __sanitizer_get_current_allocated_bytes() - before);
	}
	in(HEAD_IN);
	for (unsigned n = 0; n < 64; n++) {
		session_bytes(session, SESSION_IN, span_of(block, sizeof(block)), CASE_EPOCH);
		peak = most(peak, __sanitizer_get_current_allocated_bytes() - before);
	}
	print_message("bytes at most: %zu\n", peak);
	assert_true(peak <= 3 * LIMIT_HEAD_BYTES);
	session_close(session, SESSION_CLOSED, CASE_EPOCH + 2000000);
	assert_int_equal(book.count, 1);
	assert_string_equal(book.calls[0].labels.model, "b");
	assert_int_equal(book.calls[0].error, CALL_TRUNCATED);
	assert_int_equal(book.calls[0].request_bytes, 67108889);
}

static void test_every_status_has_its_word(void **state)
{
	(void)state;
	static const struct {
		unsigned status;
		const char *word;
	} words[] = {
		{200, ""},
		{204, ""},
		{302, ""},
		{399, ""},
		{400, "validation_error"},
		{401, "authentication_error"},
		{402, "client_error"},
		{403, "authentication_error"},
		{404, "not_found"},
		{405, "client_error"},
		{408, "timeout"},
		{409, "client_error"},
		{413, "validation_error"},
		{422, "validation_error"},
		{424, "client_error"},
		{426, "client_error"},
		{429, "rate_limited"},
		{499, "client_error"},
		{500, "provider_error"},
		{501, "provider_error"},
		{502, "provider_error"},
		{503, "unavailable"},
		{504, "timeout"},
		{529, "provider_error"},
		{999, "provider_error"},
		{0, ""},
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_string_equal(call_error_name(outcome_of_status(words[i].status)),
				    words[i].word);
}

static void test_names_of_everything(void **state)
{
	(void)state;
	static const char *const endpoints[CALL_ENDPOINTS] = {
		"chat_completion", "completion", "embedding",	  "rerank",
		"response",	   "message",	 "transcription",
	};
	static const char *const errors[CALL_ERRORS] = {
		"",
		"validation_error",
		"authentication_error",
		"not_found",
		"rate_limited",
		"timeout",
		"unavailable",
		"provider_error",
		"client_error",
		"client_disconnect",
		"truncated",
		"server_crash",
	};
	for (int e = 0; e < CALL_ENDPOINTS; e++)
		assert_string_equal(call_endpoint_name((enum call_endpoint)e), endpoints[e]);
	for (int e = 0; e < CALL_ERRORS; e++)
		assert_string_equal(call_error_name((enum call_error)e), errors[e]);
	assert_string_equal(call_endpoint_name(CALL_ENDPOINTS), "");
	assert_string_equal(call_error_name(CALL_ERRORS), "");
	assert_string_equal(call_token_source_name(CALL_TOKENS_NONE), "none");
	assert_string_equal(call_token_source_name(CALL_TOKENS_USAGE), "usage");
	assert_string_equal(call_token_source_name(CALL_TOKENS_ENGINE), "engine");
	assert_string_equal(call_token_source_name(CALL_TOKENS_EVENTS), "events");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, booked_set_up, booked_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pipeline_limit),
		TEST(test_freed_while_open),
		TEST(test_nothing_after_close),
		TEST(test_memory_of_a_stream),
		TEST(test_memory_is_bounded),
		TEST(test_memory_after_an_upgrade),
		TEST(test_every_status_has_its_word),
		TEST(test_names_of_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
