#include "tests/unit/test.h"
#include "agent/base/limits.h"
#include "agent/export/answer.h"

static struct answer answer_of(long status, enum post_fault fault, const char *type,
			       const char *retry_after, const void *body, size_t len)
{
	struct post_answer in = {.status = status, .fault = fault, .error = "curl says"};
	snprintf(in.content_type, sizeof(in.content_type), "%s", type);
	snprintf(in.retry_after, sizeof(in.retry_after), "%s", retry_after);
	buf_init(&in.body, LIMIT_OTLP_RESPONSE_BYTES);
	assert_int_equal(buf_put(&in.body, span_of(body, len)), 0);
	struct answer a = answer_read(&in, 1700000000);
	buf_release(&in.body);
	return a;
}

#define READ(status, type, body) answer_of(status, POST_NO_FAULT, type, "", body, sizeof(body) - 1)

static void test_every_status(void **state)
{
	(void)state;
	for (long status = 200; status < 600; status++) {
		enum answer_verdict want = ANSWER_REFUSED;
		if (status < 300)
			want = ANSWER_ACCEPTED;
		else if (status == 429 || status == 502 || status == 503 || status == 504)
			want = ANSWER_LATER;
		assert_int_equal(READ(status, "", "").verdict, want);
		/* A body that broke off changes nothing: the status was seen. */
		assert_int_equal(answer_of(status, POST_TRANSPORT, "", "", "", 0).verdict, want);
	}
}

static void test_no_status(void **state)
{
	(void)state;
	struct answer a = answer_of(0, POST_TRANSPORT, "", "", "", 0);
	assert_int_equal(a.verdict, ANSWER_LATER);
	assert_string_equal(a.message, "curl says");
	assert_int_equal(answer_of(0, POST_TLS, "", "", "", 0).verdict, ANSWER_REFUSED);
}

#define PROTOBUF "application/x-protobuf"

static void test_partial_success(void **state)
{
	(void)state;
	struct answer a = READ(200, PROTOBUF, "\x0a\x06\x08\x03\x12\x02no");
	assert_int_equal(a.verdict, ANSWER_ACCEPTED);
	assert_int_equal(a.rejected_points, 3);
	assert_non_null(strstr(a.message, "no"));
	a = READ(200, PROTOBUF, "\x0a\x04\x12\x02hm"); /* a warning */
	assert_int_equal(a.rejected_points, 0);
	assert_non_null(strstr(a.message, "hm"));
	a = READ(200, PROTOBUF, "\x0a\x00"); /* as good as none */
	assert_string_equal(a.message, "");
	a = READ(200, PROTOBUF, "\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"); /* -1 */
	assert_int_equal(a.rejected_points, 0);
	assert_int_equal(a.verdict, ANSWER_ACCEPTED);
	a = READ(200, "application/json; charset=utf-8",
		 "{\"partialSuccess\":{\"rejectedDataPoints\":\"4\",\"errorMessage\":\"bad\"}}");
	assert_int_equal(a.rejected_points, 4);
	assert_non_null(strstr(a.message, "bad"));
	a = READ(200, "application/json", "{\"partialSuccess\":{\"rejectedDataPoints\":5}}");
	assert_int_equal(a.rejected_points, 5);
	assert_true(a.message[0] != '\0');
}

static void test_a_success_that_cannot_be_read_is_a_success(void **state)
{
	(void)state;
	static const char *const types[] = {PROTOBUF, "application/json", "text/html", ""};
	static const char *const bodies[] = {"",
					     "<html>",
					     "\xff\xff\xff",
					     "{\"partialSuccess\":7}",
					     "[]",
					     "{\"partialSuccess\":{\"rejectedDataPoints\":[]}}"};
	for (size_t t = 0; t < 4; t++)
		for (size_t b = 0; b < 6; b++) {
			struct answer a = answer_of(200, POST_NO_FAULT, types[t], "", bodies[b],
						    strlen(bodies[b]));
			assert_int_equal(a.verdict, ANSWER_ACCEPTED);
			assert_int_equal(a.rejected_points, 0);
		}
}

static void test_the_reason_of_a_refusal(void **state)
{
	(void)state;
	assert_string_equal(READ(400, "text/plain; charset=utf-8", "out of order sample\n").message,
			    "HTTP 400: out of order sample");
	assert_string_equal(READ(400, PROTOBUF,
				 "\x08\x03\x12\x03"
				 "why")
				    .message,
			    "HTTP 400: why");
	assert_string_equal(READ(500, "text/html", "<html>").message, "HTTP 500");
	assert_string_equal(READ(404, "", "").message, "HTTP 404");
	assert_string_equal(READ(400, "text/plain", "a\nb\xff").message,
			    "HTTP 400: a b\xef\xbf\xbd");
	char longer[400];
	memset(longer, 'x', sizeof(longer));
	struct answer a = answer_of(400, POST_NO_FAULT, "text/plain", "", longer, sizeof(longer));
	assert_int_equal(strlen(a.message), sizeof(a.message) - 1);
}

static void test_retry_after(void **state)
{
	(void)state;
	const int64_t now = 1700000000; /* Tue, 14 Nov 2023 22:13:20 GMT */
	static const struct {
		const char *value;
		int64_t want_ms;
	} cases[] = {
		{"0", 0},
		{"7", 7000},
		{"300", 300000},
		{"301", 300000},
		{"99999999999999999999999", 300000},
		{"", -1},
		{"soon", -1},
		{"-3", -1},
		{"3s", -1},
		{"1.5", -1},
		{"Tue, 14 Nov 2023 22:13:25 GMT", 5000},
		{"Tuesday, 14-Nov-23 22:13:25 GMT", 5000},
		{"Tue Nov 14 22:13:25 2023", 5000},
		{"Tue, 14 Nov 2023 22:13:15 GMT", 0}, /* gone by */
		{"Wed, 14 Nov 2035 22:13:25 GMT", 300000},
		{"Tue, 99 Nov 2023 22:13:25 GMT", -1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (answer_retry_after(cases[i].value, now) != cases[i].want_ms)
			fail_msg("%s: %d", cases[i].value,
				 (int)answer_retry_after(cases[i].value, now));
	assert_int_equal(answer_of(503, POST_NO_FAULT, "", "7", "", 0).delay_ms, 7000);
	assert_int_equal(answer_of(503, POST_NO_FAULT, "", "", "", 0).delay_ms, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_status),
		cmocka_unit_test(test_no_status),
		cmocka_unit_test(test_partial_success),
		cmocka_unit_test(test_a_success_that_cannot_be_read_is_a_success),
		cmocka_unit_test(test_the_reason_of_a_refusal),
		cmocka_unit_test(test_retry_after),
	};
	return cmocka_run_group_tests_name("export/answer", tests, NULL, NULL);
}
