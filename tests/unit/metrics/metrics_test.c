#include "tests/unit/test.h"
#include "agent/metrics/metrics.h"

#define MS  1000000ull
#define NOW 1700000000000000000ull

/* A streaming chat that took 1 s: 50 tokens from 100 ms (request read) to 600 ms. */
static struct call good_stream(void)
{
	struct call c = {
		.labels = {"llama-3", "vllm", CALL_CHAT_COMPLETION, true},
		.started = {"llama-3", "vllm", CALL_CHAT_COMPLETION, false},
		.arrived_ns = 50 * MS,
		.received_ns = 100 * MS,
		.first_token_ns = 150 * MS,
		.last_token_ns = 600 * MS,
		.ended_ns = 1050 * MS,
		.error = CALL_OK,
		.http_status = 200,
		.token_source = CALL_TOKENS_USAGE,
		.has_output_tokens = true,
		.output_tokens = 50,
	};
	return c;
}

static void run(struct metrics *m, const struct call *c)
{
	metrics_call_started(m, c, NOW);
	if (c->first_token_ns)
		metrics_call_first_token(m, c, NOW + 1);
	metrics_call_ended(m, c, NOW + 2);
}

/* How many points each metric has after one call, in the order of enum metrics_id. */
static void counts_are(const struct call *c, const size_t want[METRICS_COUNT])
{
	struct metrics *m = metrics_new();
	run(m, c);
	struct metrics_snapshot *s = metrics_snapshot(m);
	for (unsigned id = 0; id < METRICS_COUNT; id++)
		if (metrics_snapshot_count(s, id) != want[id])
			fail_msg("%s: %zu points", metrics_instruments[id].name,
				 metrics_snapshot_count(s, id));
	metrics_snapshot_free(s);
	metrics_free(m);
}

static void test_a_good_stream_is_in_all_six_with_these_values(void **state)
{
	(void)state;
	struct metrics *m = metrics_new();
	struct call c = good_stream();
	run(m, &c);
	struct metrics_snapshot *s = metrics_snapshot(m);
	metrics_free(m); /* a snapshot stands alone */

	struct metrics_point p = metrics_snapshot_point(s, METRICS_REQUESTS_TOTAL, 0);
	assert_int_equal(p.value, 1);
	assert_int_equal(p.start_ns, NOW + 2);
	assert_string_equal(p.labels.call.model, "llama-3");
	assert_string_equal(p.labels.call.provider, "vllm");
	assert_true(p.labels.call.stream);
	assert_int_equal(p.labels.error, CALL_OK);
	p = metrics_snapshot_point(s, METRICS_REQUEST_DURATION, 0);
	assert_true(p.count == 1 && p.sum == 1.0 && p.min == 1.0 && p.max == 1.0);
	assert_int_equal(p.buckets[7], 1); /* (0.64, 1.28] */
	p = metrics_snapshot_point(s, METRICS_CONCURRENT_REQUESTS, 0);
	assert_int_equal(metrics_snapshot_count(s, METRICS_CONCURRENT_REQUESTS), 1);
	assert_int_equal(p.value, 0);
	assert_int_equal(p.start_ns, NOW);
	assert_false(p.labels.call.stream); /* as it was when the call was recognised */
	p = metrics_snapshot_point(s, METRICS_TOKENS_PER_SECOND, 0);
	assert_true(p.sum == 100.0);
	assert_int_equal(p.buckets[8], 1); /* (75, 100] */
	p = metrics_snapshot_point(s, METRICS_INFERENCE_DURATION, 0);
	assert_true(p.sum == 0.5);
	p = metrics_snapshot_point(s, METRICS_TIME_TO_FIRST_TOKEN, 0);
	assert_true(p.sum == 0.05);
	assert_int_equal(metrics_snapshot_count(s, METRICS_CALLS_ESTIMATED), 0);
	assert_int_equal(metrics_snapshot_count(s, METRICS_CALLS_LOST), 0);
	metrics_snapshot_free(s);
}

/*			    total dur conc tps inf ttft est lost */
static const size_t all[METRICS_COUNT] = {1, 1, 1, 1, 1, 1, 0, 0};
static const size_t no_inference[METRICS_COUNT] = {1, 1, 1, 0, 0, 1, 0, 0};
static const size_t no_tokens[METRICS_COUNT] = {1, 1, 1, 0, 1, 1, 0, 0};

