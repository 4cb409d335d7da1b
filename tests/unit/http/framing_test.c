/*
 * What a head says of its body's length, as a request and as a response. Where one reader would split
 * the stream here and another there, it has to be bad: a wrong split makes up messages.
 */
#include "tests/unit/http/talk.h"

static struct talk talk;
static enum h1_side side;

static void begin(struct trace *t)
{
	(void)t;
	talk_begin(&talk, side, NULL);
}

static void take(struct trace *t, struct span piece)
{
	talk_take(&talk, t, piece);
}

static void end(struct trace *t)
{
	talk_end(&talk, t);
}

static const struct subject subject = {begin, take, end};

/* A message of `s` with these fields and this body. */
static void gives(enum h1_side s, const char *fields, const char *body, const char *want)
{
	char text[512];
	const char *start = s == H1_REQUESTS ? "POST / HTTP/1.1" : "HTTP/1.1 200 OK";
	int n = snprintf(text, sizeof(text), "%s\r\n%s\r\n\r\n%s", start, fields, body);
	assert_in_range(n, 1, sizeof(text) - 1);
	side = s;
	pieces_give(&subject, span_of(text, (size_t)n), want);
}

static const char *const two_readings[] = {
	/* both lengths */
	"Content-Length: 5\r\nTransfer-Encoding: chunked",
	"Transfer-Encoding: chunked\r\nContent-Length: 5",
	"Transfer-Encoding: chunked\r\nX: y\r\nContent-Length: 0",
	"Transfer-Encoding:\r\nContent-Length: 5",
	"Transfer-Encoding: ,\r\nContent-Length: 5",
	"Transfer-Encoding: identity\r\nContent-Length: 5",
	/* lengths that differ */
	"Content-Length: 5\r\nContent-Length: 6",
	"Content-Length: 0\r\nContent-Length: 5",
	"Content-Length: 5, 6",
	"Content-Length: 5\r\nX: y\r\ncontent-length: 5, 6",
	/* no length at all */
	"Content-Length:",
	"Content-Length: ",
	"Content-Length: ,",
	"Content-Length: 5,",
	"Content-Length: ,5",
	"Content-Length: +5",
	"Content-Length: -5",
	"Content-Length: 0x5",
	"Content-Length: 5 5",
	"Content-Length: 5.",
	"Content-Length: 1e1",
	"Content-Length: 5;a",
	"Content-Length: \"5\"",
	"Content-Length: \v5",
	"Content-Length: \xc2\xa0 5",
	"Content-Length: 5\r\n 5",
	"Content-Length: 9223372036854775808",
	"Content-Length: 18446744073709551616",
	"Content-Length: 18446744073709551621",
	"Content-Length: 99999999999999999999999999999999",
	/* names that are none, line ends that are none */
	"Content-Length : 5",
	"Content-Length\t: 5",
	"Content-Length\r\n : 5",
	" Content-Length: 5",
	"\tContent-Length: 5",
	"Content-Length: 5\rX: y",
	"X: y\rContent-Length: 5",
	"X: \rContent-Length: 5",
	"X: y\r\r",
	"X: y\r\r\nContent-Length: 5",
	"Content-Length: 5\r",
	"Content-Length: \r5",
	"Content-Length\r: 5",
	"X: y\rTransfer-Encoding: chunked",
	"X: y\r\n z\rContent-Length: 5",
	"Content-Length",
	"X: y\r\nsome words",
	": y",
	"(X): y",
	"X\x80: y",
	"X y: z",
	/* codings */
	"Transfer-Encoding: chunked, gzip",
	"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
	"Transfer-Encoding: chunked, chunked",
	"Transfer-Encoding: chunked,",
	"Transfer-Encoding: chunked\r\nTransfer-Encoding:",
	"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
	"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
	"Transfer-Encoding: chunked;a=b",
	"Transfer-Encoding: \"chunked\"",
	"Transfer-Encoding: \vchunked",
	"Transfer-Encoding: chunked\x01",
	"Transfer-Encoding: chunked\x7f",
	"Transfer-Encoding: [chunked]",
	"Transfer-Encoding: x chunked",
	"Transfer-Encoding: chunked, identity",
	" Transfer-Encoding: chunked",
	"Transfer-Encoding : chunked",
	"Transfer-Encoding\r\n : chunked",
};

/* The five bytes behind each head are a whole body either way, and a message follows. */
static void test_two_readings_are_bad_on_both_sides(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(two_readings) / sizeof(two_readings[0]); i++) {
		gives(H1_REQUESTS, two_readings[i], "0\r\n\r\nGET / HTTP/1.1\r\n\r\n", "(!~");
		gives(H1_RESPONSES, two_readings[i], "0\r\n\r\nHTTP/1.1 204 No\r\n\r\n", "(!~");
	}
}

