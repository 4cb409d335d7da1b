#include "tests/unit/test.h"
#include "agent/export/backoff.h"

static void test_grows_to_its_maximum_and_starts_anew(void **state)
{
	(void)state;
	static const uint32_t bases[] = {1000, 2000, 4000, 8000, 10000, 10000};
	struct backoff b = {0};
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		struct backoff low = b, high = b;
		uint32_t span = bases[i] * 2 / 5;
		assert_int_equal(backoff_next(&low, 0), bases[i] * 4 / 5);
		assert_int_equal(backoff_next(&high, span), bases[i] * 6 / 5);
		for (uint32_t random = 1; random; random *= 3) {
			struct backoff any = b;
			uint32_t ms = backoff_next(&any, random);
			assert_in_range(ms, bases[i] * 4 / 5, bases[i] * 6 / 5);
			if (random > UINT32_MAX / 3)
				break;
		}
		b = low;
	}
	backoff_reset(&b);
	assert_int_equal(backoff_next(&b, 200), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_to_its_maximum_and_starts_anew),
	};
	return cmocka_run_group_tests_name("export/backoff", tests, NULL, NULL);
}
