/*
 * The counter where somebody comes into its readings: a preemption, a stolen processor.
 */
#include "tests/unit/intake/steered_clock.h"

static const struct delay delays[] = {
	{5 * MS, 0}, {0, 5 * MS}, {3 * MS, 40 * MS}, {SECOND, 0}, {0, SECOND},
};
#define DELAYS (sizeof(delays) / sizeof(*delays))

static void test_one_attempt_in_peace_is_enough(void **state)
{
	struct fixture *f = *state;
	turns(f, 20 * MS, SECOND);
	for (unsigned i = 0; i < 500; i++) {
		f->world.steered = 1 + (i % 2 ? 500e-6 : -500e-6);
		delay(f, i % 8, &delays[i % DELAYS]);
		assert_true(turns(f, 20 * MS, 20 * MS) <= US);
	}
	assert_false(f->clock.broken);
}

/* No attempt of a turn is in peace: the rate says where between the looks at the clock. */
static void test_the_rate_places_a_slow_reading(void **state)
{
	struct fixture *f = *state;
	turns(f, 20 * MS, SECOND);
	for (unsigned i = 0; i < 500; i++) {
		delay(f, 1000, &delays[i % 3]);
		assert_true(turns(f, 20 * MS, 20 * MS) <= US);
	}
	f->world.delayed = 0;
	assert_true(turns(f, 20 * MS, SECOND) <= US);
	assert_false(f->clock.broken);
}

/* And never outside of them, whatever the rate says. */
static void test_a_slow_reading_is_off_by_its_width_at_most(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < DELAYS; i++) {
		f->world.delayed = 0;
		turns(f, 20 * MS, SECOND);
		f->world.steered = i % 2 ? 1.05 : 0.95;
		delay(f, 1000, &delays[i]);
		uint64_t width = (delays[i].before_ns + delays[i].behind_ns) * 106 / 100;
		assert_true(turns(f, 20 * MS, 40 * SECOND) <= width);
		f->world.steered = 1;
	}
}

/* It starts in the middle of a storm: no rate is known, nothing is extrapolated from what is that far off,
 * and when the storm is over, nothing is left of it. */
static void test_a_start_without_peace(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 3; i++) {
		uint64_t width = delays[i].before_ns + delays[i].behind_ns;
		uint64_t counter = f->world.counter, mono_ns = (uint64_t)f->world.mono_ns;
		delay(f, 1000, &delays[i]);
		counter_start(&f->clock, world_read, &f->world);
		f->latest = (struct counter_latest){0};
		uint64_t since = (uint64_t)f->world.mono_ns - mono_ns;
		assert_true(distance(placed(f, counter, &no_pair), mono_ns) <= since);
		assert_true(turns(f, 20 * MS, 100 * MS) <= width);
		f->world.delayed = 0;
		turns(f, 20 * MS, 40 * MS);
		assert_true(turns(f, 20 * MS, SECOND) <= US);
		assert_false(f->clock.broken);
		/* What is older than the history is placed by a rate that is a good one. */
		assert_true(f->clock.rate > 0.998 / 3 && f->clock.rate < 1.002 / 3);
	}
}

/* One that has no peace is forgotten when there is a good one. */
static void test_a_first_reading_without_peace(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < DELAYS; i++) {
		struct world *w = &f->world;
		uint64_t counter = w->counter, mono_ns = (uint64_t)w->mono_ns;
		delay(f, 8, &delays[i]);
		counter_start(&f->clock, world_start, w);
		f->clock.read = world_read;
		f->latest = (struct counter_latest){0};
		turns(f, 20 * MS, 100 * MS);
		f->latest = (struct counter_latest){0};
		for (uint64_t ns = 0; ns < 100 * MS; ns += MS)
			assert_true(distance(placed(f, counter + ns * 3, &no_pair), mono_ns + ns) <=
				    US);
	}
}

/* Where no reading is ever narrow, the clock is followed all the same. */
static void test_a_machine_without_peace(void **state)
{
	struct fixture *f = *state;
	const struct delay slow = {2 * US, 2 * US};
	delay(f, UINT32_MAX, &slow);
	for (unsigned hour = 0; hour < 2; hour++) {
		f->world.steered = 1 + (hour % 2 ? 100e-6 : -100e-6);
		assert_true(turns(f, 20 * MS, HOUR) <= 10 * US);
	}
	assert_false(f->clock.broken);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, steered_setup, steered_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_one_attempt_in_peace_is_enough),
		TEST(test_the_rate_places_a_slow_reading),
		TEST(test_a_slow_reading_is_off_by_its_width_at_most),
		TEST(test_a_start_without_peace),
		TEST(test_a_first_reading_without_peace),
		TEST(test_a_machine_without_peace),
	};
	return cmocka_run_group_tests_name("intake/counter_disturbed", tests, NULL, NULL);
}