static void test_one_reading_is_followed_on_both_sides(void **state)
{
	(void)state;
#define CHUNKS "5\r\nhello\r\n0\r\n\r\n"
	static const struct {
		const char *fields, *body, *want;
	} rows[] = {
		{"Content-Length: 5", "hello", "{hello}.)|"},
		{"Content-Length:5", "hello", "{hello}.)|"},
		{"Content-Length: \t 5 \t", "hello", "{hello}.)|"},
		{"Content-Length: 0", "", ".)|"},
		/* what a proxy makes of two equal fields */
		{"Content-Length: 5\r\nContent-Length: 5", "hello", "{hello}.)|"},
		{"Content-Length: 5, 5", "hello", "{hello}.)|"},
		{"Content-Length: 5 ,\t5\r\nCONTENT-LENGTH: 05", "hello", "{hello}.)|"},
		{"Content-Length: 00000000000000000000000000000005", "hello", "{hello}.)|"},
		{"Content-Length: 9223372036854775807", "hello", "{hello}~"},
		/* RFC 9112 5.2: a folded line is spaces and more of the value */
		{"Content-Length:\r\n 5", "hello", "{hello}.)|"},
		{"Content-Length: 5\r\n ", "hello", "{hello}.)|"},
		{"X: y\r\n Content-Length: 9\r\nContent-Length: 5", "hello", "{hello}.)|"},
		{"X: y\r\n\tContent-Length: 9\r\n \r\nContent-Length: 5", "hello", "{hello}.)|"},
		{"X:\r\nContent-Length: 5\r\nY: \x01\xff", "hello", "{hello}.)|"},
		{"X-Content-Length: 9\r\nContent-Length-X: 8\r\nContent-Length: 5", "hello",
		 "{hello}.)|"},
		{"Transfer-Encoding: chunked", CHUNKS, "{hello}.)|"},
		{"transfer-encoding: CHUNKED ", CHUNKS, "{hello}.)|"},
		{"Transfer-Encoding:\r\n chunked", CHUNKS, "{hello}.)|"},
		{"Transfer-Encoding: chunked\r\n ", CHUNKS, "{hello}.)|"},
		{"Transfer-Encoding: gzip;q=1, chunked", CHUNKS, "{hello}.)|"},
		{"Transfer-Encoding: gzip, chunked", CHUNKS, "{hello}.)|"},
		{"Transfer-Encoding: gzip,\r\n chunked", CHUNKS, "{hello}.)|"},
		{"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", CHUNKS, "{hello}.)|"},
		{"Transfer-Encoding: , chunked", CHUNKS, "{hello}.)|"},
	};
#undef CHUNKS
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char want[64];
		snprintf(want, sizeof(want), "(<POST />%s", rows[i].want);
		gives(H1_REQUESTS, rows[i].fields, rows[i].body, want);
		snprintf(want, sizeof(want), "(<200>%s", rows[i].want);
		gives(H1_RESPONSES, rows[i].fields, rows[i].body, want);
	}
}

/* RFC 9112 6.3, item 4: a response runs to the end of the connection; a request has no such end. */
static void test_codings_that_do_not_end_in_chunked(void **state)
{
	(void)state;
	static const char *const rows[] = {"gzip",     "identity", "xchunked",
					   "chunkedx", "",	   "gzip, x"};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char fields[64];
		snprintf(fields, sizeof(fields), "Transfer-Encoding: %s", rows[i]);
		gives(H1_REQUESTS, fields, "ab", "(!~");
		gives(H1_RESPONSES, fields, "ab", "(<200>{ab}$)|");
	}
}

static void test_no_nul_in_a_head(void **state)
{
	(void)state;
#define LENGTH "Content-Length: 0\r\n\r\n"
	static const struct {
		const char *text;
		size_t len;
	} rows[] = {
#define ROW(s) {s, sizeof(s) - 1}
		ROW("HTTP/1.1 200 O\0K\r\n" LENGTH),
		ROW("HTTP/1.1 200 OK\r\nX: \0y\r\n" LENGTH),
		ROW("HTTP/1.1 200 OK\r\nX: y\0\r\n" LENGTH),
		ROW("HTTP/1.1 200 OK\r\nX\0: y\r\n" LENGTH),
		ROW("HTTP/1.1 200 OK\r\nX: y\r\n \0\r\n" LENGTH),
		ROW("HTTP/1.1 200 OK\r\nX: y\r\n\0" LENGTH),
#undef ROW
	};
#undef LENGTH
	side = H1_RESPONSES;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		pieces_give(&subject, span_of(rows[i].text, rows[i].len), "(!~");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_readings_are_bad_on_both_sides),
		cmocka_unit_test(test_one_reading_is_followed_on_both_sides),
		cmocka_unit_test(test_codings_that_do_not_end_in_chunked),
		cmocka_unit_test(test_no_nul_in_a_head),
	};
	return cmocka_run_group_tests_name("http/framing", tests, NULL, NULL);
}
