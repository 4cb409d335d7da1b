/* What a receiver may answer, and what becomes of the points. */
#include "tests/unit/export/exporting.h"

/* A batch of six points, one reply each; what must come out of it. */
struct outcome {
	struct http_reply replies[3];
	size_t reply_count;
	uint64_t exported, failed, requests, retries;
	const char *error;     /* part of last_error; "" = none */
	unsigned least_gap_ms; /* between the first two requests */
};

struct outcome_run {
	char url[64];
	struct config config;
	struct http_script *script;
	struct exporter *exporter;
};

static void begin_outcome(struct outcome_run *r, const struct outcome *o)
{
	r->script = http_script_start(o->replies, o->reply_count, 0);
	r->config = config_at(r->url, sizeof(r->url), r->script->port);
	r->exporter = exporter_start(&r->config);
	exporter_submit(r->exporter, batch_of(7, 1, true));
}

static void end_outcome(struct outcome_run *r, const struct outcome *o)
{
	struct http_script *s = r->script;
	settled(r->exporter, 6);
	for (unsigned i = 0; i < 2000 && !exporter_idle(r->exporter); i++)
		usleep(1000);
	assert_true(exporter_idle(r->exporter));
	struct exporter_stats st = stats_of(r->exporter);
	assert_int_equal(st.exported_points, o->exported);
	assert_int_equal(st.failed_points, o->failed);
	assert_int_equal(st.requests, o->requests);
	assert_int_equal(st.retries, o->retries);
	if (o->error[0])
		assert_non_null(strstr(st.last_error, o->error));
	else
		assert_string_equal(st.last_error, "");
	if (o->least_gap_ms)
		assert_true(s->requests[1].time_ns - s->requests[0].time_ns >=
			    o->least_gap_ms * MS);
	exporter_stop(r->exporter);
	assert_int_equal(http_script_count(s), o->requests); /* nothing was sent once more */
	http_script_stop(s);
}

/* All at a time: their retries take a second each. */
static void run_outcomes(const struct outcome *o, size_t count)
{
	struct outcome_run *runs = calloc(count, sizeof(*runs));
	for (size_t i = 0; i < count; i++)
		begin_outcome(&runs[i], &o[i]);
	for (size_t i = 0; i < count; i++)
		end_outcome(&runs[i], &o[i]);
	free(runs);
}

