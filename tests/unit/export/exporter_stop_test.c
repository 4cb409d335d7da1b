/* The end of an exporter: what waits is sent once more, and it ends in time. */
#include "tests/unit/export/exporting.h"

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

/* Without any timeout, and with a receiver that never answers. */
static void test_stop_ends_where_exports_have_no_timeout(void **state)
{
	(void)state;
	const struct http_reply replies[] = {{.head = NULL}};
	struct http_script *s = http_script_start(replies, 1, 0);
	struct config c = config_for(s->port);
	c.export_timeout_ms = c.request_timeout_ms = 0;
	struct exporter *e = exporter_start(&c);
	exporter_submit(e, batch_of(1, 1, true));
	assert_non_null(http_script_request(s, 0));
	assert_in_range(stop_ms(e), 9000, 13000);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stop_sends_all_parts_after_a_refusal),
		cmocka_unit_test(test_stop_sends_what_waits),
		cmocka_unit_test(test_stop_tries_at_once_whatever_was_awaited),
		cmocka_unit_test(test_stop_keeps_its_deadline),
		cmocka_unit_test(test_stop_ends_where_exports_have_no_timeout),
		cmocka_unit_test(test_nothing_to_do),
	};
	return cmocka_run_group_tests_name("export/exporter_stop", tests, NULL, NULL);
}
