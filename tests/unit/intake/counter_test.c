/*
 * The counter against a clock that is steered, stopped and set back; and against this machine's.
 */
#include "tests/unit/intake/steered_clock.h"

#include "shim/wire.h"

#include <time.h>

static void test_hours_do_not_add_up(void **state)
{
	struct fixture *f = *state;
	uint64_t worst = 0;
	for (unsigned hour = 0; hour < 5; hour++) {
		/* NTP steers by up to 500 millionths. */
		f->world.steered = 1 + (hour % 2 ? 500e-6 : -500e-6);
		uint64_t off = turns(f, 20 * MS, HOUR);
		worst = off > worst ? off : worst;
	}
	assert_true(worst <= 5 * US);
	assert_false(f->clock.broken);
}

static void test_a_clock_that_is_slewed_hard_is_followed(void **state)
{
	struct fixture *f = *state;
	turns(f, 20 * MS, SECOND);
	f->world.steered = 1.08;
	assert_true(turns(f, 20 * MS, 5 * SECOND) <= US);
	f->world.steered = 0.92;
	assert_true(turns(f, 20 * MS, 5 * SECOND) <= US);
	assert_false(f->clock.broken);
}

static void test_time_does_not_run_back_and_is_never_to_come(void **state)
{
	struct fixture *f = *state;
	uint64_t last = 0;
	for (unsigned i = 0; i < 200000; i++) {
		f->world.steered = i % 5000 < 2500 ? 1.08 : 0.92;
		pass(&f->world, 1 + i % 3000);
		uint64_t counter = f->world.counter;
		pass(&f->world, i % 100);
		uint64_t ns = placed(f, counter, &no_pair);
		assert_true(ns >= last);
		assert_true(ns <= (uint64_t)f->world.mono_ns);
		last = ns;
	}
}

/* A record is placed by the newest reading, which another then replaces: the line to that one lies lower
 * where the clock was slowed meanwhile. */
static void test_a_reading_that_is_replaced_turns_nothing_back(void **state)
{
	struct fixture *f = *state;
	turns(f, 20 * MS, SECOND);
	f->world.steered = 1.08;
	pass(&f->world, 4 * MS);
	counter_read_again(&f->clock);
	uint64_t counter = f->world.counter;
	uint64_t first = placed(f, counter, &no_pair);
	f->world.steered = 0.92;
	pass(&f->world, 5 * MS);
	counter_read_again(&f->clock);
	assert_true(placed(f, counter + 1, &no_pair) >= first);
	assert_true(placed(f, counter - 1, &no_pair) <= first);
}

static void test_what_lies_behind_the_last_reading_is_read_for(void **state)
{
	struct fixture *f = *state;
	turns(f, 20 * MS, SECOND);
	pass(&f->world, 3 * MS);
	uint64_t want = (uint64_t)f->world.mono_ns, counter = f->world.counter;
	pass(&f->world, MS);
	unsigned readings = f->world.readings;
	assert_true(distance(placed(f, counter, &no_pair), want) < US);
	assert_true(distance(placed(f, counter + 1000, &no_pair), want) < US);
	assert_int_equal(f->world.readings, readings + 1);
}

static void test_a_record_of_long_ago_is_found_in_the_history(void **state)
{
	struct fixture *f = *state;
	turns(f, 20 * MS, 10 * SECOND);
	uint64_t counter = f->world.counter, mono_ns = (uint64_t)f->world.mono_ns;
	for (unsigned i = 0; i < 60; i++) {
		f->world.steered = 1 + i * 1e-6;
		turns(f, 20 * MS, SECOND);
	}
	assert_true(distance(placed(f, counter, &no_pair), mono_ns) < 20 * US);
}

/* An agent that was started again finds a ring with records of an hour ago. */
static void test_what_is_older_than_the_agent_lies_behind_the_rings_own_pair(void **state)
{
	struct fixture *f = *state;
	struct counter_pair made = {f->clock.at[0].counter - HOUR * 3,
				    f->clock.at[0].mono_ns - 77 * SECOND};
	/* As far back as the clock's zero; an hour would lie before it. */
	made.counter = f->clock.at[0].counter - 77 * SECOND * 3;
	made.mono_ns +=
		30 * MS; /* it was steered meanwhile: the ring's pair knows, the rate does not */
	uint64_t ns = placed(f, made.counter + 30 * SECOND * 3, &made);
	assert_true(distance(ns, made.mono_ns + 30 * SECOND) < 20 * MS);
	assert_int_equal(placed(f, made.counter, &made), made.mono_ns);
}

