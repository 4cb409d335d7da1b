/* Calls over HTTP/2: the frames by hand, the calls as they are booked (book.h). */
#include "tests/unit/call/streams.h"

static void test_streams_interleaved(void **state)
{
	(void)state;
	ask(1, ASKED);	      /* 1 */
	ask(3, ASKED);	      /* 2 */
	answer_head(3);	      /* 3 */
	answer_event(3, "a"); /* 4 */
	answer_head(1);	      /* 5 */
	answer_event(1, "b"); /* 6 */
	answer_event(3, "c"); /* 7 */
	answer_end(3);	      /* 8 */
	answer_event(1, "d"); /* 9 */
	answer_end(1);	      /* 10 */
	assert_int_equal(book.count, 2);
	static const unsigned want[2][5] = {{2, 2, 4, 7, 8}, {1, 1, 6, 9, 10}};
	for (size_t i = 0; i < 2; i++) {
		const struct call *c = &book.calls[i];
		assert_false(book.was_lost[i]);
		assert_int_equal(c->arrived_ns, CASE_EPOCH + want[i][0] * 1000000ul);
		assert_int_equal(c->received_ns, CASE_EPOCH + want[i][1] * 1000000ul);
		assert_int_equal(c->first_token_ns, CASE_EPOCH + want[i][2] * 1000000ul);
		assert_int_equal(c->last_token_ns, CASE_EPOCH + want[i][3] * 1000000ul);
		assert_int_equal(c->ended_ns, CASE_EPOCH + want[i][4] * 1000000ul);
		assert_int_equal(c->error, CALL_OK);
		assert_int_equal(c->output_tokens, 2);
		assert_int_equal(c->input_tokens, 3);
		assert_string_equal(c->labels.model, "m");
		assert_string_equal(c->labels.provider, "vllm");
		assert_string_equal(c->method, "POST");
		assert_string_equal(c->path, "/v1/chat/completions");
		assert_true(c->labels.stream);
	}
}

static void test_many_streams(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		ask(2 * i + 1, ASKED);
	for (uint32_t i = 0; i < 100; i++)
		answer_head(2 * (i * 37 % 100) + 1);
	for (uint32_t i = 0; i < 100; i++)
		answer_end(2 * (i * 61 % 100) + 1);
	assert_int_equal(book.count, 100);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(book.calls[i].arrived_ns,
				 CASE_EPOCH + (i * 61 % 100 + 1) * 1000000ul);
}

static void test_resets(void **state)
{
	(void)state;
	ask(1, ASKED);
	ask(3, ASKED);
	ask(5, ASKED);
	answer_head(1);
	answer_head(3);
	frames_raw(&in, RST_STREAM, 0, 1, span_of("\0\0\0\10", 4)); /* the client cancels */
	send(&in, SESSION_IN);
	ended_as(0, CALL_CLIENT_DISCONNECT);
	frames_raw(&out, RST_STREAM, 0, 3, span_of("\0\0\0\2", 4)); /* the server gives up */
	send(&out, SESSION_OUT);
	ended_as(1, CALL_TRUNCATED);
	frames_raw(&out, RST_STREAM, 0, 5, span_of("\0\0\0\7", 4)); /* it did not take it on */
	send(&out, SESSION_OUT);
	ended_as(2, CALL_UNAVAILABLE);
	/* What comes late for them is nobody's, and the connection goes on. */
	answer_end(1);
	ask(7, ASKED);
	answer_head(7);
	answer_end(7);
	ended_as(3, CALL_OK);
}

static void test_reset_behind_the_end(void **state)
{
	(void)state;
	ask(1, ASKED);
	answer_head(1);
	answer_end(1);
	frames_raw(&out, RST_STREAM, 0, 1, span_of("\0\0\0\0", 4));
	send(&out, SESSION_OUT);
	assert_int_equal(book.count, 1);
	ended_as(0, CALL_OK);
}

