#include "tests/unit/test.h"
#include "agent/base/buf.h"

static void test_grows_to_its_maximum_and_refuses_past_it(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 100);
	for (int i = 0; i < 10; i++)
		assert_int_equal(buf_put(&b, span_str("0123456789")), 0);
	assert_int_equal(buf_put(&b, span_str("x")), -ENOSPC);
	assert_int_equal(b.len, 100);
	assert_memory_equal(b.at + 90, "0123456789", 10);
	buf_release(&b);
	assert_int_equal(b.len, 0);
}

static void test_a_refused_put_appends_nothing(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 4);
	assert_int_equal(buf_put(&b, span_str("abc")), 0);
	assert_int_equal(buf_put(&b, span_str("de")), -ENOSPC);
	assert_true(span_is(buf_span(&b), "abc"));
	buf_clear(&b);
	assert_int_equal(buf_put(&b, span_str("defg")), 0);
	buf_release(&b);
}

static void test_a_zeroed_buffer_takes_nothing(void **state)
{
	(void)state;
	struct buf b = {0};
	assert_int_equal(buf_put(&b, span_of(NULL, 0)), 0);
	assert_int_equal(buf_put(&b, span_str("x")), -ENOSPC);
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_to_its_maximum_and_refuses_past_it),
		cmocka_unit_test(test_a_refused_put_appends_nothing),
		cmocka_unit_test(test_a_zeroed_buffer_takes_nothing),
	};
	return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
