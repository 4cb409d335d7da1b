#include "tests/unit/test.h"

#include "agent/call/configured.h"
#include "agent/call/endpoint.h"

static char told[2048];
static unsigned bad;

static void on_bad(void *user, const char *entry, const char *why)
{
	assert_ptr_equal(user, &bad);
	assert_true(*why);
	size_t n = strlen(told);
	snprintf(told + n, sizeof(told) - n, "%s|", entry);
	bad++;
}

static struct configured *parse(const char *text)
{
	told[0] = '\0';
	bad = 0;
	return configured_new(text, on_bad, &bad);
}

static void assert_type(const struct configured *c, const char *target, const char *want)
{
	struct endpoint e;
	char model[LIMIT_MODEL_BYTES];
	bool is = endpoint_find(HTTP_POST, span_str(target), c, &e, model);
	assert_string_equal(is ? call_endpoint_name(e.type) : "", want);
}

static void test_entries(void **state)
{
	(void)state;
	struct configured *c =
		parse("/my/chat=chat_completion, /v3/*/gen = completion ,^/x=embedding,"
		      "/a=rerank,/b=response,/c=message,/d=transcription,"
		      "/generate=none,/q=p=completion,/messages=none,/a=message,");
	assert_int_equal(bad, 0);
	assert_type(c, "/my/chat", "chat_completion");
	assert_type(c, "/p/my/chat/?q=1", "chat_completion");
	assert_type(c, "/v3/m/gen", "completion");
	assert_type(c, "/v3/m/n/gen", "");
	assert_type(c, "/x", "embedding");
	assert_type(c, "/y/x", "");
	assert_type(c, "/a", "rerank"); /* the first holds */
	assert_type(c, "/b", "response");
	assert_type(c, "/c", "message");
	assert_type(c, "/d", "transcription");
	assert_type(c, "/q=p", "completion");
	/* Before the table, both ways. */
	assert_type(c, "/generate", "");
	assert_type(c, "/v1/messages", "");
	assert_type(c, "/v1/completions", "completion");
	configured_free(c);
	c = parse("/v1/messages/count_tokens=message");
	assert_type(c, "/v1/messages/count_tokens", "message");
	configured_free(c);
}

static void test_get_is_none(void **state)
{
	(void)state;
	struct endpoint e;
	char model[LIMIT_MODEL_BYTES];
	struct configured *c = parse("/my/chat=chat_completion");
	assert_false(endpoint_find(HTTP_GET, span_str("/my/chat"), c, &e, model));
	configured_free(c);
}

static void test_bad_entries(void **state)
{
	(void)state;
	static const char *const entries[] = {
		"/x",
		"=completion",
		"/x=",
		"/x=chat",
		"x=completion",
		"/=completion",
		"/x/=completion",
		"/x*=none",
		"/{}/x=none",
		"/x y=none",
		"/x=Completion",
		"*=none",
		"/*=none",
		"\x01=\n",
	};
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		char text[128];
		snprintf(text, sizeof(text), "/one=completion,%s,/two=rerank", entries[i]);
		struct configured *c = parse(text);
		assert_int_equal(bad, 1);
		assert_type(c, "/one", "completion");
		assert_type(c, "/two", "rerank");
		configured_free(c);
		assert_null(parse(entries[i]));
		assert_int_equal(bad, 1);
	}
	assert_null(parse("\x1b[2J=completion"));
	assert_string_equal(told, "_[2J=completion|");
	assert_null(parse(""));
	assert_null(parse(" , ,,"));
	assert_int_equal(bad, 0);
}

static void test_how_many(void **state)
{
	(void)state;
	char text[2048] = "", *at = text;
	for (unsigned n = 0; n < CONFIGURED_MAX + 3; n++)
		at += snprintf(at, (size_t)(text + sizeof(text) - at), "/p%u=completion,", n);
	struct configured *c = parse(text);
	assert_int_equal(bad, 3);
	assert_type(c, "/p0", "completion");
	assert_type(c, "/p63", "completion");
	assert_type(c, "/p64", "");
	configured_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_get_is_none),
		cmocka_unit_test(test_bad_entries),
		cmocka_unit_test(test_how_many),
	};
	return cmocka_run_group_tests_name("call/configured", tests, NULL, NULL);
}
