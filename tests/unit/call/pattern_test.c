#include "tests/unit/test.h"

#include "agent/call/pattern.h"

static void test_matches(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *path, *model; /* NULL: no match */
	} cases[] = {
		{"/a/b", "/a/b", ""},
		{"/a/b", "/x/a/b", ""},
		{"/a/b", "/xa/b", NULL},
		{"/a/b", "/a/b/c", NULL},
		{"/a/b", "b", NULL},
		{"/a/b", "", NULL},
		{"^/a", "/a", ""},
		{"^/a", "/x/a", NULL},
		{"^/", "/", ""},
		{"^/", "/a", NULL},
		{"/v3/*/gen", "/v3/x/gen", ""},
		{"/v3/*/gen", "/p/v3/xyz/gen", ""},
		{"/v3/*/gen", "/v3//gen", NULL},
		{"/v3/*/gen", "/v3/x/y/gen", NULL},
		{"/v3/*/gen", "/v3/gen", NULL},
		{"/v3/*", "/v3/x", ""},
		{"/v3/*", "/v3/", NULL},
		{"/*/*/gen", "/a/b/c/gen", ""},
		{"/m/{}/g", "/m/a/g", "a"},
		{"/m/{}/g", "/m/a/b/g", "a/b"},
		{"/m/{}/g", "/m/m/a/g", "a"},
		{"/m/{}/g", "/m//g", NULL},
		{"/m/{}/g", "/m/g", NULL},
		{"/m/{}:g", "/x/m/a:b:g", "a:b"},
		{"/m/{}/v/*/g", "/m/a/v/1/g", "a"},
		{"/m/{}/v/*/g", "/m/a/v/g", NULL},
		{"/m/{}", "/m/a", "a"},
		{"/m/{}", "/m/", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span model;
		bool is = pattern_matches(span_str(cases[i].pattern), span_str(cases[i].path),
					  &model);
		assert_int_equal(is, cases[i].model != NULL);
		if (is)
			assert_true(span_is(model, cases[i].model));
	}
}

static void test_plain(void **state)
{
	(void)state;
	static const char *const good[] = {"/a", "^/a", "/a/*", "/a/*/b-c.d", "/*/a", "/a:b"};
	static const char *const bad[] = {"",	   "^",	   "^/",   "/",	   "a",
					  "/a/",   "//a",  "/*",   "/*/*", "/a*",
					  "/{}/a", "/a b", "/a?b", "/a#b", "/a^\n"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(pattern_is_plain(span_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(pattern_is_plain(span_str(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_plain),
	};
	return cmocka_run_group_tests_name("call/pattern", tests, NULL, NULL);
}
