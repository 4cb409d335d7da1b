#include "tests/unit/test.h"
#include "tests/unit/export/sample.h"
#include "agent/base/limits.h"
#include "agent/export/console.h"

static char *written(const struct export_batch *b)
{
	static char text[1024 * 1024];
	text[0] = '\0';
	FILE *f = fmemopen(text, sizeof(text), "w");
	assert_non_null(f);
	console_write(b, f);
	fclose(f);
	return text;
}

static void test_a_batch_as_text(void **state)
{
	(void)state;
	struct export_batch *b = export_batch_new(1);
	struct metrics *m = metrics_new();
	struct call c = sample_call("llama-3");
	sample_run(m, &c);
	sample_process(b, 0, 7, m);
	b->time_ns = 1700000000123000000u;
	static const char want[] =
		"2023-11-14T22:13:20.123Z server[7]\n"
		"  llama_stack.inference.requests_total {request}\n"
		"    model=llama-3 provider=vllm endpoint_type=chat_completion stream=true "
		"status=success  1\n"
		"  llama_stack.inference.request_duration_seconds s\n"
		"    model=llama-3 provider=vllm endpoint_type=chat_completion stream=true "
		"status=success  count 1  sum 1  mean 1  min 1  max 1\n"
		"  llama_stack.inference.concurrent_requests {request}\n"
		"    model=llama-3 provider=vllm endpoint_type=chat_completion stream=true  0\n"
		"  llama_stack.inference.tokens_per_second\n"
		"    model=llama-3 provider=vllm endpoint_type=chat_completion stream=true"
		"  count 1  sum 100  mean 100  min 100  max 100\n";
	char *got = written(b);
	got[strlen(want)] = '\0';
	assert_string_equal(got, want);
	export_batch_free(b);
}

static void test_errors_overflow_and_control_characters(void **state)
{
	(void)state;
	struct export_batch *b = export_batch_new(1);
	struct metrics *m = metrics_new();
	struct call c = sample_call("\x1b[2Jm\n");
	c.error = CALL_TIMEOUT;
	sample_run(m, &c);
	sample_models(m, LIMIT_SERIES);
	sample_process(b, 0, 7, m);
	b->processes[0].last = true;
	snprintf(b->processes[0].process.service_name, 8, "a\nb");
	const char *got = written(b);
	assert_non_null(strstr(got, " a?b[7] ended\n"));
	assert_non_null(strstr(got, "model=?[2Jm? "));
	assert_non_null(strstr(got, " status=error error_type=timeout  1\n"));
	assert_non_null(strstr(got, "    otel.metric.overflow=true  1\n"));
	b->processes[0].keep_until_ns = 1; /* printed before, in the batch it comes from */
	assert_null(strstr(written(b), "model="));
	export_batch_free(b);
}

static void test_connections_say_their_kind(void **state)
{
	(void)state;
	struct export_batch *b = export_batch_new(1);
	struct metrics *m = metrics_new();
	metrics_connections(
		m,
		(uint64_t[METRICS_CONN_COUNT]){[METRICS_CONN_HTTP] = 5, [METRICS_CONN_OPAQUE] = 1},
		SAMPLE_NOW);
	sample_process(b, 0, 7, m);
	assert_non_null(strstr(written(b), "  inferwire.connections {connection}\n"
					   "    kind=http  5\n"
					   "    kind=opaque reason=not_http  1\n"));
	export_batch_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_batch_as_text),
		cmocka_unit_test(test_errors_overflow_and_control_characters),
		cmocka_unit_test(test_connections_say_their_kind),
	};
	return cmocka_run_group_tests_name("export/console", tests, NULL, NULL);
}
