/* Each stream runs whole, byte by byte and cut at every place: always with the same trace. */
#include "tests/unit/test.h"

#include "agent/body/frames.h"
#include "tests/unit/pieces.h"

#include <stdlib.h>

static uint8_t stream[8192];
static size_t stream_len;
static char trace[8192];
static size_t trace_len;

static void put32(uint32_t n)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		stream[stream_len++] = (uint8_t)(n >> shift);
}

static void put(const void *bytes, size_t len)
{
	memcpy(stream + stream_len, bytes, len);
	stream_len += len;
}

static void header(const char *name, const char *value)
{
	stream[stream_len++] = (uint8_t)strlen(name);
	put(name, strlen(name));
	stream[stream_len++] = 7;
	stream[stream_len++] = (uint8_t)(strlen(value) >> 8);
	stream[stream_len++] = (uint8_t)strlen(value);
	put(value, strlen(value));
}

/* A frame with the headers that Bedrock writes, and one of each other kind. */
static void frame(const char *message_type, const char *event_type, const char *payload)
{
	static const uint8_t others[] = "\1a\0"
					"\1b\1"
					"\1c\2x"
					"\1d\3xx"
					"\1e\4xxxx"
					"\1f\5xxxxxxxx"
					"\1g\6\0\2xx"
					"\1h\10xxxxxxxx"
					"\1i\11xxxxxxxxxxxxxxxx";
	size_t start = stream_len;
	put32(0);
	put32(0);
	put32(0xaaaaaaaa);
	header(":event-type", event_type);
	put(others, sizeof(others) - 1);
	header(":content-type", "application/json");
	header(":message-type", message_type);
	size_t headers = stream_len - start - 12;
	put(payload, strlen(payload));
	put32(0xbbbbbbbb);
	size_t total = stream_len - start, end = stream_len;
	stream_len = start;
	put32((uint32_t)total);
	put32((uint32_t)headers);
	stream_len = end;
}

static bool feed(struct frames *p, struct span piece)
{
	uint8_t room[FRAMES_ROOM];
	struct frames_event ev;
	enum step step;
	if (!piece.len)
		return true;
	struct span in = piece_at_edge(piece);
	while ((step = frames_next(p, &in, room, &ev)) == STEP_EVENT) {
		if (ev.type == FRAMES_DATA) {
			assert_true(ev.data.len && trace_len + ev.data.len < sizeof(trace));
			memcpy(trace + trace_len, ev.data.at, ev.data.len);
			trace_len += ev.data.len;
		} else {
			trace[trace_len++] = ev.failed ? '!' : '|';
		}
	}
	trace[trace_len] = '\0';
	return step != STEP_BAD;
}

static bool run(size_t cut, bool single)
{
	struct frames p;
	bool good = true;
	frames_init(&p);
	trace_len = 0;
	trace[0] = '\0';
	for (size_t at = 0; good && at < stream_len;) {
		size_t n = single ? 1 : at < cut ? cut - at : stream_len - at;
		good = feed(&p, span_of(stream + at, n));
		at += n;
	}
	return good;
}

static void same_in_pieces(const char *want)
{
	assert_true(run(0, false));
	assert_string_equal(trace, want);
	assert_true(run(0, true));
	assert_string_equal(trace, want);
	for (size_t cut = 1; cut < stream_len; cut++) {
		assert_true(run(cut, false));
		assert_string_equal(trace, want);
	}
	stream_len = 0;
}

static void test_frames(void **state)
{
	(void)state;
	frame("event", "messageStart", "{\"role\":\"assistant\"}");
	frame("event", "contentBlockDelta", "{\"delta\":{\"text\":\"a\"}}");
	frame("event", "empty", "");
	frame("exception", "throttlingException", "{\"message\":\"x\"}");
	frame("error", "x", "y");
	same_in_pieces(
		"{\"role\":\"assistant\"}|{\"delta\":{\"text\":\"a\"}}||{\"message\":\"x\"}!y!");
}

static void test_chunks(void **state)
{
	(void)state;
	frame("event", "chunk", "{\"bytes\":\"eyJhIjoxfQ==\",\"p\":\"abcd\"}");
	frame("event", "chunk", "{\"bytes\":\"eyJhIjoxMn0\"}");
	frame("event", "chunk", "{\"bytes\":\"\"}");
	frame("event", "chunk", "{\"bytez\":\"eyJhIjoxfQ==\"}");
	frame("event", "chunk", "{\"by");
	frame("event", "chunky", "{\"bytes\":\"eyJhIjoxfQ==\"}");
	same_in_pieces("{\"a\":1}|{\"a\":12}||{\"bytez\":\"eyJhIjoxfQ==\"}||{\"bytes\":"
		       "\"eyJhIjoxfQ==\"}|");
}

static void test_a_long_chunk(void **state)
{
	(void)state;
	char payload[2048] = "{\"bytes\":\"", want[2048] = "";
	for (unsigned n = 0; n < 300; n++) {
		strncat(payload, "YWJj", 5);
		strncat(want, "abc", 4);
	}
	strncat(payload, "\"}", 3);
	strncat(want, "|", 2);
	frame("event", "chunk", payload);
	same_in_pieces(want);
}

static void test_what_is_no_frame(void **state)
{
	(void)state;
	static const struct {
		uint32_t total, headers;
		const char *rest;
	} bad[] = {
		{15, 0, ""},
		{16, 1, ""},
		{FRAMES_MAX_BYTES + 1, 0, ""},
		{0, 0, ""},
		{UINT32_MAX, UINT32_MAX, ""},
		{40, 20,
		 "\x1e"
		 "aaa"},
		{40, 3, "\1a\n"},
		{40, 4, "\1a\7\0\1x"},
		{40, 6, "\1a\7\xff\xffx"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		stream_len = 0;
		put32(bad[i].total);
		put32(bad[i].headers);
		put32(0);
		put(bad[i].rest, i == 7 || i == 8 ? 6 : strlen(bad[i].rest));
		put("xxxxxxxxxxxxxxxxxxxxxxxx", 24);
		assert_false(run(0, false));
		assert_false(run(0, true));
		assert_string_equal(trace, "");
	}
	stream_len = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_a_long_chunk),
		cmocka_unit_test(test_what_is_no_frame),
	};
	return cmocka_run_group_tests_name("body/frames", tests, NULL, NULL);
}
