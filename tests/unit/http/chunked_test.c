/*
 * A trace is the data in brackets, its pieces joined, with what the body's end left of the input; then
 * # if the body is complete, ! if it is bad, > if more is due.
 */
#include "tests/unit/pieces.h"

#include "agent/http/chunked.h"

static struct chunked chunked;
static enum chunked_step last;
static bool in_data;

static void begin(struct trace *t)
{
	(void)t;
	chunked_init(&chunked);
	last = CHUNKED_MORE;
	in_data = false;
}

static void take(struct trace *t, struct span piece)
{
	struct span data;
	if (last == CHUNKED_BAD)
		return;
	while (last != CHUNKED_END &&
	       (last = chunked_next(&chunked, &piece, &data)) == CHUNKED_PIECE) {
		assert_true(data.len > 0);
		trace_str(t, in_data ? "" : "[");
		trace_put(t, data);
		in_data = true;
	}
	if (last == CHUNKED_MORE)
		assert_int_equal(piece.len, 0);
	if (last == CHUNKED_END) {
		trace_str(t, in_data ? "]" : "");
		in_data = false;
		trace_put(t, piece);
	}
}

static void end(struct trace *t)
{
	trace_str(t, in_data ? "]" : "");
	trace_str(t, last == CHUNKED_BAD ? "!" : last == CHUNKED_END ? "#" : ">");
}

static const struct subject subject = {begin, take, end};

static void gives(const char *in, const char *want)
{
	pieces_give(&subject, span_str(in), want);
}