static void test_which_calls_are_in_which_metrics(void **state)
{
	(void)state;
	struct call c = good_stream();
	counts_are(&c, all);

	c = good_stream(), c.error = CALL_CLIENT_DISCONNECT;
	counts_are(&c, no_inference);
	c = good_stream(), c.has_output_tokens = false;
	counts_are(&c, no_tokens);
	c = good_stream(), c.output_tokens = 0;
	counts_are(&c, no_tokens);
	c = good_stream(), c.last_token_ns = c.received_ns; /* no time, no rate */
	counts_are(&c, no_tokens);

	c = good_stream(), c.incomplete = true;
	counts_are(&c, (size_t[METRICS_COUNT]){1, 1, 1, 0, 0, 0, 0, 0});
	c = good_stream(), c.first_token_ns = 0, c.labels.stream = false;
	counts_are(&c, (size_t[METRICS_COUNT]){1, 1, 1, 1, 1, 0, 0, 0});
	c = good_stream(), c.labels.stream = false; /* a first token is of streams only */
	counts_are(&c, (size_t[METRICS_COUNT]){1, 1, 1, 1, 1, 0, 0, 0});
	c = good_stream(), c.token_source = CALL_TOKENS_EVENTS;
	counts_are(&c, (size_t[METRICS_COUNT]){1, 1, 1, 1, 1, 1, 1, 0});

	/* Answered before the request was read: 413, for one. */
	c = good_stream(), c.received_ns = 0;
	counts_are(&c, (size_t[METRICS_COUNT]){1, 1, 1, 0, 0, 0, 0, 0});
	c = good_stream(), c.received_ns = 700 * MS;
	counts_are(&c, (size_t[METRICS_COUNT]){1, 1, 1, 0, 0, 0, 0, 0});
	c = good_stream(), c.arrived_ns = 0; /* its first bytes were lost */
	counts_are(&c, (size_t[METRICS_COUNT]){1, 0, 1, 1, 1, 1, 0, 0});
}

static void test_status_and_error_type_tell_apart_only_where_they_belong(void **state)
{
	(void)state;
	struct metrics *m = metrics_new();
	struct call c = good_stream();
	run(m, &c);
	c.error = CALL_TRUNCATED;
	run(m, &c);
	c.error = CALL_SERVER_CRASH;
	run(m, &c);
	struct metrics_snapshot *s = metrics_snapshot(m);
	assert_int_equal(metrics_snapshot_count(s, METRICS_REQUESTS_TOTAL), 3);
	assert_int_equal(metrics_snapshot_count(s, METRICS_REQUEST_DURATION), 3);
	assert_int_equal(metrics_snapshot_count(s, METRICS_CONCURRENT_REQUESTS), 1);
	assert_int_equal(metrics_snapshot_count(s, METRICS_TIME_TO_FIRST_TOKEN), 1);
	assert_int_equal(metrics_snapshot_point(s, METRICS_TIME_TO_FIRST_TOKEN, 0).count, 3);
	assert_int_equal(metrics_snapshot_point(s, METRICS_REQUESTS_TOTAL, 1).labels.error,
			 CALL_TRUNCATED);
	metrics_snapshot_free(s);
	metrics_free(m);
}

static void test_a_lost_call_is_counted_and_no_longer_under_way(void **state)
{
	(void)state;
	struct metrics *m = metrics_new();
	struct call c = good_stream();
	metrics_call_started(m, &c, NOW);
	metrics_call_lost(m, &c, NOW);
	struct metrics_snapshot *s = metrics_snapshot(m);
	assert_int_equal(metrics_snapshot_point(s, METRICS_CONCURRENT_REQUESTS, 0).value, 0);
	assert_int_equal(metrics_snapshot_point(s, METRICS_CALLS_LOST, 0).value, 1);
	assert_int_equal(metrics_snapshot_count(s, METRICS_REQUESTS_TOTAL), 0);
	metrics_snapshot_free(s);
	metrics_free(m);
}

static void test_dropped_records_add_up_in_one_point(void **state)
{
	(void)state;
	struct metrics *m = metrics_new();
	metrics_records_dropped(m, 3, NOW);
	metrics_records_dropped(m, 4, NOW + 1);
	struct metrics_snapshot *s = metrics_snapshot(m);
	assert_int_equal(metrics_snapshot_count(s, METRICS_RECORDS_DROPPED), 1);
	struct metrics_point p = metrics_snapshot_point(s, METRICS_RECORDS_DROPPED, 0);
	assert_int_equal(p.value, 7);
	assert_int_equal(p.start_ns, NOW);
	assert_true(metrics_instruments[METRICS_RECORDS_DROPPED].bare);
	metrics_snapshot_free(s);
	metrics_free(m);
}