/* Suspended meanwhile, of another time namespace, or written by somebody: the rate is what is left. */
static void test_a_pair_that_cannot_be_is_not_believed(void **state)
{
	struct fixture *f = *state;
	struct counter_pair first = f->clock.at[0];
	uint64_t counter = first.counter - 10 * SECOND * 3, want = first.mono_ns - 10 * SECOND;
	const struct counter_pair pairs[] = {
		{0, 0},
		{counter, 0},
		{counter, UINT64_MAX},
		{counter, first.mono_ns},
		{1, first.mono_ns},
		{first.counter, first.mono_ns - SECOND},
		{UINT64_MAX, 1},
		{counter - 1, want - 5 * SECOND},
		{counter - 1, want + 5 * SECOND},
	};
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		assert_true(distance(placed(f, counter, &pairs[i]), want) < US);
	assert_int_equal(placed(f, 0, &no_pair), 0);
}

static void test_a_counter_of_the_future_is_now(void **state)
{
	struct fixture *f = *state;
	turns(f, 20 * MS, SECOND);
	uint64_t now = (uint64_t)f->world.mono_ns;
	assert_int_equal(placed(f, UINT64_MAX >> 1, &no_pair), now);
	assert_int_equal(placed(f, UINT64_MAX, &no_pair), now);
	/* And costs what comes next nothing. */
	assert_true(turns(f, 20 * MS, SECOND) <= US);
	assert_false(f->clock.broken);
}

/* A sleep of the machine, in which the counter went on and the clock did not. */
static void test_a_clock_that_stood_still_is_noticed(void **state)
{
	struct fixture *f = *state;
	turns(f, 20 * MS, SECOND);
	uint64_t before = (uint64_t)f->world.mono_ns;
	f->world.counter += 60 * SECOND * 3;
	pass(&f->world, 20 * MS);
	counter_read_again(&f->clock);
	assert_true(f->clock.broken);
	uint64_t ns = placed(f, f->world.counter - 30 * SECOND * 3, &no_pair);
	assert_true(ns >= before && ns <= before + 20 * MS);
}

static void test_a_counter_that_was_set_back_is_noticed(void **state)
{
	struct fixture *f = *state;
	turns(f, 20 * MS, SECOND);
	uint64_t before = f->world.counter;
	f->world.counter = 1000;
	pass(&f->world, 20 * MS);
	counter_read_again(&f->clock);
	assert_true(f->clock.broken);
	uint64_t now = (uint64_t)f->world.mono_ns;
	assert_int_equal(placed(f, before, &no_pair), now);
	assert_true(turns(f, 20 * MS, SECOND) <= US);
}

static void test_a_counter_at_another_rate_is_noticed(void **state)
{
	struct fixture *f = *state;
	turns(f, 20 * MS, SECOND);
	f->world.steered = 1.5;
	turns(f, 20 * MS, SECOND);
	assert_true(f->clock.broken);
}

static void test_a_clock_that_does_not_move_divides_by_nothing(void **state)
{
	struct fixture *f = *state;
	f->world.steered = 0;
	f->world.counter = 5;
	counter_start(&f->clock, world_read, &f->world);
	assert_int_equal(placed(f, 3, &no_pair), f->clock.at[0].mono_ns);
	assert_int_equal(placed(f, 9, &no_pair), f->clock.at[0].mono_ns);
	pass(&f->world, SECOND);
	counter_read_again(&f->clock);
	assert_int_equal(placed(f, 7, &no_pair), f->clock.at[0].mono_ns);
}

