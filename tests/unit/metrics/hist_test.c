#include "tests/unit/test.h"
#include "agent/metrics/hist.h"
#include "agent/metrics/metrics.h"

#include <math.h>

/* What the search must find, said as plainly as possible. */
static size_t bucket_by_scan(const double *bounds, size_t count, double value)
{
	size_t i = 0;
	while (i < count && bounds[i] < value)
		i++;
	return i;
}

static void test_a_value_equal_to_a_bound_is_in_its_bucket(void **state)
{
	(void)state;
	static const double bounds[] = {1, 2, 5};
	assert_int_equal(hist_bucket(bounds, 3, 0), 0);
	assert_int_equal(hist_bucket(bounds, 3, 1), 0);
	assert_int_equal(hist_bucket(bounds, 3, nextafter(1, 2)), 1);
	assert_int_equal(hist_bucket(bounds, 3, 2), 1);
	assert_int_equal(hist_bucket(bounds, 3, 5), 2);
	assert_int_equal(hist_bucket(bounds, 3, nextafter(5, 6)), 3);
	assert_int_equal(hist_bucket(bounds, 3, 1e300), 3);
	assert_int_equal(hist_bucket(bounds, 0, 7), 0);
}

static void test_every_edge_of_every_instrument(void **state)
{
	(void)state;
	for (size_t id = 0; id < METRICS_COUNT; id++) {
		const struct metrics_instrument *in = &metrics_instruments[id];
		for (size_t i = 0; i < in->bound_count; i++) {
			const double edges[] = {nextafter(in->bounds[i], 0), in->bounds[i],
						nextafter(in->bounds[i], INFINITY)};
			for (size_t e = 0; e < 3; e++)
				assert_int_equal(
					hist_bucket(in->bounds, in->bound_count, edges[e]),
					bucket_by_scan(in->bounds, in->bound_count, edges[e]));
		}
	}
}

static void test_search_agrees_with_scan_for_any_number_of_bounds(void **state)
{
	(void)state;
	double bounds[33];
	for (size_t i = 0; i < 33; i++)
		bounds[i] = (double)i;
	for (size_t n = 0; n <= 33; n++)
		for (double v = 0; v < 34; v += 0.5)
			assert_int_equal(hist_bucket(bounds, n, v), bucket_by_scan(bounds, n, v));
}

static void test_keeps_sum_and_extremes_and_ignores_what_is_no_measurement(void **state)
{
	(void)state;
	static const double bounds[] = {1, 2};
	uint64_t buckets[3] = {0};
	struct hist h = {.buckets = buckets};
	hist_record(&h, bounds, 2, NAN);
	hist_record(&h, bounds, 2, INFINITY);
	hist_record(&h, bounds, 2, -0.5);
	assert_int_equal(h.count, 0);
	hist_record(&h, bounds, 2, 1.5);
	hist_record(&h, bounds, 2, 0.25);
	hist_record(&h, bounds, 2, 8);
	assert_int_equal(h.count, 3);
	assert_true(h.sum == 9.75 && h.min == 0.25 && h.max == 8);
	assert_int_equal(buckets[0], 1);
	assert_int_equal(buckets[1], 1);
	assert_int_equal(buckets[2], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_value_equal_to_a_bound_is_in_its_bucket),
		cmocka_unit_test(test_every_edge_of_every_instrument),
		cmocka_unit_test(test_search_agrees_with_scan_for_any_number_of_bounds),
		cmocka_unit_test(test_keeps_sum_and_extremes_and_ignores_what_is_no_measurement),
	};
	return cmocka_run_group_tests_name("metrics/hist", tests, NULL, NULL);
}