static const struct outcome outcomes[] = {
	{{{.head = "503 Unavailable"}, {.head = "200 OK"}}, 2, 6, 0, 2, 1, "", 800},
	{{{.head = "429 Slow"}, {.head = "200 OK"}}, 2, 6, 0, 2, 1, "", 800},
	{{{.head = "503 Unavailable\r\nRetry-After: 2"}, {.head = "200 OK"}},
	 2,
	 6,
	 0,
	 2,
	 1,
	 "",
	 2000},
	/* Shorter than our own wait: which stays. */
	{{{.head = "503 Unavailable\r\nRetry-After: 0"}, {.head = "200 OK"}},
	 2,
	 6,
	 0,
	 2,
	 1,
	 "",
	 800},
	/* Closed without a word, a broken head, another protocol. */
	{{{.head = "HTTP/"}, {.head = "200 OK"}}, 2, 6, 0, 2, 1, "", 800},
	{{{.head = "HTTP/1.1 banana\r\n\r\n"}, {.head = "200 OK"}}, 2, 6, 0, 2, 1, "", 800},
	{{{.head = "400 Bad\r\nContent-Type: text/plain", .body = "out of order"}},
	 1,
	 0,
	 6,
	 1,
	 0,
	 "HTTP 400: out of order",
	 0},
	{{{.head = "500 Oops"}}, 1, 0, 6, 1, 0, "HTTP 500", 0},
	{{{.head = "401 No"}}, 1, 0, 6, 1, 0, "HTTP 401", 0},
	{{{.head = "302 Found\r\nLocation: /elsewhere"}}, 1, 0, 6, 1, 0, "HTTP 302", 0},
	{{{.head = "200 OK\r\nContent-Type: application/x-protobuf", .body = "\xff\xff garbage"}},
	 1,
	 6,
	 0,
	 1,
	 0,
	 "",
	 0},
	{{{.head = "200 OK\r\nContent-Type: application/x-protobuf",
	   .body = "\x0a\x06\x08\x02\x12\x02no"}},
	 1,
	 4,
	 2,
	 1,
	 0,
	 "no",
	 0},
	/* More than there were: all. */
	{{{.head = "200 OK\r\nContent-Type: application/x-protobuf", .body = "\x0a\x02\x08\x64"}},
	 1,
	 0,
	 6,
	 1,
	 0,
	 "rejected",
	 0},
	/* As llama-stack's test collector: HTTP/1.0, no length, closed. */
	{{{.head = "HTTP/1.0 200 OK\r\n\r\n"}}, 1, 6, 0, 1, 0, "", 0},
	/* Broken off within the body of a success: still one. */
	{{{.head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", .body = "x"}},
	 1,
	 6,
	 0,
	 1,
	 0,
	 "",
	 0},
};

static void test_answers(void **state)
{
	(void)state;
	run_outcomes(outcomes, sizeof(outcomes) / sizeof(outcomes[0]));
}

static void test_an_endless_answer_is_not_read(void **state)
{
	(void)state;
	size_t len = LIMIT_OTLP_RESPONSE_BYTES + 1000000;
	char *body = calloc(1, len);
	struct outcome o = {
		{{.head = "400 Bad", .body = body, .body_len = len}}, 1, 0, 6, 1, 0, "HTTP 400", 0};
	run_outcomes(&o, 1);
	free(body);
}

static void test_no_answer_is_given_up_in_time(void **state)
{
	(void)state;
	const struct http_reply replies[] = {{.head = NULL}};
	struct http_script *s = http_script_start(replies, 1, 0);
	struct config c = config_for(s->port);
	c.request_timeout_ms = 300;
	struct exporter *e = exporter_start(&c);
	uint64_t from_ns = clock_mono_ns();
	exporter_submit(e, batch_of(7, 1, false));
	struct exporter_stats st = settled(e, 6);
	assert_int_equal(st.failed_points, 6);
	assert_in_range((clock_mono_ns() - from_ns) / MS, 300, 3000);
	exporter_stop(e);
	http_script_stop(s);
}

/* Batches that come faster than retries are due do not make them faster. */
static void test_a_failing_receiver_is_left_alone_however_fast_batches_come(void **state)
{
	(void)state;
	const struct http_reply replies[] = {{.head = "503 x\r\nRetry-After: 3"},
					     {.head = "200 OK"}};
	struct http_script *s = http_script_start(replies, 2, 0);
	struct config c = config_for(s->port);
	struct exporter *e = exporter_start(&c);
	for (unsigned i = 0; i < 20; i++) {
		exporter_submit(e, batch_of(1, 1, false));
		usleep(50000);
	}
	assert_int_equal(http_script_count(s), 1);
	const struct http_request *r = http_script_request(s, 1);
	assert_non_null(r);
	assert_true(r->time_ns - s->requests[0].time_ns >= 3000 * MS);
	exporter_stop(e);
	http_script_stop(s);
}

/* A matter of configuration: one clear message, and no loop of retries. */
static void test_certificates_that_are_not_there(void **state)
{
	(void)state;
	struct http_script *s = http_script_start(NULL, 0, 0);
	struct config c = config_for(s->port);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/", s->port);
	c.ca_file = (char *)"/nowhere/ca.pem";
	struct exporter *e = exporter_start(&c);
	exporter_submit(e, batch_of(1, 1, true));
	struct exporter_stats st = settled(e, 6);
	assert_int_equal(st.failed_points, 6);
	assert_int_equal(st.requests, 1);
	assert_non_null(strstr(st.last_error, "/nowhere/ca.pem"));
	assert_int_equal(http_script_count(s), 0);
	exporter_stop(e);
	http_script_stop(s);
}

static void test_a_header_that_the_receiver_repeats_is_not_passed_on(void **state)
{
	(void)state;
	const struct http_reply replies[] = {
		{.head = "401 No\r\nContent-Type: text/plain", .body = "bad token sesame-42!"}};
	struct http_script *s = http_script_start(replies, 1, 0);
	struct config c = config_for(s->port);
	struct config_header header = {(char *)"Authorization", (char *)"Bearer sesame-42"};
	c.headers = &header;
	c.header_count = 1;
	struct exporter *e = exporter_start(&c);
	exporter_submit(e, batch_of(1, 1, false));
	struct exporter_stats st = settled(e, 6);
	assert_string_equal(st.last_error, "HTTP 401: bad token ");
	exporter_stop(e);
	http_script_stop(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_an_endless_answer_is_not_read),
		cmocka_unit_test(test_no_answer_is_given_up_in_time),
		cmocka_unit_test(test_a_failing_receiver_is_left_alone_however_fast_batches_come),
		cmocka_unit_test(test_certificates_that_are_not_there),
		cmocka_unit_test(test_a_header_that_the_receiver_repeats_is_not_passed_on),
	};
	return cmocka_run_group_tests_name("export/exporter_answers", tests, NULL, NULL);
}