static void test_connections_only_grow_and_have_a_point_once_there_are_any(void **state)
{
	(void)state;
	struct metrics *m = metrics_new();
	metrics_connections(m, (uint64_t[METRICS_CONN_COUNT]){0}, NOW);
	struct metrics_snapshot *s = metrics_snapshot(m);
	assert_int_equal(metrics_snapshot_count(s, METRICS_CONNECTIONS), 0);
	metrics_snapshot_free(s);
	metrics_connections(m, (uint64_t[METRICS_CONN_COUNT]){[METRICS_CONN_ENCRYPTED] = 2}, NOW);
	metrics_connections(m,
			    (uint64_t[METRICS_CONN_COUNT]){
				    [METRICS_CONN_TLS] = 5, [METRICS_CONN_ENCRYPTED] = 3},
			    NOW + 1);
	metrics_connections(m,
			    (uint64_t[METRICS_CONN_COUNT]){
				    [METRICS_CONN_TLS] = 4, [METRICS_CONN_UNWATCHED] = UINT64_MAX},
			    NOW + 2);
	s = metrics_snapshot(m);
	metrics_free(m);
	assert_int_equal(metrics_snapshot_count(s, METRICS_CALLS_UNMEASURED), 0);
	assert_int_equal(metrics_snapshot_count(s, METRICS_CONNECTIONS), 2);
	struct metrics_point p = metrics_snapshot_point(s, METRICS_CONNECTIONS, 0);
	assert_int_equal(p.labels.tally, METRICS_CONN_TLS);
	assert_int_equal(p.value, 5);
	assert_int_equal(p.start_ns, NOW + 1);
	p = metrics_snapshot_point(s, METRICS_CONNECTIONS, 1);
	assert_int_equal(p.labels.tally, METRICS_CONN_ENCRYPTED);
	assert_int_equal(p.value, 3);
	assert_int_equal(p.start_ns, NOW);
	metrics_snapshot_free(s);
}

static void test_calls_that_are_not_measured_are_counted_by_their_protocol(void **state)
{
	(void)state;
	struct metrics *m = metrics_new();
	metrics_connections(m, (uint64_t[METRICS_CONN_COUNT]){[METRICS_CONN_HTTP] = 9}, NOW);
	metrics_call_unmeasured(m, CALL_UNMEASURED_GRPC, NOW + 1);
	metrics_call_unmeasured(m, CALL_UNMEASURED_GRPC, NOW + 2);
	struct metrics_snapshot *s = metrics_snapshot(m);
	metrics_free(m);
	assert_int_equal(metrics_snapshot_count(s, METRICS_CONNECTIONS), 1);
	assert_int_equal(metrics_snapshot_count(s, METRICS_CALLS_UNMEASURED), 1);
	struct metrics_point p = metrics_snapshot_point(s, METRICS_CALLS_UNMEASURED, 0);
	assert_string_equal(metrics_tally_labels[p.labels.tally].kind, "grpc");
	assert_int_equal(p.value, 2);
	assert_int_equal(p.start_ns, NOW + 1);
	metrics_snapshot_free(s);
}

/* More calls at a time than there may be series, ended in another order than they began. */
static void test_plus_and_minus_meet_in_the_same_point_also_past_the_cap(void **state)
{
	(void)state;
	enum { CALLS = LIMIT_SERIES + 500 };
	struct metrics *m = metrics_new();
	struct call c = good_stream();
	for (unsigned n = 0; n < CALLS; n++) {
		snprintf(c.started.model, sizeof(c.started.model), "m%u", n);
		metrics_call_started(m, &c, NOW);
	}
	struct metrics_snapshot *s = metrics_snapshot(m);
	assert_int_equal(metrics_snapshot_count(s, METRICS_CONCURRENT_REQUESTS), LIMIT_SERIES + 1);
	struct metrics_point over =
		metrics_snapshot_point(s, METRICS_CONCURRENT_REQUESTS, LIMIT_SERIES);
	assert_true(over.labels.overflow);
	assert_int_equal(over.value, CALLS - LIMIT_SERIES);
	metrics_snapshot_free(s);

	for (unsigned n = CALLS; n-- > 0;) {
		snprintf(c.started.model, sizeof(c.started.model), "m%u", n);
		metrics_call_ended(m, &c, NOW);
	}
	s = metrics_snapshot(m);
	for (size_t n = 0; n <= LIMIT_SERIES; n++)
		assert_int_equal(metrics_snapshot_point(s, METRICS_CONCURRENT_REQUESTS, n).value,
				 0);
	metrics_snapshot_free(s);
	metrics_free(m);
}

