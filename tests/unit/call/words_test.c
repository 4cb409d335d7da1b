#include "tests/unit/test.h"

#include "agent/call/words.h"

#include <stdio.h>

static struct words *words;

static int set_up(void **state)
{
	(void)state;
	words = words_new();
	return words ? 0 : -1;
}

/* What is still held is freed, too: the address sanitizer looks. */
static int tear_down(void **state)
{
	(void)state;
	words_free(words);
	return 0;
}

static void test_one_of_each(void **state)
{
	char a[] = "model", b[] = "model";
	(void)state;
	const char *one = words_hold(words, a), *two = words_hold(words, b);
	assert_ptr_equal(one, two);
	assert_string_equal(one, "model");
	assert_ptr_not_equal(one, a);
	words_drop(words, one);
	assert_string_equal(two, "model");
	assert_ptr_equal(words_hold(words, "model"), two);
	words_drop(words, two);
	words_drop(words, two);
	assert_string_equal(words_hold(words, "model"), "model");
	assert_string_equal(words_hold(words, ""), "");
	words_drop(words, words_hold(words, ""));
}

static void test_set(void **state)
{
	const char *at = "";
	(void)state;
	words_set(words, &at, "a");
	const char *a = at;
	words_set(words, &at, a); /* of itself */
	assert_ptr_equal(at, a);
	assert_string_equal(at, "a");
	words_set(words, &at, "b");
	assert_string_equal(at, "b");
	words_set(words, &at, "");
	assert_string_equal(at, "");
}

static void test_many(void **state)
{
	static const char *held[5000];
	char text[16];
	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned n = 0; n < 5000; n++) {
			snprintf(text, sizeof(text), "word %u", n);
			held[n] = words_hold(words, text);
		}
		for (unsigned n = 0; n < 5000; n++) {
			snprintf(text, sizeof(text), "word %u", n);
			assert_string_equal(held[n], text);
			assert_ptr_equal(words_hold(words, text), held[n]);
			words_drop(words, held[n]);
			words_drop(words, held[n]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_of_each, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_set, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("call/words", tests, NULL, NULL);
}