static void test_goaway(void **state)
{
	(void)state;
	ask(1, ASKED);
	ask(3, ASKED);
	answer_head(1);
	frames_raw(&out, GOAWAY, 0, 0, span_of("\0\0\0\1\0\0\0\0", 8));
	send(&out, SESSION_OUT);
	assert_int_equal(book.count, 1);
	ended_as(0, CALL_UNAVAILABLE);
	frames_raw(&in, GOAWAY, 0, 0, span_of("\0\0\0\0\0\0\0\0", 8));
	send(&in, SESSION_IN);
	answer_end(1);
	ended_as(1, CALL_OK);
}

static void test_refusal_and_interim(void **state)
{
	(void)state;
	ask(1, ASKED);
	frames_head(&out, 1, 0, ":status: 103\nlink: x\n");
	frames_head(&out, 1, 0, ":status: 429\ncontent-type: application/json\n");
	frames_data(&out, 1, END_STREAM, "{\"error\":{}}");
	send(&out, SESSION_OUT);
	ended_as(0, CALL_RATE_LIMITED);
	assert_int_equal(book.calls[0].http_status, 429);
	assert_false(book.calls[0].labels.stream);
}

static void test_interim_answers_alone_are_no_answer(void **state)
{
	(void)state;
	ask(1, ASKED);
	frames_head(&out, 1, 0, ":status: 103\ncontent-type: text/event-stream\n");
	send(&out, SESSION_OUT);
	session_close(session, SESSION_CLOSED, now());
	ended_as(0, CALL_TRUNCATED);
	assert_int_equal(book.calls[0].http_status, 0);
}

static void test_nothing_of_a_request_behind_its_end(void **state)
{
	(void)state;
	ask(1, ASKED);
	frames_data(&in, 1, END_STREAM, "more");
	send(&in, SESSION_IN);
	answer_head(1);
	answer_end(1);
	ended_as(0, CALL_OK);
	assert_int_equal(book.calls[0].request_bytes, strlen(ASKED));
	assert_int_equal(book.calls[0].received_ns, CASE_EPOCH + 1000000);
}

/* An answer before the whole request was sent. */
static void test_early_answer(void **state)
{
	(void)state;
	frames_head(&in, 1, 0, FRAMES_POST);
	frames_data(&in, 1, 0, "{\"model\":");
	send(&in, SESSION_IN);
	frames_head(&out, 1, END_STREAM, ":status: 413\n");
	send(&out, SESSION_OUT);
	ended_as(0, CALL_VALIDATION_ERROR);
	frames_data(&in, 1, END_STREAM, "\"m\"}");
	send(&in, SESSION_IN);
	assert_int_equal(book.count, 1);
}

static void test_trailers_and_other_requests(void **state)
{
	(void)state;
	frames_head(&in, 1, END_STREAM, ":method: GET\n:path: /v1/chat/completions\n");
	frames_head(&in, 3, 0, FRAMES_POST);
	frames_data(&in, 3, 0, ASKED);
	frames_head(&in, 3, END_STREAM, "checksum: 1\n");
	send(&in, SESSION_IN);
	frames_head(&out, 1, END_STREAM, ":status: 405\n");
	send(&out, SESSION_OUT);
	answer_head(3);
	frames_head(&out, 3, END_STREAM, "checksum: 2\n");
	send(&out, SESSION_OUT);
	assert_int_equal(book.count, 1);
	ended_as(0, CALL_OK);
	assert_string_equal(book.calls[0].labels.model, "m");
}

/* A stream's id may not come again, nor an even one from a client. */
static void test_streams_that_cannot_be(void **state)
{
	(void)state;
	ask(5, ASKED);
	ask(5, ASKED);
	ask(3, ASKED);
	ask(6, ASKED);
	answer_head(5);
	answer_end(5);
	assert_int_equal(book.count, 1);
	assert_int_equal(book.started, 1);
}