static void test_names_that_become_equal_when_repaired_are_one_series(void **state)
{
	(void)state;
	struct metrics *m = metrics_new();
	struct call c = good_stream();
	memcpy(c.labels.model, "bad\xff", 5);
	run(m, &c);
	memcpy(c.labels.model, "bad\xfe", 5);
	run(m, &c);
	struct metrics_snapshot *s = metrics_snapshot(m);
	assert_int_equal(metrics_snapshot_count(s, METRICS_REQUESTS_TOTAL), 1);
	struct metrics_point p = metrics_snapshot_point(s, METRICS_REQUESTS_TOTAL, 0);
	assert_int_equal(p.value, 2);
	assert_string_equal(p.labels.call.model, "bad\xef\xbf\xbd");
	metrics_snapshot_free(s);
	metrics_free(m);
}

/* The table against the contract of the numbers. */
static void test_instruments_are_what_was_promised(void **state)
{
	(void)state;
	static const struct {
		const char *name, *unit;
		enum metrics_kind kind;
		bool has_status;
		size_t bound_count;
		double first, last;
	} want[] = {
		{"llama_stack.inference.requests_total", "{request}", METRICS_COUNTER, true, 0, 0,
		 0},
		{"llama_stack.inference.request_duration_seconds", "s", METRICS_HISTOGRAM, true, 17,
		 0.01, 655.36},
		{"llama_stack.inference.concurrent_requests", "{request}", METRICS_UP_DOWN_COUNTER,
		 false, 0, 0, 0},
		{"llama_stack.inference.tokens_per_second", "", METRICS_HISTOGRAM, false, 16, 1,
		 5000},
		{"llama_stack.inference.inference_duration_seconds", "s", METRICS_HISTOGRAM, false,
		 17, 0.01, 655.36},
		{"llama_stack.inference.time_to_first_token_seconds", "s", METRICS_HISTOGRAM, false,
		 19, 0.001, 80},
		{"inferwire.calls.estimated", "{call}", METRICS_COUNTER, false, 0, 0, 0},
		{"inferwire.calls.unmeasured", "{call}", METRICS_COUNTER, false, 0, 0, 0},
		{"inferwire.calls.lost", "{call}", METRICS_COUNTER, false, 0, 0, 0},
		{"inferwire.records.dropped", "{record}", METRICS_COUNTER, false, 0, 0, 0},
		{"inferwire.connections", "{connection}", METRICS_COUNTER, false, 0, 0, 0},
	};
	assert_int_equal(METRICS_COUNT, sizeof(want) / sizeof(want[0]));
	for (size_t id = 0; id < METRICS_COUNT; id++) {
		const struct metrics_instrument *in = &metrics_instruments[id];
		assert_string_equal(in->name, want[id].name);
		assert_string_equal(in->unit, want[id].unit);
		assert_int_equal(in->kind, want[id].kind);
		assert_int_equal(in->has_status, want[id].has_status);
		assert_int_equal(in->bound_count, want[id].bound_count);
		for (size_t i = 1; i < in->bound_count; i++)
			assert_true(in->bounds[i - 1] < in->bounds[i]);
		if (in->bound_count) {
			assert_true(in->bounds[0] == want[id].first);
			assert_true(in->bounds[in->bound_count - 1] == want[id].last);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_good_stream_is_in_all_six_with_these_values),
		cmocka_unit_test(test_which_calls_are_in_which_metrics),
		cmocka_unit_test(test_status_and_error_type_tell_apart_only_where_they_belong),
		cmocka_unit_test(test_a_lost_call_is_counted_and_no_longer_under_way),
		cmocka_unit_test(test_dropped_records_add_up_in_one_point),
		cmocka_unit_test(test_connections_only_grow_and_have_a_point_once_there_are_any),
		cmocka_unit_test(test_calls_that_are_not_measured_are_counted_by_their_protocol),
		cmocka_unit_test(test_plus_and_minus_meet_in_the_same_point_also_past_the_cap),
		cmocka_unit_test(test_names_that_become_equal_when_repaired_are_one_series),
		cmocka_unit_test(test_instruments_are_what_was_promised),
	};
	return cmocka_run_group_tests_name("metrics/metrics", tests, NULL, NULL);
}
