#include "tests/unit/test.h"

#include "agent/body/json.h"

static void is(const char *text, uint64_t want)
{
	uint64_t value = 77;
	if (!json_whole(span_str(text), &value) || value != want)
		fail_msg("%s is %llu", text, (unsigned long long)value);
}

static void is_none(const char *text)
{
	uint64_t value = 77;
	if (json_whole(span_str(text), &value) || value != 77)
		fail_msg("%s is %llu", text, (unsigned long long)value);
}

static void whole_numbers(void **state)
{
	(void)state;
	is("0", 0);
	is("7", 7);
	is("128", 128);
	is("1002003", 1002003);
	is("9007199254740992", 9007199254740992);
	is_none("9007199254740993");
	is_none("9007199254741000");
	is_none("18446744073709551616");
	is_none("99999999999999999999999999999999999999999999");
}

static void with_decimals(void **state)
{
	(void)state;
	is("12.0", 12);
	is("12.000000000000000000000000000000000000000000", 12);
	is("0.0", 0);
	is("100.10e1", 1001);
	is("9007199254740992.0", 9007199254740992);
	is("9007199254740992000e-3", 9007199254740992);
	is_none("9007199254740993.0");
	is_none("9007199254741000.0");
	is_none("12.5");
	is_none("0.1");
	is_none("12.0000000000000000000000000000000000000001");
}

static void with_exponents(void **state)
{
	(void)state;
	is("1e3", 1000);
	is("1E+3", 1000);
	is("12000e-3", 12);
	is("1.5e1", 15);
	is("0.00012e5", 12);
	is("0e999999999999999999999999", 0);
	is("0.0e-999999999999999999999999", 0);
	is("9007199254740992e0", 9007199254740992);
	is("1e15", 1000000000000000);
	is_none("1e16");
	is_none("1e-1");
	is_none("1e999999999999999999999999");
	is_none("1e-999999999999999999999999");
	is("1000000000000000000000000000000000000000e-39", 1);
}

static void what_is_none(void **state)
{
	(void)state;
	static const char *const none[] = {"",	 "-",	  "-1",	  "-0",	   "+1",    ".5", "1.",
					   "1e", "1e+",	  "1e-",  "1.e1",  "x",	    "1x", "1 ",
					   " 1", "1.5.0", "0x10", "1e1e1", "1e1.0", "NaN"};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		is_none(none[i]);
	uint64_t value;
	assert_false(json_whole((struct span){0}, &value));
}

/* Against exact arithmetic on what the text was made from. */
static void random_numbers(void **state)
{
	(void)state;
	uint64_t seed = 1;
	char text[128];
	for (unsigned i = 0; i < 200000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		uint64_t n = seed >> (11 + seed % 53), max = 1ull << 53;
		int decimals = (int)(seed >> 20 & 3), exponent = (int)(seed >> 30 & 3);
		snprintf(text, sizeof(text), "%llu%s%.*se%d", (unsigned long long)n,
			 decimals ? "." : "", decimals, "000", exponent);
		for (int e = exponent; e; e--)
			n = n > max ? n : n * 10;
		if (n <= max)
			is(text, n);
		else
			is_none(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_numbers),  cmocka_unit_test(with_decimals),
		cmocka_unit_test(with_exponents), cmocka_unit_test(what_is_none),
		cmocka_unit_test(random_numbers),
	};
	return cmocka_run_group_tests_name("body/json_number", tests, NULL, NULL);
}
