/* Compressed requests and responses: the calls are those of the plain text. */
#include "tests/unit/call/booked.h"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#define REQUEST                                                                                    \
	"{\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"model\":\"m\",\"stream\":"    \
	"true}"
#define EVENT "data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\n\n"
#define LAST                                                                                       \
	"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n"       \
	"data: [DONE]\n\n"
#define WHOLE                                                                                      \
	"{\"choices\":[{\"message\":{\"content\":\"word\"},\"finish_reason\":\"stop\"}],"          \
	"\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}"

static void again(void)
{
	booked_tear_down(NULL);
	booked_set_up(NULL);
}

/* A body in parts, each of which is flushed. */
struct body {
	uint8_t bytes[4096];
	size_t ends[8];
	size_t count, len;
};

static void put(struct body *b, size_t n)
{
	b->len += n;
	b->ends[b->count++] = b->len;
}

static void pack(struct body *b, const char *coding, const char *const *parts)
{
	z_stream z = {0};
	BrotliEncoderState *br = BrotliEncoderCreateInstance(NULL, NULL, NULL);
	ZSTD_CCtx *zs = ZSTD_createCCtx();
	int bits = strcmp(coding, "gzip") == 0 ? 31 : 15;
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	*b = (struct body){0};
	for (; *parts; parts++) {
		bool last = !parts[1];
		size_t len = strlen(*parts), room = sizeof(b->bytes) - b->len;
		uint8_t *out = b->bytes + b->len;
		const uint8_t *in = (const uint8_t *)*parts;
		if (strcmp(coding, "br") == 0) {
			size_t left = room;
			BrotliEncoderCompressStream(
				br, last ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_FLUSH, &len,
				&in, &left, &out, NULL);
			put(b, room - left);
		} else if (strcmp(coding, "zstd") == 0) {
			ZSTD_inBuffer from = {in, len, 0};
			ZSTD_outBuffer to = {out, room, 0};
			ZSTD_compressStream2(zs, &to, &from, last ? ZSTD_e_end : ZSTD_e_flush);
			put(b, to.pos);
		} else {
			z.next_in = (Bytef *)(uintptr_t)in;
			z.avail_in = (uInt)len;
			z.next_out = out;
			z.avail_out = (uInt)room;
			deflate(&z, last ? Z_FINISH : Z_SYNC_FLUSH);
			put(b, room - z.avail_out);
		}
	}
	deflateEnd(&z);
	BrotliEncoderDestroyInstance(br);
	ZSTD_freeCCtx(zs);
}

static void text(enum session_direction d, const char *s)
{
	session_bytes(session, d, span_str(s), now());
}

/* Each part a millisecond later. */
static void send(enum session_direction d, const struct body *b)
{
	size_t at = 0;
	for (size_t i = 0; i < b->count; i++) {
		now_ms++;
		for (; at < b->ends[i]; at++)
			session_bytes(session, d, span_of(b->bytes + at, 1), now());
	}
}

static void ask(const struct body *b, const char *field)
{
	char head[256];
	snprintf(head, sizeof(head),
		 "POST /v1/chat/completions HTTP/1.1\r\n%s\r\ncontent-length: %zu\r\n\r\n", field,
		 b->len);
	text(SESSION_IN, head);
	send(SESSION_IN, b);
}

static void answer(const struct body *b, const char *type, const char *coding)
{
	char head[256];
	snprintf(head, sizeof(head),
		 "HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-encoding: %s\r\ncontent-length: "
		 "%zu\r\n\r\n",
		 type, coding, b->len);
	text(SESSION_OUT, head);
	send(SESSION_OUT, b);
}

static const char *const request_parts[] = {REQUEST, NULL};
static const char *const stream_parts[] = {EVENT, EVENT, LAST, NULL};
static const char *const whole_parts[] = {WHOLE, NULL};
static const char *const codings[] = {"gzip", "deflate", "br", "zstd"};

static void counted(size_t output, enum call_token_source source)
{
	assert_int_equal(book.count, 1);
	assert_int_equal(book.calls[0].error, CALL_OK);
	assert_int_equal(book.calls[0].token_source, source);
	assert_int_equal(book.calls[0].output_tokens, output);
}

