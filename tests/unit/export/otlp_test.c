#include "tests/unit/test.h"
#include "tests/unit/export/sample.h"
#include "agent/base/limits.h"
#include "agent/export/otlp.h"

#include "otlp.pb-c.h"

#define TIME (SAMPLE_NOW + 5000000000ull)

/* The batch as one request, decoded. */
static Otlp__MetricsRequest *decoded(const struct export_batch *b)
{
	struct otlp_cursor at = {0};
	struct otlp_request r = {0};
	assert_int_equal(otlp_next(b, &at, TIME, 64 * 1024 * 1024, &r), 1);
	Otlp__MetricsRequest *m = otlp__metrics_request__unpack(NULL, r.len, r.at);
	assert_non_null(m);
	free(r.at);
	assert_int_equal(otlp_next(b, &at, TIME, LIMIT_OTLP_REQUEST_BYTES, &r), 0);
	return m;
}

static const Otlp__Metric *metric_named(const Otlp__MetricsRequest *m, const char *name)
{
	const Otlp__ScopeMetrics *s = m->resource_metrics[0]->scope_metrics[0];
	for (size_t i = 0; i < s->n_metrics; i++)
		if (strcmp(s->metrics[i]->name, name) == 0)
			return s->metrics[i];
	fail_msg("no %s", name);
	return NULL;
}

/* Attributes as "key=value;" in their order; booleans and integers by their type. */
static const char *attributes_of(Otlp__KeyValue **list, size_t n)
{
	static char text[512];
	size_t at = 0;
	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		const Otlp__AnyValue *v = list[i]->value;
		const char *key = list[i]->key;
		size_t room = sizeof(text) - at;
		if (v->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE)
			at += (size_t)snprintf(text + at, room, "%s=%s;", key, v->string_value);
		else if (v->value_case == OTLP__ANY_VALUE__VALUE_BOOL_VALUE)
			at += (size_t)snprintf(text + at, room, "%s=bool %d;", key, v->bool_value);
		else
			at += (size_t)snprintf(text + at, room, "%s=int %d;", key,
					       (int)v->int_value);
	}
	return text;
}

static void test_a_good_call_comes_back_as_it_went(void **state)
{
	(void)state;
	struct export_batch *b = export_batch_new(1);
	struct metrics *m = metrics_new();
	struct call c = sample_call("llama-3");
	sample_run(m, &c);
	sample_process(b, 0, 4711, m);
	Otlp__MetricsRequest *r = decoded(b);

	assert_int_equal(r->n_resource_metrics, 1);
	const Otlp__ResourceMetrics *rm = r->resource_metrics[0];
	assert_int_equal(rm->n_scope_metrics, 1);
	assert_string_equal(rm->scope_metrics[0]->scope->name, "inferwire");
	assert_string_equal(rm->scope_metrics[0]->scope->version, INFERWIRE_VERSION);
	assert_int_equal(rm->scope_metrics[0]->n_metrics, 6);
	const char *resource = attributes_of(rm->resource->attributes, rm->resource->n_attributes);
	assert_non_null(strstr(resource, "service.name=unknown_service:server;"));
	assert_non_null(strstr(resource, "process.pid=int 4711;"));

	const Otlp__Metric *total = metric_named(r, "llama_stack.inference.requests_total");
	assert_string_equal(total->unit, "{request}");
	assert_int_equal(total->data_case, OTLP__METRIC__DATA_SUM);
	assert_true(total->sum->is_monotonic);
	assert_int_equal(total->sum->aggregation_temporality, OTLP__TEMPORALITY__CUMULATIVE);
	assert_int_equal(total->sum->n_data_points, 1);
	const Otlp__NumberDataPoint *p = total->sum->data_points[0];
	assert_int_equal(p->value_case, OTLP__NUMBER_DATA_POINT__VALUE_AS_INT);
	assert_int_equal(p->as_int, 1);
	assert_int_equal(p->start_time_unix_nano, SAMPLE_NOW);
	assert_int_equal(p->time_unix_nano, TIME);
	assert_string_equal(attributes_of(p->attributes, p->n_attributes),
			    "model=llama-3;provider=vllm;endpoint_type=chat_completion;"
			    "stream=bool 1;status=success;");

	const Otlp__Metric *now = metric_named(r, "llama_stack.inference.concurrent_requests");
	assert_false(now->sum->is_monotonic);
	assert_int_equal(now->sum->aggregation_temporality, OTLP__TEMPORALITY__CUMULATIVE);
	p = now->sum->data_points[0]; /* 0 is sent, not left out */
	assert_int_equal(p->value_case, OTLP__NUMBER_DATA_POINT__VALUE_AS_INT);
	assert_int_equal(p->as_int, 0);
	assert_string_equal(attributes_of(p->attributes, p->n_attributes),
			    "model=llama-3;provider=vllm;endpoint_type=chat_completion;"
			    "stream=bool 1;");

	const Otlp__Metric *duration =
		metric_named(r, "llama_stack.inference.request_duration_seconds");
	assert_string_equal(duration->unit, "s");
	assert_int_equal(duration->data_case, OTLP__METRIC__DATA_HISTOGRAM);
	assert_int_equal(duration->histogram->aggregation_temporality,
			 OTLP__TEMPORALITY__CUMULATIVE);
	const Otlp__HistogramDataPoint *h = duration->histogram->data_points[0];
	assert_int_equal(h->count, 1);
	assert_int_equal(h->has_sum_case, OTLP__HISTOGRAM_DATA_POINT__HAS_SUM_SUM);
	assert_true(h->sum == 1.0 && h->min == 1.0 && h->max == 1.0);
	assert_int_equal(h->n_explicit_bounds, 17);
	assert_int_equal(h->n_bucket_counts, 18);
	uint64_t all = 0;
	for (size_t i = 0; i < h->n_bucket_counts; i++)
		all += h->bucket_counts[i];
	assert_int_equal(all, h->count);
	assert_int_equal(h->bucket_counts[7], 1);

	otlp__metrics_request__free_unpacked(r, NULL);
	export_batch_free(b);
}