/* An agent that was stopped: a quarter of the time, of what the rate changed by. */
static void test_an_agent_that_was_stopped(void **state)
{
	struct fixture *f = *state;
	turns(f, 20 * MS, SECOND);
	f->world.steered = 1 + 250e-6;
	pass(&f->world, 10 * SECOND);
	uint64_t counter = f->world.counter, mono_ns = (uint64_t)f->world.mono_ns;
	f->world.steered = 1 - 250e-6;
	pass(&f->world, 10 * SECOND);
	counter_read_again(&f->clock);
	assert_true(distance(placed(f, counter, &no_pair), mono_ns) <= 20 * SECOND / 4 / 2000 + US);
	assert_false(f->clock.broken);
}

/* The records of a lane, while those of another were read up to a later time. */
static void test_each_sequence_is_in_order(void **state)
{
	struct fixture *f = *state;
	struct counter_latest other = {0};
	turns(f, 20 * MS, SECOND);
	f->world.steered = 1.08;
	pass(&f->world, 3 * MS);
	uint64_t counter = f->world.counter;
	pass(&f->world, MS);
	counter_read_again(&f->clock);
	placed(f, f->world.counter, &no_pair);
	uint64_t first = counter_to_mono(&f->clock, counter, &no_pair, &other);
	f->world.steered = 0.92;
	pass(&f->world, 5 * MS);
	counter_read_again(&f->clock);
	assert_true(counter_to_mono(&f->clock, counter + 1, &no_pair, &other) >= first);
}

/* A read that brought much becomes several records of one counter; between two of them the agent looks at
 * the clock, and a reading is some nanoseconds off. What came later did not come before. */
static void test_records_of_one_read_are_of_one_time(void **state)
{
	struct fixture *f = *state;
	turns(f, 20 * MS, SECOND);
	for (uint64_t i = 0; i < 1000; i++) {
		pass(&f->world, 2 * MS);
		uint64_t counter = f->world.counter;
		delay(f, 1, &(struct delay){40, 0});
		pass(&f->world, MS);
		counter_read_again(&f->clock);
		uint64_t arrived = placed(f, counter, &no_pair);
		delay(f, 1, &(struct delay){0, 40});
		pass(&f->world, MS);
		counter_read_again(&f->clock);
		assert_int_equal(placed(f, counter, &no_pair), arrived);
	}
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* Each counter lies between two looks at the clock, and so does what it becomes; but for what a
 * reading may be off. */
static void test_this_machines_counter_is_its_clock(void **state)
{
	(void)state;
	uint64_t before[1000], counter[1000], after[1000];
	struct counter_clock *c = counter_machine();
	struct counter_latest latest = {0};
	if (!counter_is_kernels(0)) {
		print_message("this kernel keeps time by another clock\n");
		skip();
	}
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 1000; i++) {
			before[i] = now_ns();
			counter[i] = wire_counter();
			after[i] = now_ns();
		}
		for (unsigned i = 0; i < 1000; i++) {
			uint64_t ns = counter_to_mono(c, counter[i], &no_pair, &latest);
			assert_true(ns + 10 * US >= before[i] && ns <= after[i] + 10 * US);
		}
		nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
		counter_read_again(c);
	}
	assert_false(c->broken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, steered_setup, steered_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hours_do_not_add_up),
		TEST(test_a_clock_that_is_slewed_hard_is_followed),
		TEST(test_time_does_not_run_back_and_is_never_to_come),
		TEST(test_a_reading_that_is_replaced_turns_nothing_back),
		TEST(test_what_lies_behind_the_last_reading_is_read_for),
		TEST(test_a_record_of_long_ago_is_found_in_the_history),
		TEST(test_what_is_older_than_the_agent_lies_behind_the_rings_own_pair),
		TEST(test_a_pair_that_cannot_be_is_not_believed),
		TEST(test_a_counter_of_the_future_is_now),
		TEST(test_a_clock_that_stood_still_is_noticed),
		TEST(test_a_counter_that_was_set_back_is_noticed),
		TEST(test_a_counter_at_another_rate_is_noticed),
		TEST(test_a_clock_that_does_not_move_divides_by_nothing),
		TEST(test_an_agent_that_was_stopped),
		TEST(test_each_sequence_is_in_order),
		TEST(test_records_of_one_read_are_of_one_time),
		cmocka_unit_test(test_this_machines_counter_is_its_clock),
	};
	return cmocka_run_group_tests_name("intake/counter", tests, NULL, NULL);
}
