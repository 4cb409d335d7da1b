/*
 * A trace is what the events were: data in brackets, pieces of it joined; <name> at a blank line; #
 * for a comment; ! where the body ends inside an event.
 */
#include "tests/unit/pieces.h"

#include "agent/body/sse.h"

static struct sse sse;
static bool in_data;

static void begin(struct trace *t)
{
	(void)t;
	sse_init(&sse);
	in_data = false;
}

static void close_data(struct trace *t)
{
	if (in_data)
		trace_str(t, "]");
	in_data = false;
}

static void put(struct trace *t, const struct sse_event *ev)
{
	switch (ev->type) {
	case SSE_DATA:
		assert_true(ev->data.len > 0);
		if (!in_data)
			trace_str(t, "[");
		in_data = true;
		trace_put(t, ev->data);
		break;
	case SSE_END:
		assert_true(ev->name.len <= SSE_NAME_BYTES);
		close_data(t);
		trace_str(t, "<");
		trace_put(t, ev->name);
		trace_str(t, ">");
		break;
	case SSE_COMMENT:
		close_data(t);
		trace_str(t, "#");
		break;
	}
}

static void take(struct trace *t, struct span piece)
{
	struct sse_event ev;
	while (sse_next(&sse, &piece, &ev) == STEP_EVENT)
		put(t, &ev);
	assert_int_equal(piece.len, 0);
}

static void end(struct trace *t)
{
	close_data(t);
	if (sse_eof(&sse))
		trace_str(t, "!");
}

static const struct subject subject = {begin, take, end};

static void gives(const char *in, const char *want)
{
	pieces_give(&subject, span_str(in), want);
}

static void line_ends(void **state)
{
	(void)state;
	gives("data: a\n\ndata: b\n\n", "[a]<>[b]<>");
	gives("data: a\r\n\r\ndata: b\r\n\r\n", "[a]<>[b]<>");
	gives("data: a\r\rdata: b\r\r", "[a]<>[b]<>");
	gives("data: a\r\n\rdata: b\n\r\n", "[a]<>[b]<>");
	/* CR LF is one end and LF CR is two. */
	gives("data: a\r\ndata: b\r\n\r\n", "[a\nb]<>");
	gives("data: a\n\rdata: b\n\r", "[a]<>[b]<>");
	gives("\r\n\r\n\n\n\r\rdata: a\n\n\n\n", "[a]<>");
}

static void one_space_after_the_colon(void **state)
{
	(void)state;
	gives("data:a\n\n", "[a]<>");
	gives("data: a\n\n", "[a]<>");
	gives("data:  a \n\n", "[ a ]<>");
	gives("data:\ta\n\n", "[\ta]<>");
	gives("data: \n\n", "<>");
	gives("data:\n\n", "<>");
	gives("data\n\n", "<>");
}

static void data_lines_are_joined(void **state)
{
	(void)state;
	gives("data: a\ndata: b\ndata:c\n\n", "[a\nb\nc]<>");
	gives("data\ndata\n\n", "[\n]<>");
	gives("data:\ndata: a\ndata:\n\n", "[\na\n]<>");
	gives("data: a\nid: 7\n: note\nretry: 10\ndata: b\n\n", "[a]#[\nb]<>");
}

static void names(void **state)
{
	(void)state;
	gives("event: error\ndata: a\n\n", "[a]<error>");
	gives("data: a\nevent: late\n\n", "[a]<late>");
	gives("event:x\nevent: y\ndata: a\n\ndata: b\n\n", "[a]<y>[b]<>");
	gives("event: x\nevent\ndata: a\n\n", "[a]<>");
	gives("event: ping\n\n", "<ping>");
	gives("event: ping\r\n\r\ndata: a\r\n\r\n", "<ping>[a]<>");
	gives("event: 12345678901234567890123\n\nevent: 1234567890123456789012\n\n",
	      "<1234567890123456789012><1234567890123456789012>");
}

static void other_fields_are_passed_over(void **state)
{
	(void)state;
	gives("id: 1\nretry: 3000\nfoo: bar\nfoo\ndata: a\n\n", "[a]<>");
	gives("Data: a\n\ndat: b\n\ndataa: c\n\ndata : d\n\n data: e\n\n", "");
	gives("events: x\neven: y\ndata: a\n\n", "[a]<>");
	gives("a field name that is longer than any: data: a\n\n", "");
	gives("id: 1\n\nid: 2\n\n", "");
}

static void comments(void **state)
{
	(void)state;
	gives(":\n\n", "#");
	gives(": ping - 2026-01-01\r\n\r\ndata: a\r\n\r\n", "#[a]<>");
	gives(":data: a\n\n", "#");
	gives("::\n:\n", "##");
	gives(": unended", "");
}

static void one_byte_order_mark(void **state)
{
	(void)state;
	gives("\xef\xbb\xbf"
	      "data: a\n\n",
	      "[a]<>");
	gives("\xef\xbb\xbf\n: c\n", "#");
	gives("\xef\xbb\xbf\xef\xbb\xbf"
	      "data: a\n\ndata: b\n\n",
	      "[b]<>");
	/* A part of one is the start of an odd field name. */
	gives("\xef\xbb"
	      "data: a\n\ndata: b\n\n",
	      "[b]<>");
	gives("\xef\ndata: b\n\n", "[b]<>");
	gives("data: a\n\n\xef\xbb\xbf"
	      "data: b\n\n",
	      "[a]<>");
	gives("\xef\xbb\xbf", "");
}

