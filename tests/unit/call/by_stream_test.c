/* Calls over HTTP/2: the frames by hand, the calls as lines of JSON (book.h). */
#include "tests/unit/call/book.h"
#include "tests/unit/http/frames.h"

static struct book book;
static struct call_sink sink;
static struct server *server;
static struct session *session;
static struct frames in, out;
static unsigned now_ms;

static int set_up(void **state)
{
	(void)state;
	sink = book_sink(&book);
	server = server_new("vllm", span_of(NULL, 0), NULL, &sink);
	session = session_new(server);
	frames_begin(&in);
	frames_begin(&out);
	frames_put(&in, span_str(H2_PREFACE));
	now_ms = 0;
	return server && session ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	session_free(session);
	server_free(server);
	frames_end(&in);
	frames_end(&out);
	assert_int_equal(book.started, book.count);
	return 0;
}

static uint64_t now(void)
{
	return CASE_EPOCH + (uint64_t)now_ms * 1000000;
}

/* What was put together since the last time, a millisecond later, a byte at a time. */
static void send(struct frames *f, enum session_direction d)
{
	now_ms++;
	for (size_t i = 0; i < f->len; i++)
		session_bytes(session, d, span_of(f->at + i, 1), now());
	f->len = 0;
}

static void ask(uint32_t stream, const char *body)
{
	frames_head(&in, stream, 0, FRAMES_POST);
	frames_data(&in, stream, END_STREAM, body);
	send(&in, SESSION_IN);
}

static void answer_head(uint32_t stream)
{
	frames_head(&out, stream, 0, ":status: 200\ncontent-type: text/event-stream\n");
	send(&out, SESSION_OUT);
}

static void answer_event(uint32_t stream, const char *text)
{
	char event[256];
	snprintf(event, sizeof(event), "data: {\"choices\":[{\"delta\":{\"content\":\"%s\"}}]}\n\n",
		 text);
	frames_data(&out, stream, 0, event);
	send(&out, SESSION_OUT);
}

static void answer_end(uint32_t stream)
{
	frames_data(&out, stream, END_STREAM,
		    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],"
		    "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n");
	send(&out, SESSION_OUT);
}

#define ASKED "{\"model\":\"m\",\"stream\":true}"

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

static void ended_as(size_t i, enum call_error error)
{
	assert_true(i < book.count);
	assert_false(book.was_lost[i]);
	assert_int_equal(book.calls[i].error, error);
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

static void text(enum session_direction d, const char *s)
{
	now_ms++;
	while (*s)
		session_bytes(session, d, span_of(s++, 1), now());
}

static unsigned unmeasured[CALL_UNMEASURED_COUNT];

static void count_unmeasured(void *user, enum call_unmeasured how)
{
	(void)user;
	unmeasured[how]++;
}

static void grpc(uint32_t stream, const char *method, const char *path, const char *type)
{
	char fields[256];
	snprintf(fields, sizeof(fields), ":method: %s\n:path: %s\ncontent-type: %s\n", method, path,
		 type);
	frames_head(&in, stream, 0, fields);
	send(&in, SESSION_IN);
}

static void test_grpc_is_seen_and_not_measured(void **state)
{
	(void)state;
	sink.unmeasured = count_unmeasured;
	memset(unmeasured, 0, sizeof(unmeasured));
	grpc(1, "POST", "/inference.GRPCInferenceService/ModelInfer", "application/grpc");
	grpc(3, "POST", "/inference.GRPCInferenceService/ModelStreamInfer",
	     "application/grpc+proto");
	grpc(5, "POST", "/inference.GRPCInferenceService/ServerLive", "application/grpc");
	grpc(7, "POST", "/inference.GRPCInferenceService/ModelInfer", "application/json");
	grpc(9, "GET", "/inference.GRPCInferenceService/ModelInfer", "application/grpc");
	assert_int_equal(unmeasured[CALL_UNMEASURED_GRPC], 2);
	assert_int_equal(book.started, 0);
}

static void websocket(const char *path, const char *upgrade)
{
	session_free(session);
	session = session_new(server);
	text(SESSION_IN, "GET ");
	text(SESSION_IN, path);
	text(SESSION_IN, " HTTP/1.1\r\nupgrade: websocket\r\n\r\n");
	text(SESSION_OUT, "HTTP/1.1 101 Switching\r\nupgrade: ");
	text(SESSION_OUT, upgrade);
	text(SESSION_OUT, "\r\n\r\n\x81\x02hi");
}

static void test_websocket_is_seen_and_not_measured(void **state)
{
	(void)state;
	sink.unmeasured = count_unmeasured;
	memset(unmeasured, 0, sizeof(unmeasured));
	websocket("/v1/realtime?model=m", "WebSocket");
	assert_int_equal(unmeasured[CALL_UNMEASURED_WEBSOCKET], 1);
	websocket("/queue/join", "websocket");
	websocket("/v1/realtime", "other");
	assert_int_equal(unmeasured[CALL_UNMEASURED_WEBSOCKET], 1);
	sink.unmeasured = NULL;
	websocket("/v1/realtime", "websocket");
	assert_int_equal(book.started, 0);
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
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
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
		TEST(test_grpc_is_seen_and_not_measured),
		TEST(test_websocket_is_seen_and_not_measured),
		TEST(test_streams_that_cannot_be),
		TEST(test_gap_in_data),
		TEST(test_gap_up_to_the_end),
		TEST(test_gap_over_frames),
		TEST(test_joined_in_the_middle),
		TEST(test_closed_by_the_server),
		TEST(test_closed_by_the_client),
		TEST(test_server_died),
		TEST(test_connection_failed),
		TEST(test_server_speaks_first),
		TEST(test_upgrade),
		TEST(test_upgrade_ignored),
		TEST(test_upgrade_of_a_pipeline),
		TEST(test_not_the_preface),
		TEST(test_part_of_the_preface),
		TEST(test_stream_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
