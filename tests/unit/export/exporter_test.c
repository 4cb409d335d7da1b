#include "tests/unit/test.h"
#include "tests/unit/export/http_script.h"
#include "tests/unit/export/sample.h"
#include "agent/base/limits.h"
#include "agent/export/exporter.h"

#include "otlp.pb-c.h"

#include <zlib.h>

#define MS 1000000ull

static char url[64];

static struct config config_at(char *text, size_t room, unsigned port)
{
	snprintf(text, room, "http://127.0.0.1:%u/v1/metrics", port);
	return (struct config){
		.to_otlp = true,
		.metrics_url = text,
		.interval_ms = 60000,
		.export_timeout_ms = 30000,
		.request_timeout_ms = 10000,
	};
}

static struct config config_for(unsigned port)
{
	return config_at(url, sizeof(url), port);
}

/* One process with one call of each of `models`: six points a model. */
static struct export_batch *batch_of(uint32_t pid, unsigned models, bool last)
{
	struct export_batch *b = export_batch_new(1);
	struct metrics *m = metrics_new();
	sample_models(m, models);
	sample_process(b, 0, pid, m);
	b->processes[0].last = last;
	b->time_ns = clock_real_ns();
	return b;
}

static struct exporter_stats stats_of(struct exporter *e)
{
	struct exporter_stats s;
	exporter_stats(e, &s);
	return s;
}

/* Waits until so many points were exported or failed. */
static struct exporter_stats settled(struct exporter *e, uint64_t points)
{
	struct exporter_stats s = {0};
	for (unsigned i = 0; i < 4000; i++) {
		s = stats_of(e);
		if (s.exported_points + s.failed_points >= points)
			return s;
		usleep(5000);
	}
	fail_msg("not settled");
	return s;
}

/* The pids of the resources in a request, and their one time. */
static size_t pids_in(const struct http_request *r, int64_t *pids, size_t room, uint64_t *time_ns)
{
	Otlp__MetricsRequest *m = otlp__metrics_request__unpack(NULL, r->body_len, r->body);
	assert_non_null(m);
	size_t n = m->n_resource_metrics;
	assert_true(n <= room);
	for (size_t i = 0; i < n; i++) {
		const Otlp__Resource *res = m->resource_metrics[i]->resource;
		for (size_t k = 0; k < res->n_attributes; k++)
			if (strcmp(res->attributes[k]->key, "process.pid") == 0)
				pids[i] = res->attributes[k]->value->int_value;
	}
	const Otlp__Metric *first = m->resource_metrics[0]->scope_metrics[0]->metrics[0];
	*time_ns = first->data_case == OTLP__METRIC__DATA_SUM
			   ? first->sum->data_points[0]->time_unix_nano
			   : first->histogram->data_points[0]->time_unix_nano;
	otlp__metrics_request__free_unpacked(m, NULL);
	return n;
}

static void test_what_is_sent(void **state)
{
	(void)state;
	const struct http_reply replies[] = {{.head = "200 OK"}, {.head = "200 OK"}};
	struct http_script *s = http_script_start(replies, 2, 0);
	struct config c = config_for(s->port);
	struct config_header headers[] = {{(char *)"X-Key", (char *)"v"},
					  {(char *)"X-Empty", (char *)""}};
	c.headers = headers;
	c.header_count = 2;
	struct exporter *e = exporter_start(&c);
	exporter_submit(e, batch_of(7, 1, false));
	const struct http_request *r = http_script_request(s, 0);
	assert_non_null(r);
	assert_int_equal(strncmp(r->head, "POST /v1/metrics HTTP/1.1\r\n", 27), 0);
	assert_non_null(strstr(r->head, "\r\nContent-Type: application/x-protobuf\r\n"));
	assert_non_null(strstr(r->head, "\r\nUser-Agent: inferwire/" INFERWIRE_VERSION
					" OTel-OTLP-Exporter-C/" INFERWIRE_VERSION "\r\n"));
	assert_non_null(strstr(r->head, "\r\nX-Key: v\r\n"));
	assert_non_null(strstr(r->head, "\r\nX-Empty:\r\n"));
	assert_null(strstr(r->head, "Expect"));
	assert_null(strstr(r->head, "Content-Encoding"));
	int64_t pid = 0;
	uint64_t first_ns, second_ns;
	assert_int_equal(pids_in(r, &pid, 1, &first_ns), 1);
	assert_int_equal(pid, 7);
	settled(e, 6);
	exporter_submit(e, batch_of(7, 1, false));
	struct exporter_stats st = settled(e, 12);
	assert_int_equal(st.exported_points, 12);
	assert_int_equal(st.requests, 2);
	assert_int_equal(st.retries, 0);
	assert_string_equal(st.last_error, "");
	pids_in(http_script_request(s, 1), &pid, 1, &second_ns);
	assert_true(second_ns / MS > first_ns / MS);
	exporter_stop(e);
	http_script_stop(s);
}