static void test_gap_in_data(void **state)
{
	(void)state;
	ask(1, ASKED);
	ask(3, ASKED);
	answer_head(1);
	answer_head(3);
	frames_data(&out, 1, 0,
		    "data: {\"choices\":[{\"delta\":{\"content\":\"abcdefghijkl\"}}]}\n\n");
	session_bytes(session, SESSION_OUT, span_of(out.at, 30), now());
	session_gap(session, SESSION_OUT, 15, now());
	session_bytes(session, SESSION_OUT, span_of(out.at + 45, out.len - 45), now());
	out.len = 0;
	answer_end(1);
	answer_end(3);
	ended_as(0, CALL_OK);
	assert_true(book.calls[0].incomplete);
	assert_false(book.calls[0].has_output_tokens);
	ended_as(1, CALL_OK);
	assert_false(book.calls[1].incomplete);
	assert_int_equal(book.calls[1].output_tokens, 2);
}

/* When it ended nobody saw. */
static void test_gap_up_to_the_end(void **state)
{
	(void)state;
	ask(1, ASKED);
	answer_head(1);
	frames_data(&out, 1, END_STREAM, "data: {}\n\n");
	session_bytes(session, SESSION_OUT, span_of(out.at, 12), now());
	session_gap(session, SESSION_OUT, 7, now());
	assert_int_equal(book.count, 1);
	assert_true(book.was_lost[0]);
}

/* Behind it no head can be read: nothing is told, rather than something wrong. */
static void test_gap_over_frames(void **state)
{
	(void)state;
	ask(1, ASKED);
	answer_head(1);
	answer_event(1, "a");
	session_gap(session, SESSION_OUT, 40, now());
	assert_int_equal(book.count, 1);
	assert_true(book.was_lost[0]);
	answer_end(1);
	ask(3, ASKED);
	answer_head(3);
	answer_end(3);
	assert_int_equal(book.started, 1);
}

static void closed_as(enum session_end how, bool client_first, enum call_error error)
{
	ask(1, ASKED);
	answer_head(1);
	answer_event(1, "a");
	if (client_first)
		session_eof(session, now());
	session_close(session, how, now());
	assert_int_equal(book.count, 1);
	ended_as(0, error);
}

static void test_closed_by_the_server(void **state)
{
	(void)state;
	closed_as(SESSION_CLOSED, false, CALL_TRUNCATED);
}

static void test_closed_by_the_client(void **state)
{
	(void)state;
	closed_as(SESSION_CLOSED, true, CALL_CLIENT_DISCONNECT);
}

static void test_server_died(void **state)
{
	(void)state;
	closed_as(SESSION_SERVER_DIED, false, CALL_SERVER_CRASH);
}

static void test_connection_failed(void **state)
{
	(void)state;
	ask(1, ASKED);
	session_fail(session, ECONNRESET, now());
	ended_as(0, CALL_CLIENT_DISCONNECT);
}

static void test_stream_limit(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < LIMIT_STREAMS + 1; i++) {
		frames_head(&in, 2 * i + 1, 0, FRAMES_POST);
		session_bytes(session, SESSION_IN, frames_span(&in), now());
		in.len = 0;
	}
	/* None of them was whole, so none was a call yet; and nothing is kept. */
	assert_int_equal(book.started, 0);
	frames_data(&in, 1, END_STREAM, ASKED);
	send(&in, SESSION_IN);
	assert_int_equal(book.started, 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, streams_set_up, streams_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_streams_interleaved),
		TEST(test_many_streams),
		TEST(test_resets),
		TEST(test_reset_behind_the_end),
		TEST(test_goaway),
		TEST(test_refusal_and_interim),
		TEST(test_interim_answers_alone_are_no_answer),
		TEST(test_nothing_of_a_request_behind_its_end),
		TEST(test_early_answer),
		TEST(test_trailers_and_other_requests),
		TEST(test_streams_that_cannot_be),
		TEST(test_gap_in_data),
		TEST(test_gap_up_to_the_end),
		TEST(test_gap_over_frames),
		TEST(test_closed_by_the_server),
		TEST(test_closed_by_the_client),
		TEST(test_server_died),
		TEST(test_connection_failed),
		TEST(test_stream_limit),
	};
	return cmocka_run_group_tests_name("call/by_stream", tests, NULL, NULL);
}
