/*
 * The exporter and the call log under everything that may happen at a time: batches faster than they
 * are sent, answers of all kinds, questions from another thread, and the end in the middle of it.
 */
#include "tests/unit/export/exporting.h"

#include "agent/export/call_log.h"

#define BATCHES 200
#define PUTS	5000

struct asker {
	struct exporter *exporter;
	_Atomic bool stop;
};

static void *ask(void *user)
{
	struct asker *a = user;
	struct exporter_stats s;
	uint64_t before = 0;
	while (!atomic_load(&a->stop)) {
		exporter_stats(a->exporter, &s);
		if (s.requests < before)
			abort();
		before = s.requests;
		exporter_idle(a->exporter);
		usleep(100);
	}
	return NULL;
}

static void test_batches_questions_and_the_end(void **state)
{
	(void)state;
	struct http_reply replies[HTTP_SCRIPT_REQUESTS];
	for (size_t i = 0; i < HTTP_SCRIPT_REQUESTS; i++)
		replies[i] = (struct http_reply){.head = i % 4 == 2 ? "400 Bad" : "200 OK",
						 .delay_ms = 5};
	replies[20].head = "HTTP/"; /* closed: a retry is awaited while the rest comes */
	struct http_script *s = http_script_start(replies, HTTP_SCRIPT_REQUESTS, 0);
	struct config c = config_for(s->port);
	c.gzip = true;
	struct exporter *e = exporter_start(&c);
	struct asker a = {.exporter = e};
	pthread_t asker;
	assert_int_equal(pthread_create(&asker, NULL, ask, &a), 0);
	for (uint32_t i = 0; i < BATCHES; i++) {
		exporter_submit(e, batch_of(i, 5, i % 3 == 0));
		usleep(1000);
	}
	atomic_store(&a.stop, true);
	pthread_join(asker, NULL);
	exporter_stop(e);
	assert_true(http_script_count(s) > 5);
	http_script_stop(s);
}

static void *put(void *user)
{
	const struct process p = {.pid = 1, .program = "server"};
	struct call c = sample_call("m");
	for (unsigned i = 0; i < PUTS; i++)
		call_log_put(user, &p, &c);
	return NULL;
}

static void test_lines_are_written_or_counted_as_lost(void **state)
{
	(void)state;
	char path[] = "/tmp/call_log_tsan.XXXXXX";
	int fd = mkstemp(path);
	struct call_log *l = call_log_open(path);
	pthread_t putter;
	assert_int_equal(pthread_create(&putter, NULL, put, l), 0);
	for (unsigned i = 0; i < 50; i++) {
		call_log_reopen(l);
		call_log_flush(l);
		usleep(100);
	}
	pthread_join(putter, NULL);
	call_log_flush(l);
	uint64_t lines = call_log_lost(l);
	call_log_close(l);
	char bytes[4096];
	for (ssize_t n; (n = read(fd, bytes, sizeof(bytes))) > 0;)
		for (ssize_t i = 0; i < n; i++)
			lines += bytes[i] == '\n';
	assert_int_equal(lines, PUTS);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batches_questions_and_the_end),
		cmocka_unit_test(test_lines_are_written_or_counted_as_lost),
	};
	return cmocka_run_group_tests_name("tsan/export/exporter", tests, NULL, NULL);
}
