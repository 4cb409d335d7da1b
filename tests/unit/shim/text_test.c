#include "tests/unit/test.h"

#include "shim/text.h"

static void test_globs(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *text;
		bool fits;
	} rows[] = {
		{"vllm", "vllm", true},
		{"vllm", "vllm2", false},
		{"vllm*", "vllm.entrypoints", true},
		{"*server", "llama-server", true},
		{"*a*b", "xaybab", true},
		{"*a*b", "xayba", false},
		{"?llm", "vllm", true},
		{"?llm", "llm", false},
		{"LLAMA*", "llama-server", true},
		{"", "", true},
		{"", "x", false},
		{"*", "", true},
		{"**", "anything", true},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(text_glob(rows[i].pattern, strlen(rows[i].pattern), rows[i].text),
				 rows[i].fits);
}

static void test_numbers(void **state)
{
	(void)state;
	uint64_t v;
	const char *end;
	assert_true(text_number("123 ", &v, &end));
	assert_int_equal(v, 123);
	assert_string_equal(end, " ");
	assert_true(text_number("9999999999999999999", &v, &end));
	assert_true(v == 9999999999999999999u);
	assert_false(text_number("10000000000000000000", &v, &end));
	assert_false(text_number("", &v, &end));
	assert_false(text_number("-1", &v, &end));
	char text[24];
	assert_true(text_copy(text, sizeof(text), ""));
	assert_true(text_append_number(text, sizeof(text), UINT64_MAX));
	assert_string_equal(text, "18446744073709551615");
}

static void test_strings_are_cut_and_ended(void **state)
{
	(void)state;
	char text[8];
	assert_false(text_copy(text, sizeof(text), "0123456789"));
	assert_string_equal(text, "0123456");
	assert_true(text_copy(text, sizeof(text), "0123456"));
	assert_false(text_append(text, sizeof(text), "x"));
	assert_string_equal(text_basename("/a/b/c"), "c");
	assert_string_equal(text_basename("c"), "c");
	assert_string_equal(text_basename("a/"), "");
}

static void test_bytes_of_every_length(void **state)
{
	(void)state;
	uint8_t from[300], to[302];
	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 31 + 7);
	for (size_t n = 0; n <= sizeof(from); n++) {
		memset(to, 0xee, sizeof(to));
		text_bytes(to + 1, from, n);
		assert_int_equal(to[0], 0xee);
		assert_memory_equal(to + 1, from, n);
		assert_int_equal(to[n + 1], 0xee);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_globs),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_strings_are_cut_and_ended),
		cmocka_unit_test(test_bytes_of_every_length),
	};
	return cmocka_run_group_tests_name("shim/text", tests, NULL, NULL);
}
