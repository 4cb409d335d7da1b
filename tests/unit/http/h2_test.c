/* Frames by hand, in pieces of every size, and what they tell: see `tell`. */
#include "tests/unit/http/frames.h"
#include "tests/unit/pieces.h"

#include "agent/base/limits.h"

static struct frames f;
static struct h2 *h2;
static enum h2_side side;
static uint32_t in_body; /* stream whose body pieces are being joined; 0 = none */
static bool was_bad;

/* 1<POST /path type> 1{body} 1. 1!8 (reset) >7!0 (goaway) #(bad) */
static void tell(struct trace *t, const struct h2_event *ev)
{
	char text[128];
	if (ev->type == H2_BODY && in_body == ev->stream) {
		trace_put(t, ev->body);
		return;
	}
	trace_str(t, in_body ? "}" : "");
	in_body = 0;
	snprintf(text, sizeof(text), " %s%u", ev->type == H2_AWAY ? ">" : "", ev->stream);
	trace_str(t, text);
	switch (ev->type) {
	case H2_HEAD:
		snprintf(text, sizeof(text), "<%u%.*s %.*s %.*s>", ev->head.status,
			 (int)ev->head.method_text.len, (const char *)ev->head.method_text.at,
			 (int)ev->head.path.len, (const char *)ev->head.path.at,
			 (int)ev->head.content_type.len, (const char *)ev->head.content_type.at);
		trace_str(t, text);
		break;
	case H2_BODY:
		trace_str(t, "{");
		trace_put(t, ev->body);
		in_body = ev->stream;
		break;
	case H2_END:
		trace_str(t, ".");
		break;
	case H2_RESET:
	case H2_AWAY:
		snprintf(text, sizeof(text), "!%u", ev->error);
		trace_str(t, text);
		break;
	}
}

static void begin(struct trace *t)
{
	(void)t;
	h2 = h2_new(side);
	in_body = 0;
	was_bad = false;
	assert_non_null(h2);
}

static void take(struct trace *t, struct span piece)
{
	struct h2_event ev;
	enum step step;
	while ((step = h2_next(h2, &piece, 1, &ev)) == STEP_EVENT)
		tell(t, &ev);
	if (step == STEP_MORE) {
		assert_int_equal(piece.len, 0);
		assert_false(was_bad);
		return;
	}
	trace_str(t, was_bad ? "" : "#");
	was_bad = true;
}

static void end(struct trace *t)
{
	trace_str(t, in_body ? "}" : "");
	h2_free(h2);
}

static const struct subject subject = {begin, take, end};

static int set_up(void **state)
{
	(void)state;
	frames_begin(&f);
	side = H2_RESPONSES;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	frames_end(&f);
	return 0;
}

static void gives(const char *want)
{
	pieces_give(&subject, frames_span(&f), want);
}

static void test_request(void **state)
{
	(void)state;
	side = H2_REQUESTS;
	frames_put(&f, span_str(H2_PREFACE));
	frames_raw(&f, SETTINGS, 0, 0, span_of("\0\3\0\0\0\144", 6));
	frames_head(&f, 1, 0, FRAMES_POST);
	frames_data(&f, 1, 0, "{\"a\"");
	frames_raw(&f, WINDOW_UPDATE, 0, 0, span_of("\0\0\1\0", 4));
	frames_head(&f, 3, END_STREAM, ":method: GET\n:path: /health\n");
	frames_data(&f, 1, END_STREAM, ":1}");
	gives(" 1<0POST /v1/chat/completions application/json> 1{{\"a\"} 3<0GET /health > 3. "
	      "1{:1}} 1.");
}

static void test_response(void **state)
{
	(void)state;
	frames_raw(&f, SETTINGS, 0, 0, span_of(NULL, 0));
	frames_head(&f, 1, 0, ":status: 100\n");
	frames_head(&f, 1, 0, ":status: 200\ncontent-type: text/event-stream\nserver: x\n");
	frames_data(&f, 1, 0, "data");
	frames_data(&f, 1, 0, "");
	frames_head(&f, 1, END_STREAM, "grpc-status: 0\n");
	gives(" 1<100  > 1<200  text/event-stream> 1{data} 1.");
}