/* Servers that end a body without the last blank line, or in the middle of a line. */
static void the_end_of_the_body(void **state)
{
	(void)state;
	gives("", "");
	gives("data: a\n\n", "[a]<>");
	gives("data: a\n", "[a]!");
	gives("data: a", "[a]!");
	gives("data: a\r", "[a]!");
	gives("event: error\n", "!");
	gives("id: 3\n", "");
	gives("data: a\n\nda", "[a]<>");
}

static void any_byte_is_data(void **state)
{
	(void)state;
	static const char in[] = "data: \x00\x01\xff\xc3\x28 \x7f\n\n";
	static struct trace whole;
	pieces_agree(&subject, span_of(in, sizeof(in) - 1), &whole);
	assert_int_equal(whole.len, 11);
	assert_memory_equal(whole.text, "[\x00\x01\xff\xc3\x28 \x7f]<>", 11);
}

/* Every length around the 8 and 16 bytes that are scanned at once. */
static void lines_of_every_length(void **state)
{
	(void)state;
	char in[160], want[160];
	for (size_t n = 1; n < 70; n++) {
		memset(in, 0, sizeof(in));
		memset(want, 0, sizeof(want));
		memcpy(in, "data:", 5);
		memset(in + 5, 'x', n);
		memcpy(in + 5 + n, n % 2 ? "\n\n" : "\r\r", 2);
		want[0] = '[';
		memset(want + 1, 'x', n);
		memcpy(want + 1 + n, "]<>", 3);
		gives(in, want);
	}
}

/* ---- against a reading of the standard that keeps whole lines ----------------------------------- */

static uint64_t seed = 1;

static unsigned pick(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

struct model {
	char data[4096];
	size_t data_len;
	bool has_data;
	struct span name;
};

static void model_line(struct model *m, struct span line, struct trace *t)
{
	const uint8_t *colon = line.len ? memchr(line.at, ':', line.len) : NULL;
	struct span field = span_of(line.at, colon ? (size_t)(colon - line.at) : line.len);
	struct span value = span_of(colon + 1, colon ? line.len - field.len - 1 : 0);
	if (value.len && value.at[0] == ' ')
		span_skip(&value, 1);
	if (!line.len) {
		if (m->has_data && m->data_len) {
			trace_str(t, "[");
			trace_put(t, span_of(m->data, m->data_len));
			trace_str(t, "]");
		}
		if (m->has_data || m->name.len) {
			trace_str(t, "<");
			trace_put(t, m->name);
			trace_str(t, ">");
		}
		*m = (struct model){0};
	} else if (span_is(field, "data")) {
		if (m->has_data)
			m->data[m->data_len++] = '\n';
		m->has_data = true;
		if (value.len)
			memcpy(m->data + m->data_len, value.at, value.len);
		m->data_len += value.len;
	} else if (span_is(field, "event")) {
		if (value.len > SSE_NAME_BYTES)
			value.len = SSE_NAME_BYTES;
		m->name = value;
	}
}

static void model_run(struct span in, struct trace *t)
{
	struct model m = {0};
	t->len = 0;
	t->text[0] = '\0';
	while (in.len) {
		size_t n = 0;
		while (n < in.len && in.at[n] != '\r' && in.at[n] != '\n')
			n++;
		struct span line = span_take(&in, n);
		if (!in.len)
			return; /* unended: the generator ends all lines */
		bool cr = in.at[0] == '\r';
		span_skip(&in, 1);
		if (cr && in.len && in.at[0] == '\n')
			span_skip(&in, 1);
		model_line(&m, line, t);
	}
}

/* Lines of likely parts; no comments, whose place between data the trace would show. */
static size_t random_stream(char *to, size_t room)
{
	static const char *const parts[] = {
		"data", "data: ", "event:", "id",     " ",
		"x",	"da",	  "ta",	    "{\"a\"", "long text that goes on",
		"\xe2", "event",  "data:",  "retry"};
	static const char *const ends[] = {"\n", "\r\n", "\r", "\n\n", "\r\n\r\n", "\r\r"};
	size_t len = 0;
	for (unsigned lines = 1 + pick(8); lines; lines--) {
		for (unsigned n = pick(5); n; n--) {
			const char *p = parts[pick(sizeof(parts) / sizeof(parts[0]))];
			len += (size_t)snprintf(to + len, room - len, "%s", p);
		}
		const char *e = ends[pick(sizeof(ends) / sizeof(ends[0]))];
		len += (size_t)snprintf(to + len, room - len, "%s", e);
	}
	return len + (size_t)snprintf(to + len, room - len, "\n\n");
}

static void random_streams(void **state)
{
	(void)state;
	static struct trace want, got;
	char in[2048];
	for (unsigned i = 0; i < 50000; i++) {
		struct span s = span_of(in, random_stream(in, sizeof(in)));
		model_run(s, &want);
		pieces_run(&subject, s, 1 + pick((unsigned)s.len), 1 + pick(40), &got);
		assert_string_equal(got.text, want.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_ends),
		cmocka_unit_test(one_space_after_the_colon),
		cmocka_unit_test(data_lines_are_joined),
		cmocka_unit_test(names),
		cmocka_unit_test(other_fields_are_passed_over),
		cmocka_unit_test(comments),
		cmocka_unit_test(one_byte_order_mark),
		cmocka_unit_test(the_end_of_the_body),
		cmocka_unit_test(any_byte_is_data),
		cmocka_unit_test(lines_of_every_length),
		cmocka_unit_test(random_streams),
	};
	return cmocka_run_group_tests_name("body/sse", tests, NULL, NULL);
}