static void test_error_type_is_on_errors_only(void **state)
{
	(void)state;
	struct export_batch *b = export_batch_new(1);
	struct metrics *m = metrics_new();
	struct call c = sample_call("m");
	c.error = CALL_CLIENT_DISCONNECT;
	sample_run(m, &c);
	sample_process(b, 0, 1, m);
	Otlp__MetricsRequest *r = decoded(b);
	const Otlp__Metric *total = metric_named(r, "llama_stack.inference.requests_total");
	const Otlp__NumberDataPoint *p = total->sum->data_points[0];
	assert_string_equal(attributes_of(p->attributes, p->n_attributes),
			    "model=m;provider=vllm;endpoint_type=chat_completion;stream=bool 1;"
			    "status=error;error_type=client_disconnect;");
	otlp__metrics_request__free_unpacked(r, NULL);
	export_batch_free(b);
}

static void test_the_overflow_point_has_one_attribute(void **state)
{
	(void)state;
	struct export_batch *b = export_batch_new(1);
	struct metrics *m = metrics_new();
	sample_models(m, LIMIT_SERIES + 3);
	sample_process(b, 0, 1, m);
	Otlp__MetricsRequest *r = decoded(b);
	const Otlp__Metric *total = metric_named(r, "llama_stack.inference.requests_total");
	assert_int_equal(total->sum->n_data_points, LIMIT_SERIES + 1);
	const Otlp__NumberDataPoint *p = total->sum->data_points[LIMIT_SERIES];
	assert_string_equal(attributes_of(p->attributes, p->n_attributes),
			    "otel.metric.overflow=bool 1;");
	assert_int_equal(p->as_int, 3);
	otlp__metrics_request__free_unpacked(r, NULL);
	export_batch_free(b);
}

static void test_a_bare_metric_has_no_attributes(void **state)
{
	(void)state;
	struct export_batch *b = export_batch_new(1);
	struct metrics *m = metrics_new();
	metrics_records_dropped(m, 7, SAMPLE_NOW);
	sample_process(b, 0, 1, m);
	Otlp__MetricsRequest *r = decoded(b);
	const Otlp__Metric *dropped = metric_named(r, "inferwire.records.dropped");
	assert_true(dropped->sum->is_monotonic);
	assert_int_equal(dropped->sum->n_data_points, 1);
	assert_int_equal(dropped->sum->data_points[0]->n_attributes, 0);
	assert_int_equal(dropped->sum->data_points[0]->as_int, 7);
	otlp__metrics_request__free_unpacked(r, NULL);
	export_batch_free(b);
}