static void test_padding_and_priority(void **state)
{
	(void)state;
	uint8_t room[256] = {3, 0, 0, 0, 0, 200};
	struct span fields = frames_fields(&f, ":status: 200\n");
	memcpy(room + 6, fields.at, fields.len);
	memset(room + 6 + fields.len, 0, 3);
	frames_raw(&f, HEADERS, PADDED | WITH_PRIORITY | END_HEADERS, 5,
		   span_of(room, 6 + fields.len + 3));
	frames_raw(&f, DATA, PADDED, 5, span_of("\4body\0\0\0\0", 9));
	frames_raw(&f, DATA, PADDED | END_STREAM, 5, span_of("\2\0\0", 3));
	gives(" 5<200  > 5{body} 5.");
}

static void test_continuation(void **state)
{
	(void)state;
	uint8_t room[256];
	struct span fields =
		frames_fields(&f, ":status: 503\ncontent-type: text/plain\nx-y: zzz\n");
	memcpy(room, fields.at, fields.len);
	frames_raw(&f, HEADERS, END_STREAM, 1, span_of(room, 3));
	frames_raw(&f, CONTINUATION, 0, 1, span_of(NULL, 0));
	frames_raw(&f, CONTINUATION, 0, 1, span_of(room + 3, 5));
	frames_raw(&f, CONTINUATION, END_HEADERS, 1, span_of(room + 8, fields.len - 8));
	frames_head(&f, 3, 0, ":status: 503\ncontent-type: text/plain\nx-y: zzz\n");
	gives(" 1<503  text/plain> 1. 3<503  text/plain>");
}

/* What the pushed request put into the table serves the next head. */
static void test_push(void **state)
{
	(void)state;
	uint8_t room[256] = {0, 0, 0, 2};
	struct span fields =
		frames_fields(&f, ":method: GET\n:path: /pushed\ncontent-type: text/x-rare\n");
	memcpy(room + 4, fields.at, fields.len);
	frames_raw(&f, PUSH_PROMISE, END_HEADERS, 1, span_of(room, 4 + fields.len));
	frames_head(&f, 1, 0, ":status: 200\ncontent-type: text/x-rare\n");
	gives(" 1<200  text/x-rare>");
}

static void test_ends_of_streams(void **state)
{
	(void)state;
	frames_raw(&f, RST_STREAM, 0, 7, span_of("\0\0\0\10", 4));
	frames_raw(&f, PING, 0, 0, span_of("12345678", 8));
	frames_raw(&f, (enum frame)77, 255, 9, span_of("unknown", 7));
	frames_raw(&f, PRIORITY, 0, 3, span_of("\0\0\0\0\1", 5));
	frames_raw(&f, GOAWAY, 0, 0, span_of("\0\0\0\5\0\0\0\2debug", 13));
	frames_data(&f, 5, END_STREAM, "x");
	gives(" 7!8 >5!2 5{x} 5.");
}

