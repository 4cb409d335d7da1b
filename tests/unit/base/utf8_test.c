#include "tests/unit/test.h"
#include "agent/base/utf8.h"

static void test_tells_valid_from_invalid(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{"", true},
		{"plain ASCII, longer than a word", true},
		{"\xc2\x80", true},	    /* U+0080, the first of two bytes */
		{"\xdf\xbf", true},	    /* U+07FF */
		{"\xe0\xa0\x80", true},	    /* U+0800 */
		{"\xed\x9f\xbf", true},	    /* U+D7FF, before the surrogates */
		{"\xee\x80\x80", true},	    /* U+E000, after them */
		{"\xf0\x90\x80\x80", true}, /* U+10000 */
		{"\xf4\x8f\xbf\xbf", true}, /* U+10FFFF */
		{"eight by\xe2\x82\xac", true},
		{"\x80", false},     /* a continuation alone */
		{"\xc0\x80", false}, /* overlong NUL */
		{"\xc1\xbf", false},
		{"\xe0\x9f\xbf", false},     /* overlong */
		{"\xed\xa0\x80", false},     /* a surrogate */
		{"\xf0\x8f\xbf\xbf", false}, /* overlong */
		{"\xf4\x90\x80\x80", false}, /* U+110000 */
		{"\xf5\x80\x80\x80", false},
		{"\xff", false},
		{"\xc3", false}, /* cut */
		{"\xe2\x82", false},
		{"\xf0\x9f\x98", false},
		{"12345678\xff", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (utf8_valid(span_str(cases[i].text)) != cases[i].valid)
			fail_msg("case %zu", i);
}

static void copies_as(const char *text, size_t room, const char *want)
{
	char to[64];
	memset(to, 'x', sizeof(to));
	size_t n = utf8_copy(span_str(text), to, room);
	assert_string_equal(to, want);
	assert_int_equal(n, strlen(want));
	assert_true(n < room);
	assert_true(utf8_valid(span_of(to, n)));
}

static void test_replaces_and_cuts_at_characters(void **state)
{
	(void)state;
	copies_as("model", 64, "model");
	copies_as("a\xff"
		  "b",
		  64,
		  "a\xef\xbf\xbd"
		  "b");
	copies_as("\xe2\x82", 64, "\xef\xbf\xbd"); /* one cut character, replaced once */
	copies_as("\xe2\x82\xe2\x82\xac", 64, "\xef\xbf\xbd\xe2\x82\xac");
	copies_as("\xed\xa0\x80", 64, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	copies_as("ab\xe2\x82\xac", 6, "ab\xe2\x82\xac");
	copies_as("ab\xe2\x82\xac", 5, "ab");
	copies_as("ab\xff", 5, "ab");
	copies_as("ab", 1, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tells_valid_from_invalid),
		cmocka_unit_test(test_replaces_and_cuts_at_characters),
	};
	return cmocka_run_group_tests_name("base/utf8", tests, NULL, NULL);
}
