#include "tests/unit/test.h"

#include "agent/call/endpoint.h"

#define NONE CALL_ENDPOINTS

static enum call_endpoint of(enum http_method method, const char *target)
{
	enum call_endpoint e = NONE;
	bool is = endpoint_of(method, span_str(target), &e);
	assert_int_equal(is, e != NONE);
	return e;
}

static void test_inference_paths(void **state)
{
	(void)state;
	static const struct {
		const char *target;
		enum call_endpoint endpoint;
	} paths[] = {
		{"/v1/chat/completions", CALL_CHAT_COMPLETION},
		{"/chat/completions", CALL_CHAT_COMPLETION},
		{"/v1/openai/v1/chat/completions", CALL_CHAT_COMPLETION},
		{"/openai/deployments/gpt/chat/completions?api-version=2", CALL_CHAT_COMPLETION},
		{"http://host:8000/v1/chat/completions", CALL_CHAT_COMPLETION},
		{"/v1/chat/completions/", CALL_CHAT_COMPLETION},
		{"/v1/chat/completions#x", CALL_CHAT_COMPLETION},
		{"/v1/chat%2Fcompletion%73", CALL_CHAT_COMPLETION},
		{"/v1/completions", CALL_COMPLETION},
		{"/completions", CALL_COMPLETION},
		{"/completion", CALL_COMPLETION},
		{"/prefix/completion?stream=1", CALL_COMPLETION},
		{"/v1/engines/copilot-codex/completions", CALL_COMPLETION},
		{"/v1/completions?next=/v1/models/render/", CALL_COMPLETION},
	};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		assert_int_equal(of(HTTP_POST, paths[i].target), paths[i].endpoint);
		assert_int_equal(of(HTTP_PUT, paths[i].target), paths[i].endpoint);
	}
}

static void test_other_methods(void **state)
{
	(void)state;
	static const enum http_method others[] = {
		HTTP_METHOD_OTHER, HTTP_GET,	HTTP_HEAD_METHOD, HTTP_CONNECT,
		HTTP_OPTIONS,	   HTTP_DELETE, HTTP_PATCH,
	};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(of(others[i], "/v1/chat/completions"), NONE);
}

static void test_paths_that_infer_nothing(void **state)
{
	(void)state;
	static const char *const paths[] = {
		"",
		"/",
		"*",
		"?/v1/completions",
		"/health",
		"/metrics",
		"/v1/models",
		"/tokenize",
		"/detokenize",
		"/apply-template",
		"/v1/messages/count_tokens",
		"/v1/chat/completions/render",
		"/v1/completions/render",
		"/v1/completions/derender",
		"/v1/chat/completions/input_tokens",
		"/v1/chat/completions/control",
		"/v1/chat/completions/chatcmpl-1/messages",
		"/v1/streams/lookup",
		"/api/pull",
		"/v1/xcompletions",
		"/v1/chat/completions2",
		"/v1/models?x=/v1/completions",
		"%",
		"%2",
		"/v1/completion%",
		"/v1/completion%7",
		"/v1/completion%zz",
	};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_int_equal(of(HTTP_POST, paths[i]), NONE);
}

/* The end of a long target counts, however long it is. */
static void test_long_paths(void **state)
{
	(void)state;
	static char target[70000];
	static const char end[] = "/v1/chat/completions";
	for (size_t n = sizeof(end); n < 600; n++) {
		memset(target, n % 2 ? '/' : '%', n);
		memcpy(target + n - (sizeof(end) - 1), end, sizeof(end));
		assert_int_equal(of(HTTP_POST, target), CALL_CHAT_COMPLETION);
	}
	memset(target, 'a', sizeof(target) - 1);
	assert_int_equal(of(HTTP_POST, target), NONE);
}

static void test_path_without_query(void **state)
{
	(void)state;
	assert_true(span_is(endpoint_path(span_str("/a?b?c")), "/a"));
	assert_true(span_is(endpoint_path(span_str("/a#b")), "/a"));
	assert_true(span_is(endpoint_path(span_str("/a")), "/a"));
	assert_true(span_is(endpoint_path(span_str("?a")), ""));
	assert_true(span_is(endpoint_path(span_of(NULL, 0)), ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inference_paths),
		cmocka_unit_test(test_other_methods),
		cmocka_unit_test(test_paths_that_infer_nothing),
		cmocka_unit_test(test_long_paths),
		cmocka_unit_test(test_path_without_query),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