static void test_streams(void **state)
{
	(void)state;
	struct body request, response;
	for (size_t i = 0; i < 4; i++) {
		char field[64];
		snprintf(field, sizeof(field), "content-encoding: %s", codings[i]);
		pack(&request, codings[i], request_parts);
		ask(&request, field);
		assert_int_equal(book.started, 1);
		assert_string_equal(book.calls[0].labels.model, "");
		pack(&response, codings[i], stream_parts);
		answer(&response, "text/event-stream", codings[i]);
		counted(2, CALL_TOKENS_USAGE);
		const struct call *c = &book.calls[0];
		assert_string_equal(c->started.model, "m");
		assert_true(c->started.stream);
		assert_int_equal(c->received_ns, CASE_EPOCH + 1000000);
		assert_int_equal(c->first_token_ns, CASE_EPOCH + 2000000);
		assert_int_equal(c->last_token_ns, CASE_EPOCH + 3000000);
		assert_int_equal(c->ended_ns, CASE_EPOCH + 4000000);
		assert_int_equal(c->events, 2);
		assert_int_equal(c->request_bytes, request.len);
		assert_int_equal(c->response_bytes, response.len);
		again();
	}
}

static void test_documents(void **state)
{
	(void)state;
	struct body request, response;
	for (size_t i = 0; i < 4; i++) {
		pack(&request, "zstd", request_parts);
		ask(&request, "x-body-compressed: zstd");
		pack(&response, codings[i], whole_parts);
		answer(&response, "application/json", codings[i]);
		counted(2, CALL_TOKENS_USAGE);
		assert_string_equal(book.calls[0].finish_reason, "stop");
		assert_string_equal(book.calls[0].labels.model, "m");
		again();
	}
}

static void plain_request(void)
{
	struct body b = {.count = 1, .ends = {strlen(REQUEST)}, .len = strlen(REQUEST)};
	memcpy(b.bytes, REQUEST, b.len);
	ask(&b, "accept: */*");
}

/* The call is counted, its tokens are not known. */
static void test_what_cannot_be_undone(void **state)
{
	(void)state;
	struct body response;
	plain_request();
	pack(&response, "gzip", stream_parts);
	answer(&response, "text/event-stream", "compress");
	counted(0, CALL_TOKENS_NONE);
	again();
	plain_request();
	answer(&response, "text/event-stream", "br");
	counted(0, CALL_TOKENS_NONE);
	assert_true(book.calls[0].labels.stream);
}

static void test_damage_behind_the_first_event(void **state)
{
	(void)state;
	struct body response;
	plain_request();
	pack(&response, "gzip", stream_parts);
	memset(response.bytes + response.ends[0], 0xff, response.len - response.ends[0]);
	answer(&response, "text/event-stream", "gzip");
	counted(0, CALL_TOKENS_NONE);
	assert_int_equal(book.first_tokens, 1);
}

static void test_gaps(void **state)
{
	(void)state;
	char head[200];
	struct body response, request;
	plain_request();
	pack(&response, "gzip", stream_parts);
	snprintf(head, sizeof(head),
		 "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n"
		 "content-length: %zu\r\n\r\n",
		 response.len);
	text(SESSION_OUT, head);
	session_bytes(session, SESSION_OUT, span_of(response.bytes, 30), now());
	session_gap(session, SESSION_OUT, 4, now());
	session_bytes(session, SESSION_OUT, span_of(response.bytes + 34, response.len - 34), now());
	counted(0, CALL_TOKENS_NONE);
	assert_true(book.calls[0].incomplete);
	again();
	pack(&request, "gzip", request_parts);
	snprintf(head, sizeof(head),
		 "POST /v1/chat/completions HTTP/1.1\r\ncontent-encoding: gzip\r\ncontent-length: "
		 "%zu\r\n\r\n",
		 request.len);
	text(SESSION_IN, head);
	session_bytes(session, SESSION_IN, span_of(request.bytes, 20), now());
	session_gap(session, SESSION_IN, 4, now());
	session_bytes(session, SESSION_IN, span_of(request.bytes + 24, request.len - 24), now());
	answer(&response, "text/event-stream", "gzip");
	assert_int_equal(book.count, 1);
	assert_true(book.calls[0].incomplete);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, booked_set_up, booked_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_streams),
		TEST(test_documents),
		TEST(test_what_cannot_be_undone),
		TEST(test_damage_behind_the_first_event),
		TEST(test_gaps),
	};
	return cmocka_run_group_tests_name("call/coding", tests, NULL, NULL);
}
