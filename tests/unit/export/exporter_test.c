/* What is sent of the batches, in which order and in how many requests. */
#include "tests/unit/export/exporting.h"

#include <zlib.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_sent),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_nothing_listens_then_something_does),
		cmocka_unit_test(test_the_newest_wins_and_the_last_is_kept),
		cmocka_unit_test(test_a_large_batch_goes_in_parts),
		cmocka_unit_test(test_a_batch_that_is_taken_is_finished_first),
	};
	return cmocka_run_group_tests_name("export/exporter", tests, NULL, NULL);
}