static void test_what_is_bad(void **state)
{
	(void)state;
	static const struct {
		enum frame type;
		unsigned flags;
		uint32_t stream;
		const char *payload;
		size_t len;
	} bad[] = {
		{DATA, 0, 0, "x", 1},		      /* a stream's frame without one */
		{HEADERS, END_HEADERS, 0, "\x88", 1}, /* the same */
		{RST_STREAM, 0, 1, "\0\0", 2},	      /* too short */
		{GOAWAY, 0, 0, "\0\0\0\0\0\0\0", 7},  /* the same */
		{RST_STREAM, 0, 1, "\0\0\0\0\0", 5},  /* too long */
		{PING, 0, 0, "1234567", 7},
		{PING, 0, 1, "12345678", 8}, /* of a stream */
		{SETTINGS, 0, 0, "\0\0\0\0\0", 5},
		{SETTINGS, 1, 0, "\0\1\0\0\0\0", 6}, /* its acknowledgement is empty */
		{SETTINGS, 0, 1, "", 0},
		{GOAWAY, 0, 1, "\0\0\0\0\0\0\0\0", 8},
		{WINDOW_UPDATE, 0, 1, "\0\0\0\1\0", 5},
		{PRIORITY, 0, 0, "\0\0\0\1\0", 5},
		{PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\3\x82", 5}, /* a client's stream */
		{PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\0\x82", 5}, /* none */
		{DATA, PADDED, 1, "\5body", 5},	       /* padding longer than the frame */
		{DATA, PADDED, 1, "", 0},	       /* no room for its length */
		{CONTINUATION, END_HEADERS, 1, "", 0}, /* of no block */
		{HEADERS, END_HEADERS, 1, "\xbf", 1},  /* no such entry in the table */
		{HEADERS, END_HEADERS, 1, "\x3f\xe1\xff\x07", 4}, /* a table of 128 KiB */
		{HEADERS, END_HEADERS, 1, "\x40\x85\xff", 3},	  /* ends inside a field */
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		frames_begin(&f);
		frames_head(&f, 1, 0, ":status: 200\n");
		frames_raw(&f, bad[i].type, bad[i].flags, bad[i].stream,
			   span_of(bad[i].payload, bad[i].len));
		frames_head(&f, 3, 0, ":status: 200\n");
		gives(" 1<200  >#");
	}
}

/* RFC 9113 8.4 */
static void test_client_pushes(void **state)
{
	(void)state;
	side = H2_REQUESTS;
	frames_put(&f, span_str(H2_PREFACE));
	frames_raw(&f, PUSH_PROMISE, END_HEADERS, 1, span_of("\0\0\0\2\x82", 5));
	gives("#");
}

static void test_bad_beginnings(void **state)
{
	(void)state;
	side = H2_REQUESTS;
	frames_put(&f, span_str("PRI * HTTP/2.0\r\n\r\nSM\r\n\r!"));
	gives("#");
	frames_begin(&f);
	frames_put(&f, span_str(H2_PREFACE));
	frames_raw(&f, HEADERS, 0, 1, span_of("\x83", 1));
	frames_data(&f, 1, 0, "between");
	gives("#");
	frames_begin(&f);
	frames_put(&f, span_str(H2_PREFACE));
	frames_raw(&f, HEADERS, 0, 1, span_of("\x83", 1));
	frames_raw(&f, CONTINUATION, END_HEADERS, 3, span_of("\x84", 1));
	gives("#");
}

/* An encoder may change the size of its table up to what we keep, whatever SETTINGS said. */
static void test_table_size(void **state)
{
	(void)state;
	nghttp2_hd_deflate_del(f.hpack);
	assert_int_equal(nghttp2_hd_deflate_new(&f.hpack, LIMIT_HPACK_TABLE_BYTES), 0);
	nghttp2_hd_deflate_change_table_size(f.hpack, LIMIT_HPACK_TABLE_BYTES);
	frames_head(&f, 1, 0, ":status: 200\ncontent-type: a/b\n");
	nghttp2_hd_deflate_change_table_size(f.hpack, 0);
	frames_head(&f, 3, 0, ":status: 200\ncontent-type: a/b\n");
	nghttp2_hd_deflate_change_table_size(f.hpack, 100);
	frames_head(&f, 5, 0, ":status: 200\ncontent-type: a/b\n");
	gives(" 1<200  a/b> 3<200  a/b> 5<200  a/b>");
}

/* The first of a name counts, regular fields are found by name, dirty ones are left out. */
static void test_fields(void **state)
{
	(void)state;
	struct h2_event ev;
	frames_head(&f, 1, 0,
		    ":status: 200\nserver: \nserver: one\nserver: two\nx-long: 1\rx-evil: 2\n"
		    "X-Kept: yes\n"
		    "bad name: 3\n:path: /late\nempty: \n");
	h2 = h2_new(H2_RESPONSES);
	struct span in = frames_span(&f);
	assert_int_equal(h2_next(h2, &in, 1, &ev), STEP_EVENT);
	assert_true(span_is(ev.head.server, "one"));
	assert_true(span_is(http_field(ev.head.fields, "x-kept"), "yes"));
	assert_int_equal(http_field(ev.head.fields, "x-evil").len, 0);
	assert_int_equal(http_field(ev.head.fields, "bad name").len, 0);
	assert_non_null(http_field(ev.head.fields, "empty").at);
	assert_int_equal(ev.head.path.len, 0);
	h2_free(h2);
}

static void test_head_too_long(void **state)
{
	(void)state;
	static char lines[LIMIT_HEAD_BYTES + 64];
	memset(lines, 'a', sizeof(lines));
	memcpy(lines, ":status: 200\nx: ", 16);
	memcpy(lines + LIMIT_HEAD_BYTES + 16, "\n", 2);
	frames_head(&f, 1, 0, lines);
	frames_head(&f, 3, 0, ":status: 404\n");
	struct trace *t = calloc(1, sizeof(*t));
	pieces_run(&subject, frames_span(&f), f.len, f.len, t);
	assert_string_equal(t->text, " 3<404  >");
	free(t);
}

static void test_time_of_a_head(void **state)
{
	(void)state;
	struct h2_event ev;
	frames_raw(&f, PING, 0, 0, span_of("12345678", 8));
	size_t first = f.len;
	frames_head(&f, 1, 0, ":status: 200\n");
	struct span in = frames_span(&f), ping = span_take(&in, first), byte = span_take(&in, 1);
	h2 = h2_new(H2_RESPONSES);
	assert_int_equal(h2_next(h2, &ping, 10, &ev), STEP_MORE);
	assert_int_equal(h2_next(h2, &byte, 20, &ev), STEP_MORE);
	assert_int_equal(h2_next(h2, &in, 30, &ev), STEP_EVENT);
	assert_int_equal(ev.began_ns, 20);
	h2_free(h2);
}

static void take_all(struct span in)
{
	struct h2_event ev;
	while (h2_next(h2, &in, 1, &ev) == STEP_EVENT)
		;
}

static void test_gap(void **state)
{
	(void)state;
	uint32_t stream = 0;
	struct h2_event ev;
	frames_raw(&f, DATA, PADDED | END_STREAM, 9, span_of("\3bodybody\0\0\0", 12));
	struct span all = frames_span(&f);
	/* Within the payload; up to its end; into the padding; to the frame's end. */
	for (size_t lost = 1; lost <= 10; lost++) {
		h2 = h2_new(H2_RESPONSES);
		take_all(span_of(all.at, 11));
		assert_true(h2_gap(h2, lost, &stream));
		assert_int_equal(stream, 9);
		bool ended = false;
		struct span rest = span_of(all.at + 11 + lost, all.len - 11 - lost);
		while (h2_next(h2, &rest, 1, &ev) == STEP_EVENT)
			ended |= ev.type == H2_END;
		assert_true(ended);
		h2_free(h2);
	}
	h2 = h2_new(H2_RESPONSES);
	take_all(span_of(all.at, 11));
	assert_false(h2_gap(h2, 11, &stream));
	assert_int_equal(h2_next(h2, &all, 1, &ev), STEP_BAD);
	h2_free(h2);
	h2 = h2_new(H2_RESPONSES);
	take_all(span_of(all.at, 4));
	assert_false(h2_gap(h2, 1, &stream));
	h2_free(h2);
	h2 = h2_new(H2_RESPONSES);
	take_all(all);
	assert_false(h2_gap(h2, 1, &stream));
	h2_free(h2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_response, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_padding_and_priority, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_continuation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_push, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ends_of_streams, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_bad, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_client_pushes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_beginnings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_table_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fields, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_head_too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_time_of_a_head, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gap, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("http/h2", tests, NULL, NULL);
}
