#include "tests/unit/test.h"
#include "tests/unit/export/sample.h"
#include "agent/export/call_log.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static char folder[64], path[96], rotated[96];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/call_log_test.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/calls", folder);
	snprintf(rotated, sizeof(rotated), "%s/calls.1", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	unlink(rotated);
	return rmdir(folder);
}

static const struct process program = {.pid = 4711, .program = "llama-server"};

/* The n-th line of a file, parsed; NULL if it has no such line. */
static json_t *line_of(const char *file, unsigned n)
{
	static char line[8192];
	FILE *f = fopen(file, "r");
	assert_non_null(f);
	char *got = NULL;
	for (unsigned i = 0; i <= n; i++)
		got = fgets(line, sizeof(line), f);
	fclose(f);
	if (!got)
		return NULL;
	assert_int_equal(line[strlen(line) - 1], '\n');
	return json_loads(line, JSON_REJECT_DUPLICATES, NULL);
}

static unsigned lines_in(const char *file)
{
	FILE *f = fopen(file, "r");
	unsigned n = 0;
	assert_non_null(f);
	for (int c; (c = fgetc(f)) != EOF;)
		n += c == '\n';
	fclose(f);
	return n;
}

static json_t *logged(const struct call *c)
{
	struct call_log *l = call_log_open(path);
	assert_non_null(l);
	call_log_put(l, &program, c);
	call_log_flush(l);
	json_t *o = line_of(path, 0);
	call_log_close(l);
	unlink(path);
	assert_non_null(o);
	return o;
}

static void test_a_line_has_exactly_these_keys(void **state)
{
	(void)state;
	struct call c = sample_call("llama-3");
	snprintf(c.method, sizeof(c.method), "POST");
	snprintf(c.path, sizeof(c.path), "/v1/chat/completions");
	snprintf(c.finish_reason, sizeof(c.finish_reason), "stop");
	c.has_input_tokens = true;
	c.input_tokens = 11;
	c.request_bytes = 120;
	c.response_bytes = 3400;
	c.events = 51;
	c.has_reasoning_tokens = true;
	c.reasoning_tokens = 7;
	json_t *o = logged(&c);
	static const char want[] =
		"{\"pid\":4711,\"program\":\"llama-server\",\"method\":\"POST\","
		"\"path\":\"/v1/chat/completions\",\"http_status\":200,"
		"\"endpoint_type\":\"chat_completion\",\"model\":\"llama-3\",\"provider\":\"vllm\","
		"\"stream\":true,\"status\":\"success\",\"error_type\":null,"
		"\"finish_reason\":\"stop\",\"input_tokens\":11,\"output_tokens\":50,"
		"\"cached_tokens\":null,\"reasoning_tokens\":7,\"token_source\":\"usage\","
		"\"request_bytes\":120,"
		"\"response_bytes\":3400,\"events\":51,\"incomplete\":false,"
		"\"arrived_ns\":1000000000,\"received_ns\":1050000000,"
		"\"first_token_ns\":1100000000,\"last_token_ns\":1550000000,"
		"\"ended_ns\":2000000000}";
	const char *time = json_string_value(json_object_get(o, "time"));
	int y, mo, d, h, mi, s, ms, n = 0;
	assert_int_equal(
		sscanf(time, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &y, &mo, &d, &h, &mi, &s, &ms, &n),
		7);
	assert_int_equal(n, strlen(time));
	json_object_del(o, "time");
	json_t *expected = json_loads(want, 0, NULL);
	assert_true(json_equal(o, expected));
	json_decref(expected);
	json_decref(o);
}

static void test_what_is_not_known_is_null(void **state)
{
	(void)state;
	struct call c = {.error = CALL_CLIENT_DISCONNECT, .incomplete = true};
	json_t *o = logged(&c);
	static const char *const nulls[] = {"http_status",    "input_tokens",	  "output_tokens",
					    "cached_tokens",  "reasoning_tokens", "received_ns",
					    "first_token_ns", "last_token_ns",	  "finish_reason"};
	for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++)
		assert_true(json_is_null(json_object_get(o, nulls[i])));
	assert_string_equal(json_string_value(json_object_get(o, "status")), "error");
	assert_string_equal(json_string_value(json_object_get(o, "error_type")),
			    "client_disconnect");
	assert_true(json_is_true(json_object_get(o, "incomplete")));
	json_decref(o);
}

/* The time of a line is that of the call's end, not of its writing. */
static void test_the_time_is_that_of_the_end(void **state)
{
	(void)state;
	struct timespec mono, real;
	struct tm utc;
	char want[32];
	struct call c = sample_call("m");
	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &real);
	c.ended_ns = ((uint64_t)mono.tv_sec - 40) * 1000000000u + (uint64_t)mono.tv_nsec;
	real.tv_sec -= 40;
	gmtime_r(&real.tv_sec, &utc);
	strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:", &utc);
	json_t *o = logged(&c);
	const char *got = json_string_value(json_object_get(o, "time"));
	int seconds = (int)strtol(got + strlen(want), NULL, 10);
	assert_memory_equal(got, want, strlen(want));
	assert_in_range(seconds, utc.tm_sec ? utc.tm_sec - 1 : 0, utc.tm_sec + 1);
	json_decref(o);
}