static void test_gzip(void **state)
{
	(void)state;
	const struct http_reply replies[] = {{.head = "200 OK"}};
	struct http_script *s = http_script_start(replies, 1, 0);
	struct config c = config_for(s->port);
	c.gzip = true;
	struct exporter *e = exporter_start(&c);
	exporter_submit(e, batch_of(7, 100, false));
	const struct http_request *r = http_script_request(s, 0);
	assert_non_null(strstr(r->head, "\r\nContent-Encoding: gzip\r\n"));
	static uint8_t plain[1024 * 1024];
	z_stream z = {.next_in = r->body,
		      .avail_in = (uInt)r->body_len,
		      .next_out = plain,
		      .avail_out = sizeof(plain)};
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_true(z.total_out > 5 * r->body_len);
	Otlp__MetricsRequest *m = otlp__metrics_request__unpack(NULL, z.total_out, plain);
	assert_non_null(m);
	otlp__metrics_request__free_unpacked(m, NULL);
	inflateEnd(&z);
	exporter_stop(e);
	http_script_stop(s);
}

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

static void test_nothing_listens_then_something_does(void **state)
{
	(void)state;
	unsigned port = http_script_free_port();
	struct config c = config_for(port);
	struct exporter *e = exporter_start(&c);
	exporter_submit(e, batch_of(7, 1, true));
	while (!stats_of(e).requests)
		usleep(5000);
	assert_false(exporter_idle(e));
	assert_non_null(strstr(stats_of(e).last_error, "onnect"));
	const struct http_reply replies[] = {{.head = "200 OK"}};
	struct http_script *s = http_script_start(replies, 1, port);
	struct exporter_stats st = settled(e, 6);
	assert_int_equal(st.exported_points, 6);
	assert_true(st.retries >= 1);
	assert_string_equal(stats_of(e).last_error, "");
	exporter_stop(e);
	http_script_stop(s);
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

/* While a retry is awaited, newer batches come: the newest is sent, with the `last` process of an
 * older one, and not before its time. */
static void test_the_newest_wins_and_the_last_is_kept(void **state)
{
	(void)state;
	const struct http_reply replies[] = {{.head = "503 Unavailable"}, {.head = "200 OK"}};
	struct http_script *s = http_script_start(replies, 2, 0);
	struct config c = config_for(s->port);
	struct exporter *e = exporter_start(&c);
	exporter_submit(e, batch_of(1, 1, true));
	assert_non_null(http_script_request(s, 0));
	exporter_submit(e, batch_of(2, 1, true));
	exporter_submit(e, batch_of(3, 1, false));
	exporter_submit(e, batch_of(4, 1, false));
	assert_false(exporter_idle(e));
	const struct http_request *r = http_script_request(s, 1);
	assert_non_null(r);
	int64_t pids[8] = {0};
	uint64_t time_ns, seen = 0;
	assert_int_equal(pids_in(r, pids, 8, &time_ns), 3);
	for (size_t i = 0; i < 3; i++)
		seen |= 1u << pids[i];
	assert_int_equal(seen, 1 << 1 | 1 << 2 | 1 << 4);
	assert_true(r->time_ns - s->requests[0].time_ns >= 800 * MS);
	struct exporter_stats st = settled(e, 18);
	assert_int_equal(st.exported_points, 18);
	assert_int_equal(st.failed_points, 0); /* those of the kept process came through later */
	assert_true(exporter_idle(e));
	exporter_stop(e);
	assert_int_equal(http_script_count(s), 2);
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

/* Three processes with all the series they may have: two requests at least. */
static struct export_batch *large_batch(void)
{
	struct export_batch *b = export_batch_new(3);
	for (uint32_t i = 0; i < 3; i++) {
		struct metrics *m = metrics_new();
		sample_models(m, LIMIT_SERIES);
		sample_process(b, i, i + 1, m);
	}
	b->time_ns = clock_real_ns();
	return b;
}
#define LARGE_POINTS (3 * 6 * LIMIT_SERIES)

/* A batch larger than a request goes in several; a refused one does not keep the others back. */
static void test_a_large_batch_goes_in_parts(void **state)
{
	(void)state;
	const struct http_reply replies[] = {
		{.head = "400 Bad"}, {.head = "200 OK"}, {.head = "200 OK"}, {.head = "200 OK"},
		{.head = "200 OK"},  {.head = "200 OK"}, {.head = "200 OK"}};
	struct http_script *s = http_script_start(replies, 7, 0);
	struct config c = config_for(s->port);
	struct exporter *e = exporter_start(&c);
	exporter_submit(e, large_batch());
	struct exporter_stats st = settled(e, LARGE_POINTS);
	assert_true(st.requests >= 2 && st.requests <= 4);
	assert_true(st.failed_points > 0);
	assert_int_equal(st.exported_points + st.failed_points, LARGE_POINTS);
	for (size_t i = 0; i < http_script_count(s); i++)
		assert_true(s->requests[i].body_len <= LIMIT_OTLP_REQUEST_BYTES);
	assert_non_null(strstr(st.last_error, "HTTP 400"));
	exporter_stop(e);
	http_script_stop(s);
}

/* Parts of one collection are not torn apart by the next, as long as they are taken. */
static void test_a_batch_that_is_taken_is_finished_first(void **state)
{
	(void)state;
	const struct http_reply replies[] = {{.head = "200 OK", .delay_ms = 100},
					     {.head = "200 OK", .delay_ms = 100},
					     {.head = "200 OK"},
					     {.head = "200 OK"},
					     {.head = "200 OK"},
					     {.head = "200 OK"}};
	struct http_script *s = http_script_start(replies, 6, 0);
	struct config c = config_for(s->port);
	struct exporter *e = exporter_start(&c);
	exporter_submit(e, large_batch());
	assert_non_null(http_script_request(s, 0));
	exporter_submit(e, batch_of(9, 1, false));
	struct exporter_stats st = settled(e, LARGE_POINTS + 6);
	assert_int_equal(st.exported_points, LARGE_POINTS + 6);
	int64_t pids[8] = {0};
	uint64_t time_ns;
	assert_int_equal(pids_in(&s->requests[st.requests - 1], pids, 8, &time_ns), 1);
	assert_int_equal(pids[0], 9);
	exporter_stop(e);
	http_script_stop(s);
}

/* Once the receiver takes the first part, the rest is not held back by what it said before. */
static void test_stop_sends_all_parts_after_a_refusal(void **state)
{
	(void)state;
	const struct http_reply replies[] = {{.head = "503 x\r\nRetry-After: 9"},
					     {.head = "200 OK"},
					     {.head = "200 OK"},
					     {.head = "200 OK"},
					     {.head = "200 OK"}};
	struct http_script *s = http_script_start(replies, 5, 0);
	struct config c = config_for(s->port);
	struct exporter *e = exporter_start(&c);
	exporter_submit(e, large_batch());
	while (!stats_of(e).requests)
		usleep(5000);
	exporter_stop(e);
	size_t parts = http_script_count(s) - 1;
	assert_true(parts >= 2);
	int64_t pids[8] = {0};
	uint64_t time_ns;
	size_t n = pids_in(&s->requests[parts], pids, 8, &time_ns);
	assert_int_equal(pids[n - 1], 3); /* the last process of the batch */
	http_script_stop(s);
}

static void test_stop_sends_what_waits(void **state)
{
	(void)state;
	const struct http_reply replies[] = {{.head = "200 OK", .delay_ms = 300},
					     {.head = "200 OK"}};
	struct http_script *s = http_script_start(replies, 2, 0);
	struct config c = config_for(s->port);
	struct exporter *e = exporter_start(&c);
	exporter_submit(e, batch_of(1, 1, false));
	assert_non_null(http_script_request(s, 0));
	exporter_submit(e, batch_of(2, 1, true)); /* while the first is under way */
	exporter_stop(e);
	assert_int_equal(http_script_count(s), 2);
	int64_t pid = 0;
	uint64_t time_ns;
	assert_int_equal(pids_in(&s->requests[1], &pid, 1, &time_ns), 1);
	assert_int_equal(pid, 2);
	http_script_stop(s);
}

static uint64_t stop_ms(struct exporter *e)
{
	uint64_t from_ns = clock_mono_ns();
	exporter_stop(e);
	return (clock_mono_ns() - from_ns) / MS;
}

static void test_stop_tries_at_once_whatever_was_awaited(void **state)
{
	(void)state;
	const struct http_reply replies[] = {{.head = "503 x\r\nRetry-After: 9"},
					     {.head = "200 OK"}};
	struct http_script *s = http_script_start(replies, 2, 0);
	struct config c = config_for(s->port);
	struct exporter *e = exporter_start(&c);
	exporter_submit(e, batch_of(1, 1, false));
	while (!stats_of(e).requests)
		usleep(5000);
	assert_in_range(stop_ms(e), 0, 1000);
	assert_int_equal(http_script_count(s), 2);
	http_script_stop(s);
}

static void test_stop_keeps_its_deadline(void **state)
{
	(void)state;
	/* Nobody there: retries for 5 s, no longer. */
	struct config c = config_for(http_script_free_port());
	struct exporter *e = exporter_start(&c);
	exporter_submit(e, batch_of(1, 1, true));
	assert_in_range(stop_ms(e), 0, 6000);

	/* Somebody who never answers: the export timeout. */
	const struct http_reply replies[] = {{.head = NULL}};
	struct http_script *s = http_script_start(replies, 1, 0);
	c = config_for(s->port);
	c.export_timeout_ms = 500;
	c.request_timeout_ms = 0;
	e = exporter_start(&c);
	exporter_submit(e, batch_of(1, 1, true));
	assert_non_null(http_script_request(s, 0));
	assert_in_range(stop_ms(e), 0, 2500);
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

static void test_nothing_to_do(void **state)
{
	(void)state;
	struct config c = config_for(http_script_free_port());
	struct exporter *e = exporter_start(&c);
	assert_true(exporter_idle(e));
	exporter_submit(e, export_batch_new(0)); /* no request for nothing */
	usleep(50000);
	assert_int_equal(stats_of(e).requests, 0);
	assert_in_range(stop_ms(e), 0, 500);
	c.disabled = true;
	e = exporter_start(&c);
	exporter_submit(e, batch_of(1, 1, true));
	for (unsigned i = 0; i < 1000 && !exporter_idle(e); i++)
		usleep(1000);
	assert_true(exporter_idle(e));
	assert_int_equal(stats_of(e).requests, 0);
	exporter_stop(e);
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
		cmocka_unit_test(test_what_is_sent),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_an_endless_answer_is_not_read),
		cmocka_unit_test(test_nothing_listens_then_something_does),
		cmocka_unit_test(test_no_answer_is_given_up_in_time),
		cmocka_unit_test(test_the_newest_wins_and_the_last_is_kept),
		cmocka_unit_test(test_a_failing_receiver_is_left_alone_however_fast_batches_come),
		cmocka_unit_test(test_a_large_batch_goes_in_parts),
		cmocka_unit_test(test_a_batch_that_is_taken_is_finished_first),
		cmocka_unit_test(test_stop_sends_all_parts_after_a_refusal),
		cmocka_unit_test(test_stop_sends_what_waits),
		cmocka_unit_test(test_stop_tries_at_once_whatever_was_awaited),
		cmocka_unit_test(test_stop_keeps_its_deadline),
		cmocka_unit_test(test_certificates_that_are_not_there),
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_a_header_that_the_receiver_repeats_is_not_passed_on),
	};
	return cmocka_run_group_tests_name("export/exporter", tests, NULL, NULL);
}
