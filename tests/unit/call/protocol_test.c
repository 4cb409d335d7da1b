/* What a connection turns out to speak: HTTP/1, HTTP/2 from its preface on or by an upgrade, or neither. */
#include "tests/unit/call/streams.h"

static void test_joined_in_the_middle(void **state)
{
	(void)state;
	session_gap(session, SESSION_IN, UINT64_MAX, now());
	session_gap(session, SESSION_OUT, UINT64_MAX, now());
	in.len = 0;
	ask(3, ASKED);
	answer_head(3);
	answer_event(3, "HTTP/1.1 200 OK");
	answer_end(3);
	assert_int_equal(book.started, 0);
}

static void test_server_speaks_first(void **state)
{
	(void)state;
	frames_raw(&out, SETTINGS, 0, 0, span_of("\0\3\0\0\0\144", 6));
	send(&out, SESSION_OUT);
	ask(1, ASKED);
	answer_head(1);
	answer_end(1);
	ended_as(0, CALL_OK);
}

#define UPGRADE                                                                                    \
	"POST /v1/chat/completions HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n"            \
	"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 27\r\n\r\n"
#define SWITCHES "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"

static void test_upgrade(void **state)
{
	(void)state;
	text(SESSION_IN, UPGRADE ASKED);
	text(SESSION_OUT, SWITCHES);
	frames_raw(&out, SETTINGS, 0, 0, span_of(NULL, 0));
	answer_head(1);
	ask(3, ASKED);
	answer_event(1, "a");
	answer_end(1);
	answer_head(3);
	answer_end(3);
	assert_int_equal(book.count, 2);
	ended_as(0, CALL_OK);
	assert_int_equal(book.calls[0].arrived_ns, CASE_EPOCH + 1000000);
	assert_int_equal(book.calls[0].output_tokens, 2);
	ended_as(1, CALL_OK);
}

/* The server may refuse it and answer, or ignore it. */
static void test_upgrade_ignored(void **state)
{
	(void)state;
	text(SESSION_IN, UPGRADE ASKED);
	text(SESSION_OUT, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
	ended_as(0, CALL_OK);
	text(SESSION_IN, UPGRADE ASKED);
	text(SESSION_OUT, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
	answer_head(1);
	assert_int_equal(book.count, 2);
	assert_true(book.was_lost[1]);
}

/* Which of two requests has become stream 1 nobody can say. */
static void test_upgrade_of_a_pipeline(void **state)
{
	(void)state;
	text(SESSION_IN, UPGRADE ASKED UPGRADE ASKED);
	text(SESSION_OUT, SWITCHES);
	answer_head(1);
	answer_end(1);
	assert_int_equal(book.count, 2);
	assert_true(book.was_lost[0] && book.was_lost[1]);
}

/* What begins like the preface and is none is HTTP/1, and not a byte of it is lost. */
static void test_not_the_preface(void **state)
{
	(void)state;
	text(SESSION_IN, "PRI * HTTP/1.1\r\nhost: a\r\n\r\n");
	text(SESSION_OUT, "HTTP/1.1 405 No\r\ncontent-length: 0\r\n\r\n");
	text(SESSION_IN, "POST /v1/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}");
	text(SESSION_OUT, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
	assert_int_equal(book.count, 1);
	ended_as(0, CALL_OK);
}

static void test_part_of_the_preface(void **state)
{
	(void)state;
	text(SESSION_IN, "P");
	text(SESSION_IN, "UT /v1/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}");
	text(SESSION_OUT, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
	ended_as(0, CALL_OK);
	assert_int_equal(book.calls[0].arrived_ns, CASE_EPOCH + 1000000);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, streams_set_up, streams_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_joined_in_the_middle),
		TEST(test_server_speaks_first),
		TEST(test_upgrade),
		TEST(test_upgrade_ignored),
		TEST(test_upgrade_of_a_pipeline),
		TEST(test_not_the_preface),
		TEST(test_part_of_the_preface),
	};
	return cmocka_run_group_tests_name("call/protocol", tests, NULL, NULL);
}