static void test_connections_say_their_kind_and_why_they_are_not_read(void **state)
{
	(void)state;
	struct export_batch *b = export_batch_new(1);
	struct metrics *m = metrics_new();
	metrics_connections(m,
			    (uint64_t[METRICS_CONN_COUNT]){
				    [METRICS_CONN_HTTP] = 7, [METRICS_CONN_UNSEEN_IO_URING] = 2},
			    SAMPLE_NOW);
	sample_process(b, 0, 1, m);
	Otlp__MetricsRequest *r = decoded(b);
	const Otlp__Metric *conns = metric_named(r, "inferwire.connections");
	assert_true(conns->sum->is_monotonic);
	assert_int_equal(conns->sum->n_data_points, 2);
	const Otlp__NumberDataPoint *p = conns->sum->data_points[0];
	assert_string_equal(attributes_of(p->attributes, p->n_attributes), "kind=http;");
	assert_int_equal(p->as_int, 7);
	p = conns->sum->data_points[1];
	assert_string_equal(attributes_of(p->attributes, p->n_attributes),
			    "kind=unseen;reason=io_uring;");
	assert_int_equal(p->as_int, 2);
	otlp__metrics_request__free_unpacked(r, NULL);
	export_batch_free(b);
}

static void test_nothing_to_say_is_no_request(void **state)
{
	(void)state;
	struct export_batch *b = export_batch_new(2);
	struct otlp_cursor at = {0};
	struct otlp_request r;
	sample_process(b, 0, 1, metrics_new());
	sample_process(b, 1, 2, metrics_new());
	assert_int_equal(otlp_next(b, &at, TIME, LIMIT_OTLP_REQUEST_BYTES, &r), 0);
	export_batch_free(b);
	b = export_batch_new(0);
	at = (struct otlp_cursor){0};
	assert_int_equal(otlp_next(b, &at, TIME, LIMIT_OTLP_REQUEST_BYTES, &r), 0);
	export_batch_free(b);
}

/* No empty message anywhere in a request; returns its points. */
static size_t points_of(const Otlp__MetricsRequest *m)
{
	size_t points = 0;
	assert_true(m->n_resource_metrics > 0);
	for (size_t i = 0; i < m->n_resource_metrics; i++) {
		const Otlp__ScopeMetrics *s = m->resource_metrics[i]->scope_metrics[0];
		assert_true(m->resource_metrics[i]->resource->n_attributes >= 7);
		assert_true(s->n_metrics > 0);
		for (size_t j = 0; j < s->n_metrics; j++) {
			const Otlp__Metric *x = s->metrics[j];
			size_t n = x->data_case == OTLP__METRIC__DATA_SUM
					   ? x->sum->n_data_points
					   : x->histogram->n_data_points;
			assert_true(n > 0);
			points += n;
		}
	}
	return points;
}

/* Splits a batch at `max`; checks each request and that every point is in exactly one. */
static size_t split(const struct export_batch *b, size_t max, size_t want_points)
{
	struct otlp_cursor at = {0};
	struct otlp_request r;
	size_t requests = 0, points = 0;
	while (otlp_next(b, &at, TIME, max, &r) == 1) {
		assert_true(r.len <= max || r.points == 1);
		Otlp__MetricsRequest *m = otlp__metrics_request__unpack(NULL, r.len, r.at);
		assert_int_equal(points_of(m), r.points);
		otlp__metrics_request__free_unpacked(m, NULL);
		points += r.points;
		requests++;
		free(r.at);
	}
	assert_int_equal(points, want_points);
	return requests;
}