static void test_hostile_text_becomes_valid_json(void **state)
{
	(void)state;
	struct call c = sample_call("a\"\\\n\x01\xff\xe2\x82");
	memset(c.path, 0xff, sizeof(c.path)); /* not even an end */
	c.input_tokens = UINT64_MAX;
	c.has_input_tokens = true;
	json_t *o = logged(&c);
	assert_string_equal(json_string_value(json_object_get(o, "model")),
			    "a\"\\\n\x01\xef\xbf\xbd\xef\xbf\xbd");
	assert_int_equal(json_string_length(json_object_get(o, "path")), 3 * sizeof(c.path));
	assert_true(json_integer_value(json_object_get(o, "input_tokens")) == INT64_MAX);
	json_decref(o);
}

static void test_many_lines_in_order(void **state)
{
	(void)state;
	struct call_log *l = call_log_open(path);
	for (unsigned i = 0; i < 5000; i++) {
		struct call c = sample_call("m");
		c.events = i;
		call_log_put(l, &program, &c);
	}
	call_log_close(l); /* writes what waits */
	assert_int_equal(lines_in(path), 5000);
	json_t *o = line_of(path, 4321);
	assert_int_equal(json_integer_value(json_object_get(o, "events")), 4321);
	json_decref(o);
}

static void test_an_existing_file_is_appended_to_and_a_new_one_is_private(void **state)
{
	(void)state;
	struct call c = sample_call("m");
	struct stat st;
	for (unsigned i = 0; i < 2; i++) {
		struct call_log *l = call_log_open(path);
		call_log_put(l, &program, &c);
		call_log_close(l);
	}
	assert_int_equal(lines_in(path), 2);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_rotation(void **state)
{
	(void)state;
	struct call c = sample_call("m");
	struct call_log *l = call_log_open(path);
	call_log_put(l, &program, &c);
	call_log_flush(l);
	assert_int_equal(rename(path, rotated), 0);
	call_log_put(l, &program, &c); /* still into the old file */
	call_log_flush(l);
	assert_int_equal(lines_in(rotated), 2);
	call_log_reopen(l);
	call_log_put(l, &program, &c);
	call_log_flush(l);
	assert_int_equal(lines_in(rotated), 2);
	assert_int_equal(lines_in(path), 1);
	/* No new file can be made: the old one is used on. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	call_log_reopen(l);
	call_log_put(l, &program, &c);
	call_log_flush(l);
	assert_int_equal(call_log_lost(l), 0);
	assert_int_equal(rmdir(path), 0);
	call_log_put(l, &program, &c);
	call_log_flush(l);
	assert_int_equal(lines_in(path), 1); /* as soon as it can be */
	call_log_close(l);
}

static void test_a_path_that_cannot_be_opened(void **state)
{
	(void)state;
	errno = 0;
	assert_null(call_log_open("/nowhere/at/all"));
	assert_int_equal(errno, ENOENT);
}

static void test_a_full_device_loses_lines_and_nothing_else(void **state)
{
	(void)state;
	struct call_log *l = call_log_open("/dev/full");
	struct call c = sample_call("m");
	for (unsigned i = 0; i < 10; i++)
		call_log_put(l, &program, &c);
	call_log_flush(l);
	assert_int_equal(call_log_lost(l), 10);
	call_log_put(l, &program, &c);
	call_log_flush(l);
	assert_int_equal(call_log_lost(l), 11);
	call_log_close(l);
}

/* A write that is cut short (as on a disk that fills up) leaves half a line; the next begins anew. */
static void test_half_a_line_stays_alone(void **state)
{
	(void)state;
	struct rlimit before, small;
	struct call c = sample_call("m");
	struct call_log *l = call_log_open(path);
	call_log_put(l, &program, &c);
	call_log_flush(l);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = (rlim_t)st.st_size * 3 / 2;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	call_log_put(l, &program, &c); /* half of it */
	call_log_flush(l);
	assert_int_equal(call_log_lost(l), 1);
	call_log_put(l, &program, &c); /* nothing of it */
	call_log_flush(l);
	assert_int_equal(call_log_lost(l), 2);
	setrlimit(RLIMIT_FSIZE, &before);
	call_log_put(l, &program, &c);
	call_log_flush(l);
	assert_int_equal(call_log_lost(l), 2);
	call_log_close(l);
	assert_int_equal(lines_in(path), 3);
	json_t *whole = line_of(path, 0), *half = line_of(path, 1), *next = line_of(path, 2);
	assert_non_null(whole);
	assert_null(half);
	assert_non_null(next);
	json_decref(whole);
	json_decref(next);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		TEST(test_a_line_has_exactly_these_keys),
		TEST(test_what_is_not_known_is_null),
		TEST(test_the_time_is_that_of_the_end),
		TEST(test_hostile_text_becomes_valid_json),
		TEST(test_many_lines_in_order),
		TEST(test_an_existing_file_is_appended_to_and_a_new_one_is_private),
		TEST(test_rotation),
		TEST(test_a_path_that_cannot_be_opened),
		TEST(test_a_full_device_loses_lines_and_nothing_else),
		TEST(test_half_a_line_stays_alone),
	};
	return cmocka_run_group_tests_name("export/call_log", tests, NULL, NULL);
}
