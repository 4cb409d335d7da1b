#include "tests/unit/test.h"
#include "agent/export/pairs.h"

/* Writes the pairs of a list as "key|value;" and a bad element as "!;". */
static void trace(const char *list, char *to, size_t room)
{
	struct span rest = span_str(list), key, value;
	size_t n = 0;
	int got;
	to[0] = '\0';
	while ((got = pairs_next(&rest, &key, &value)) != 0) {
		if (got == 1)
			n += (size_t)snprintf(to + n, room - n, "%.*s|%.*s;", (int)key.len, key.at,
					      (int)value.len, value.at);
		else
			n += (size_t)snprintf(to + n, room - n, "!;");
	}
}

static void test_lists(void **state)
{
	(void)state;
	static const struct {
		const char *list, *want;
	} cases[] = {
		{"", ""},
		{"a=b", "a|b;"},
		{"a=b,c=d", "a|b;c|d;"},
		{" a = b ,\tc=d ", "a|b;c|d;"},
		{"a=b,", "a|b;"},
		{",,a=b", "a|b;"},
		{" , ", ""},
		{"a=", "a|;"},
		{"a=b=c", "a|b=c;"},
		{"a", "!;"},
		{"=b", "!;"},
		{" =b,c=d", "!;c|d;"},
		{"a=b;p=q", "a|b;p=q;"}, /* no properties: all of it is the value */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char got[128];
		trace(cases[i].list, got, sizeof(got));
		assert_string_equal(got, cases[i].want);
	}
}

static void decodes_as(const char *raw, const char *want)
{
	char *text = NULL;
	int err = pairs_decode(span_str(raw), &text);
	assert_int_equal(err, want ? 0 : -EINVAL);
	if (want)
		assert_string_equal(text, want);
	free(text);
}

static void test_percent_encoding(void **state)
{
	(void)state;
	decodes_as("", "");
	decodes_as("plain", "plain");
	decodes_as("a%20b", "a b");
	decodes_as("%2C%3d%25", ",=%");
	decodes_as("a+b", "a+b"); /* no form encoding */
	decodes_as("%e2%82%ac", "\xe2\x82\xac");
	decodes_as("%", NULL);
	decodes_as("%2", NULL);
	decodes_as("%2g", NULL);
	decodes_as("%g2", NULL);
	decodes_as("a%00b", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_percent_encoding),
	};
	return cmocka_run_group_tests_name("export/pairs", tests, NULL, NULL);
}
