#include "tests/unit/test.h"
#include "tests/unit/export/sample.h"
#include "agent/export/batch.h"

/* A process for each letter: 'l' = the last state of it, 'o' = one that goes on. pids from 1. */
static struct export_batch *batch_of(const char *letters, uint32_t first_pid)
{
	struct export_batch *b = export_batch_new(strlen(letters));
	for (size_t i = 0; i < b->process_count; i++) {
		struct metrics *m = metrics_new();
		sample_models(m, 1);
		sample_process(b, i, first_pid + (uint32_t)i, m);
		b->processes[i].last = letters[i] == 'l';
	}
	return b;
}

static void test_counts(void **state)
{
	(void)state;
	struct export_batch *b = batch_of("olo", 1);
	assert_int_equal(batch_points(b), 18);
	assert_int_equal(batch_lasts(b), 1);
	export_batch_free(b);
	b = export_batch_new(2); /* without snapshots */
	assert_int_equal(batch_points(b), 0);
	export_batch_free(b);
	export_batch_free(NULL);
}

static void test_lasts_are_kept_until_their_time_is_over(void **state)
{
	(void)state;
	struct export_batch *b = batch_of("olol", 1);
	assert_int_equal(batch_keep_lasts(b, 1000), 0);
	assert_int_equal(b->process_count, 2);
	assert_int_equal(b->processes[0].process.pid, 2);
	assert_int_equal(b->processes[1].process.pid, 4);
	assert_int_equal(b->processes[0].keep_until_ns, 1000 + BATCH_KEEP_NS);
	assert_int_equal(batch_keep_lasts(b, 2000), 0); /* failing again gives no more time */
	assert_int_equal(b->processes[0].keep_until_ns, 1000 + BATCH_KEEP_NS);
	b->processes[1].keep_until_ns += 5000;
	assert_int_equal(batch_keep_lasts(b, 1000 + BATCH_KEEP_NS), 1);
	assert_int_equal(b->process_count, 1);
	assert_int_equal(b->processes[0].process.pid, 4);
	export_batch_free(b);
}

static void test_lasts_move_to_the_newer_batch(void **state)
{
	(void)state;
	struct export_batch *to = batch_of("oo", 1), *from = batch_of("lol", 11);
	assert_int_equal(batch_take_lasts(to, from), 0);
	assert_int_equal(to->process_count, 4);
	assert_int_equal(to->processes[2].process.pid, 11);
	assert_int_equal(to->processes[3].process.pid, 13);
	assert_int_equal(batch_points(to), 24);
	/* Not a process that the newer batch has. */
	assert_int_equal(batch_take_lasts(to, batch_of("ll", 13)), 1);
	assert_int_equal(to->process_count, 5);
	assert_int_equal(to->processes[4].process.pid, 14);
	export_batch_free(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_lasts_are_kept_until_their_time_is_over),
		cmocka_unit_test(test_lasts_move_to_the_newer_batch),
	};
	return cmocka_run_group_tests_name("export/batch", tests, NULL, NULL);
}