static void bodies(void **state)
{
	(void)state;
	gives("0\r\n\r\n", "#");
	gives("5\r\nhello\r\n0\r\n\r\n", "[hello]#");
	gives("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "[hello world]#");
	gives("0a\r\n0123456789\r\n000\r\n\r\n", "[0123456789]#");
	gives("A\r\n0123456789\r\n0\r\n\r\n", "[0123456789]#");
	gives("0000000000000000005\r\nhello\r\n00000000000000000\r\n\r\n", "[hello]#");
	gives("000000000000005\r\nhello\r\n0\r\n\r\n", "[hello]#");
	gives("2\r\n\r\n\r\n0\r\n\r\n", "[\r\n]#");
	gives("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "[0\r\n\r\n]#");
	gives("1\r\na\r\n0\r\n\r\nGET / HTTP/1.1", "[a]GET / HTTP/1.1#");
}

static void bare_line_feeds(void **state)
{
	(void)state;
	gives("5\nhello\n0\n\n", "[hello]#");
	gives("5\r\nhello\n0\r\n\n", "[hello]#");
	gives("1\na\n0\nA: b\n\n", "[a]#");
}

static void unfinished(void **state)
{
	(void)state;
	gives("5", ">");
	gives("5\r", ">");
	gives("5\r\nhell", "[hell]>");
	gives("5\r\nhello\r", "[hello]>");
	gives("5\r\nhello\r\n0\r\n", "[hello]>");
	gives("0\r\n\r", ">");
	gives("0\r\nA: b\r\n", ">");
	gives("0\r\nA", ">");
}

static void extensions(void **state)
{
	(void)state;
	gives("5;a\r\nhello\r\n0;b=c;d=\"e\"\r\n\r\n", "[hello]#");
	gives("5 ; a = b\r\nhello\r\n0\t\r\n\r\n", "[hello]#");
	gives("5  \t\r\nhello\r\n0\r\n\r\n", "[hello]#");
	gives("5;\r\nhello\r\n0\r\n\r\n", "[hello]#");
	gives("5;a\rb\r\r\nhello\r\n0\r\n\r\n", "[hello]#");
	gives("5;0\r\nhello\r\n0;9\r\n\r\n", "[hello]#");
}

static void trailers(void **state)
{
	(void)state;
	gives("0\r\nA: b\r\n\r\n", "#");
	gives("1\r\na\r\n0\r\nX-Checksum: 1\r\nB:\r\n\r\nrest", "[a]rest#");
	gives("0\r\nContent-Length: 5\r\n\r\nhello", "hello#");
}

/* Two readers would go on at different places. */
static void ambiguous(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"\r\n",
		"g\r\n",
		"-1\r\n",
		"+1\r\na\r\n",
		"0x1\r\na\r\n",
		" 1\r\na\r\n",
		";a\r\n",
		"\r\n0\r\n\r\n",
		"1 1\r\na\r\n",
		"1 a\r\na\r\n",
		"1_0\r\na\r\n",
		"1,\r\na\r\n",
		"1\ra\r\n",
		"1\r\r\na\r\n",
		"1 \na\r\n",
		"1;a\nX\r\n", /* is X the data, or still the extension? */
		"1;a\r\r\r;\nX\r\n",
		"0\r\nGET / HTTP/1.1\r\n\r\n", /* no trailer */
		"0\r\nGET http://a/ HTTP/1.1\r\n\r\n",
		"0\r\nno colon\r\n\r\n",
		"0\r\n folded: x\r\n\r\n",
		"0\r\n: no name\r\n\r\n",
		"0\r\nA\r\n\r\n",
		"0\r\n\rx",
		"0\r\n\r\r\n",
		"1000000000000000\r\nhello\r\n", /* 2^60 */
		"0\r\nA: b\rc\r\n\r\n",
		"0\r\nA: b\r\r\n\r\n",
		"ffffffffffffffff\r\n",
		"10000000000000001\r\na\r\n", /* 2^64 + 1 */
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		gives(bad[i], "!");
	gives("5\r\nhelloX\r\n0\r\n\r\n", "[hello]!");
	gives("5\r\nhello0\r\n\r\n", "[hello]!");
	gives("5\r\nhello\rX", "[hello]!");
	gives("5\r\nhello\r\r\n0\r\n\r\n", "[hello]!");
	gives("5\r\nhello\r\n\r\n0\r\n\r\n", "[hello]!");
}

/* `head`, `n` times x, `tail`: cut in two at `first`. */
static void long_line(const char *head, size_t n, const char *tail, const char *want)
{
	static char in[20000];
	static struct trace t;
	static const size_t firsts[] = {1, 3, 4, 100, 16000};
	size_t len = (size_t)snprintf(in, sizeof(in), "%s", head);
	memset(in + len, 'x', n);
	len += n;
	len += (size_t)snprintf(in + len, sizeof(in) - len, "%s", tail);
	for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		pieces_run(&subject, span_of(in, len), firsts[i], len, &t);
		assert_string_equal(t.text, want);
		pieces_run(&subject, span_of(in, len), firsts[i], 1, &t);
		assert_string_equal(t.text, want);
	}
	pieces_run(&subject, span_of(in, len), len, len, &t);
	assert_string_equal(t.text, want);
}

static void long_framing(void **state)
{
	(void)state;
	long_line("1;", 16000, "\r\na\r\n0\r\n\r\n", "[a]#");
	long_line("1;", 16400, "\r\na\r\n0\r\n\r\n", "!");
	long_line("0\r\nA: ", 16000, "\r\n\r\n", "#");
	long_line("0\r\nA: ", 16400, "\r\n\r\n", "!");
	long_line("0\r\n", 16400, ": a\r\n\r\n", "!");
	/* The cap is on all trailers together: theirs is one section. */
	long_line("0\r\nA: ", 9000, "\r\nB: c\r\n\r\n", "#");
}

static void many_extensions_are_not_one_long_one(void **state)
{
	static char in[40000];
	static struct trace t;
	size_t len = 0;
	(void)state;
	for (int i = 0; i < 1000; i++)
		len += (size_t)snprintf(in + len, sizeof(in) - len,
					"1;aaaaaaaaaaaaaaaaaaa\r\nx\r\n");
	len += (size_t)snprintf(in + len, sizeof(in) - len, "0\r\n\r\n");
	pieces_run(&subject, span_of(in, len), len, len, &t);
	assert_int_equal(t.len, 1003);
	assert_int_equal(t.text[1002], '#');
}

static void gaps(void **state)
{
	struct span in = span_str("a\r\n0123"), piece;
	(void)state;
	chunked_init(&chunked);
	assert_false(chunked_gap(&chunked, 1)); /* a size: nobody knows what it was */
	assert_int_equal(chunked_next(&chunked, &in, &piece), CHUNKED_PIECE);
	assert_false(chunked_gap(&chunked, 7)); /* a byte of the line end with it */
	assert_false(chunked_gap(&chunked, UINT64_MAX));
	assert_true(chunked_gap(&chunked, 2));
	assert_true(chunked_gap(&chunked, 4));
	assert_false(chunked_gap(&chunked, 1));
	in = span_str("\r\n0\r\n\r\n");
	assert_int_equal(chunked_next(&chunked, &in, &piece), CHUNKED_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies),
		cmocka_unit_test(bare_line_feeds),
		cmocka_unit_test(unfinished),
		cmocka_unit_test(extensions),
		cmocka_unit_test(trailers),
		cmocka_unit_test(ambiguous),
		cmocka_unit_test(long_framing),
		cmocka_unit_test(many_extensions_are_not_one_long_one),
		cmocka_unit_test(gaps),
	};
	return cmocka_run_group_tests_name("http/chunked", tests, NULL, NULL);
}