static void test_many_points_are_split_and_none_is_lost_or_said_twice(void **state)
{
	(void)state;
	struct export_batch *b = export_batch_new(3);
	for (size_t i = 0; i < 3; i++) {
		struct metrics *m = metrics_new();
		sample_models(m, 40 + (unsigned)i);
		sample_process(b, i, (uint32_t)i + 1, m);
	}
	size_t points = 6 * (40 + 41 + 42);
	assert_int_equal(split(b, 1024 * 1024, points), 1);
	assert_int_equal(split(b, 1, points), points); /* one a request */
	size_t before = points;
	for (size_t max = 600; max < 200000; max = max * 5 / 4) {
		size_t requests = split(b, max, points);
		assert_true(requests <= before);
		before = requests;
	}
	export_batch_free(b);
}

/* As the wire has it, since decoders of the same schema would agree on a wrong one. */
static void test_the_bytes_of_a_point(void **state)
{
	(void)state;
	struct export_batch *b = export_batch_new(1);
	struct metrics *m = metrics_new();
	struct call c = sample_call("m");
	metrics_call_started(m, &c, 0x1111111111111111u);
	sample_process(b, 0, 1, m);
	struct otlp_cursor at = {0};
	struct otlp_request r;
	assert_int_equal(otlp_next(b, &at, 0x2222222222222222u, 1000000, &r), 1);
	/* Metric.sum (7) { data_points (1) { start (2, fixed64), time (3), as_int (6, sfixed64),
	 * attributes (7) { key "model", value { string "m" } ... */
	static const uint8_t point[] = "\x11\x11\x11\x11\x11\x11\x11\x11\x11"
				       "\x19\x22\x22\x22\x22\x22\x22\x22\x22"
				       "\x31\x01\x00\x00\x00\x00\x00\x00\x00"
				       "\x3a\x0c\x0a\x05model\x12\x03\x0a\x01m";
	static const uint8_t stream[] = "\x3a\x0c\x0a\x06stream\x12\x02\x10\x01";
	static const uint8_t temporality[] = "\x10\x02"; /* and is_monotonic (3) is absent */
	uint8_t *found = memmem(r.at, r.len, point, sizeof(point) - 1);
	assert_non_null(found);
	assert_non_null(memmem(r.at, r.len, stream, sizeof(stream) - 1));
	assert_memory_equal(r.at + r.len - 2, temporality, 2);
	free(r.at);
	export_batch_free(b);
}

static void test_the_time_is_past_everything_before(void **state)
{
	(void)state;
	struct export_batch *b = export_batch_new(1);
	struct metrics *m = metrics_new();
	struct call c = sample_call("m");
	sample_run(m, &c); /* starts at SAMPLE_NOW */
	sample_process(b, 0, 1, m);
	const uint64_t ms = 1000000;
	b->time_ns = SAMPLE_NOW + 5 * ms;
	assert_int_equal(otlp_time(b, 0), SAMPLE_NOW + 5 * ms);
	assert_int_equal(otlp_time(b, SAMPLE_NOW + 4 * ms), SAMPLE_NOW + 5 * ms);
	/* In the same millisecond as the one before: the next one. */
	assert_int_equal(otlp_time(b, SAMPLE_NOW + 5 * ms), SAMPLE_NOW + 6 * ms);
	assert_int_equal(otlp_time(b, SAMPLE_NOW + 5 * ms + 999999), SAMPLE_NOW + 6 * ms);
	/* The clock was set back. */
	b->time_ns = SAMPLE_NOW - 3600 * 1000 * ms;
	assert_int_equal(otlp_time(b, 0), SAMPLE_NOW + ms);
	assert_int_equal(otlp_time(b, SAMPLE_NOW + 9 * ms), SAMPLE_NOW + 10 * ms);
	export_batch_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_good_call_comes_back_as_it_went),
		cmocka_unit_test(test_error_type_is_on_errors_only),
		cmocka_unit_test(test_the_overflow_point_has_one_attribute),
		cmocka_unit_test(test_a_bare_metric_has_no_attributes),
		cmocka_unit_test(test_connections_say_their_kind_and_why_they_are_not_read),
		cmocka_unit_test(test_nothing_to_say_is_no_request),
		cmocka_unit_test(test_many_points_are_split_and_none_is_lost_or_said_twice),
		cmocka_unit_test(test_the_bytes_of_a_point),
		cmocka_unit_test(test_the_time_is_past_everything_before),
	};
	return cmocka_run_group_tests_name("export/otlp", tests, NULL, NULL);
}
