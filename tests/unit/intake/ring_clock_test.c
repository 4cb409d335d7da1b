/*
 * The times of a ring whose producer goes by the processor's counter.
 */
#include "tests/unit/intake/read_ring.h"

#include "agent/intake/counter.h"

#include <sched.h>
#include <sys/wait.h>
#include <time.h>

static uint64_t mono_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void put_at(struct fixture *f, uint64_t time)
{
	struct ring_note note = {.type = WIRE_OPEN, .fd = 0, .generation = 1, .time = time};
	ring_put_control(&f->m.producer, &note);
}

static void reopen_counting(struct fixture *f)
{
	ring_reader_close(f->reader);
	made_header(&f->m)->clock = WIRE_CLOCK_COUNTER;
	assert_int_equal(open_reader(f), 0);
}

/* Another process of another PID namespace, where that can be had, takes the times. */
static void test_times_of_the_counter_become_those_of_the_clock(void **state)
{
	struct fixture *f = *state;
	int to[2];
	if (!counter_is_kernels(0))
		skip();
	reopen_counting(f);
	assert_int_equal(pipe(to), 0);
	for (unsigned i = 0; i < 20; i++) {
		pid_t child = fork();
		if (!child) {
			unshare(CLONE_NEWPID);
			pid_t inner = fork();
			if (inner) {
				waitpid(inner, NULL, 0);
				_exit(0);
			}
			uint64_t around[2] = {mono_ns()};
			put_at(f, wire_counter() | WIRE_TIME_COUNTER);
			around[1] = mono_ns();
			_exit(write(to[1], around, sizeof(around)) != sizeof(around));
		}
		uint64_t around[2];
		assert_int_equal(waitpid(child, NULL, 0), child);
		assert_int_equal(read(to[0], around, sizeof(around)), sizeof(around));
		assert_int_equal(drain(f, 0, 0, true), 1);
		assert_true(f->last_time_ns + 10000 >= around[0]);
		assert_true(f->last_time_ns <= around[1] + 10000);
	}
	put_at(f, 12345);
	drain(f, 0, 0, true);
	assert_int_equal(f->last_time_ns, 12345);
	close(to[0]);
	close(to[1]);
}

static void test_no_time_is_to_come(void **state)
{
	struct fixture *f = *state;
	const uint64_t hostile[] = {WIRE_TIME_COUNTER, UINT64_MAX,
				    UINT64_MAX >> 1 | WIRE_TIME_COUNTER, WIRE_TIME_COUNTER | 1,
				    wire_counter() * 2 | WIRE_TIME_COUNTER};
	const struct counter_pair pairs[] = {{0, 0}, {UINT64_MAX, 1}, {1, UINT64_MAX}, {1, 1}};
	for (size_t p = 0; p < sizeof(pairs) / sizeof(*pairs); p++) {
		made_header(&f->m)->made_counter = pairs[p].counter;
		made_header(&f->m)->made_mono_ns = pairs[p].mono_ns;
		reopen_counting(f);
		for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
			put_at(f, hostile[i]);
			assert_int_equal(drain(f, 0, 0, true), 1);
			assert_true(f->last_time_ns <= mono_ns());
		}
	}
}

static void test_a_counter_that_is_no_good_is_not_used_any_more(void **state)
{
	struct fixture *f = *state;
	reopen_counting(f);
	drain(f, 0, 0, true);
	assert_int_equal(made_header(&f->m)->clock,
			 counter_is_kernels(0) ? WIRE_CLOCK_COUNTER : WIRE_CLOCK_MONOTONIC);
	counter_machine()->broken = true;
	drain(f, 0, 0, true);
	counter_machine()->broken = false;
	assert_int_equal(made_header(&f->m)->clock, WIRE_CLOCK_MONOTONIC);
	assert_false(ring_reader_broken(f->reader));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, read_ring_setup, read_ring_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_times_of_the_counter_become_those_of_the_clock),
		TEST(test_no_time_is_to_come),
		TEST(test_a_counter_that_is_no_good_is_not_used_any_more),
	};
	return cmocka_run_group_tests_name("intake/ring_clock", tests, NULL, NULL);
}
