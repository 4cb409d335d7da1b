#include "tests/unit/test.h"

#include "agent/call/endpoint.h"

#define NONE CALL_ENDPOINTS

static enum call_endpoint of(enum http_method method, const char *target)
{
	enum call_endpoint e = NONE;
	struct endpoint found;
	char model[LIMIT_MODEL_BYTES];
	if (endpoint_find(method, span_str(target), NULL, &found, model))
		e = found.type;
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

/* The paths of wire-formats.md, server by server. */
static const struct {
	const char *target;
	enum call_endpoint endpoint;
	enum endpoint_rule rule;
	enum endpoint_stream stream;
	const char *model;
} dialects[] = {
#define PATH(target, type)                                                                         \
	{                                                                                          \
		target, CALL_##type, ENDPOINT_BY_PATH, ENDPOINT_STREAM_ASKED, ""                   \
	}
#define NAMED(target, type, model)                                                                 \
	{                                                                                          \
		target, CALL_##type, ENDPOINT_BY_PATH, ENDPOINT_STREAM_ASKED, model                \
	}
	PATH("/v1/responses", RESPONSE),
	PATH("/openai/v1/responses", RESPONSE),
	PATH("/v1/responses/compact", RESPONSE),
	PATH("/v1alpha/interactions", RESPONSE),
	PATH("/v1beta1/projects/p/locations/l/interactions", RESPONSE),
	PATH("/v1/agents/completions", CHAT_COMPLETION),
	PATH("/v1/inference/batch-chat-completion", CHAT_COMPLETION),
	PATH("/v1/inference/batch-completion", COMPLETION),
	PATH("/v1/complete", COMPLETION),
	PATH("/ml/v1/text/chat?version=1", CHAT_COMPLETION),
	PATH("/ml/v1/deployments/d/text/generation", COMPLETION),
	PATH("/ml/v1-beta/generation/text", COMPLETION),
	PATH("/v1/messages", MESSAGE),
	PATH("/anthropic/v1/messages?beta=true", MESSAGE),
	PATH("/v1/embeddings", EMBEDDING),
	PATH("/embeddings", EMBEDDING),
	PATH("/embedding", EMBEDDING),
	PATH("/v1/encode", EMBEDDING),
	PATH("/pooling", EMBEDDING),
	PATH("/embed", EMBEDDING),
	PATH("/v2/embed", EMBEDDING),
	PATH("/embed_all", EMBEDDING),
	PATH("/embed_sparse", EMBEDDING),
	PATH("/api/embed", EMBEDDING),
	PATH("/api/embeddings", EMBEDDING),
	PATH("/rerank", RERANK),
	PATH("/v1/rerank", RERANK),
	PATH("/v2/rerank", RERANK),
	PATH("/v1/reranking", RERANK),
	PATH("/v1/ranking", RERANK),
	PATH("/v1/score", RERANK),
	PATH("/classify", RERANK),
	PATH("/generative_scoring", RERANK),
	PATH("/similarity", RERANK),
	PATH("/v1/audio/transcriptions", TRANSCRIPTION),
	PATH("/v1/audio/translations", TRANSCRIPTION),
	PATH("/infill", COMPLETION),
	PATH("/generate", COMPLETION),
	PATH("/inference/v1/generate", COMPLETION),
	PATH("/v1/chat/completions/batch", CHAT_COMPLETION),
	PATH("/cohere/v2/chat", CHAT_COMPLETION),
	{"/generate_stream", CALL_COMPLETION, ENDPOINT_BY_PATH, ENDPOINT_STREAM_ALWAYS, ""},
	{"/api/extra/generate/stream", CALL_COMPLETION, ENDPOINT_BY_PATH, ENDPOINT_STREAM_ALWAYS,
	 ""},
	{"/api/chat", CALL_CHAT_COMPLETION, ENDPOINT_WITH_MESSAGES, ENDPOINT_STREAM_DEFAULT, ""},
	{"/api/generate", CALL_COMPLETION, ENDPOINT_WITH_PROMPT, ENDPOINT_STREAM_DEFAULT, ""},
	{"/messages/", CALL_MESSAGE, ENDPOINT_WITH_MESSAGES, ENDPOINT_STREAM_ASKED, ""},
	NAMED("/v2/models/llama/generate", COMPLETION, "llama"),
	NAMED("/v2/models/llama/versions/3/generate", COMPLETION, "llama"),
	{"/v2/models/llama/generate_stream", CALL_COMPLETION, ENDPOINT_BY_PATH,
	 ENDPOINT_STREAM_ALWAYS, "llama"},
	{"/v2/models/llama/versions/3/generate_stream", CALL_COMPLETION, ENDPOINT_BY_PATH,
	 ENDPOINT_STREAM_ALWAYS, "llama"},
	NAMED("/openai/deployments/gpt/chat/completions?api-version=2", CHAT_COMPLETION, "gpt"),
	NAMED("/openai/deployments/gpt/extensions/chat/completions", CHAT_COMPLETION, "gpt"),
	NAMED("/openai/deployments/gpt/completions", COMPLETION, "gpt"),
	NAMED("/openai/deployments/ada/embeddings", EMBEDDING, "ada"),
	NAMED("/openai/deployments/w/audio/transcriptions", TRANSCRIPTION, "w"),
	NAMED("/engines/org/name/chat/completions", CHAT_COMPLETION, "org/name"),
	NAMED("/v1/engines/copilot-codex/completions", COMPLETION, "copilot-codex"),
	NAMED("/v1beta/models/gemini-2.0-flash:generateContent", COMPLETION, "gemini-2.0-flash"),
	{"/v1beta/models/gemini:streamGenerateContent?alt=sse", CALL_COMPLETION, ENDPOINT_BY_PATH,
	 ENDPOINT_STREAM_ALWAYS, "gemini"},
	NAMED("/v1/projects/p/locations/l/endpoints/7:generateContent", COMPLETION, "7"),
	NAMED("/v1beta/tunedModels/t:generateContent", COMPLETION, "t"),
	{"/v1/projects/p/locations/l/endpoints/7:predict", CALL_COMPLETION, ENDPOINT_BY_BODY,
	 ENDPOINT_STREAM_ASKED, "7"},
	NAMED("/v1/projects/p/publishers/google/models/g:embedContent", EMBEDDING, "g"),
	NAMED("/bedrock/model/anthropic.claude-3%3A0/converse", CHAT_COMPLETION,
	      "anthropic.claude-3:0"),
	{"/model/arn%3Aaws%3Abedrock%3A%3A1%3Ainference-profile%2Fx/converse-stream",
	 CALL_CHAT_COMPLETION, ENDPOINT_BY_PATH, ENDPOINT_STREAM_ALWAYS,
	 "arn:aws:bedrock::1:inference-profile/x"},
	{"/model/titan/invoke", CALL_COMPLETION, ENDPOINT_BY_BODY, ENDPOINT_STREAM_ASKED, "titan"},
	{"/", CALL_EMBEDDING, ENDPOINT_BY_BODY, ENDPOINT_STREAM_ASKED, ""},
	{"http://host:80/", CALL_EMBEDDING, ENDPOINT_BY_BODY, ENDPOINT_STREAM_ASKED, ""},
	{"/invocations", CALL_EMBEDDING, ENDPOINT_BY_BODY, ENDPOINT_STREAM_ASKED, ""},
	{"/vertex", CALL_EMBEDDING, ENDPOINT_BY_BODY, ENDPOINT_STREAM_ASKED, ""},
	{"/vertex_generate", CALL_COMPLETION, ENDPOINT_BY_BODY, ENDPOINT_STREAM_ASKED, ""},
	{"/predict", CALL_RERANK, ENDPOINT_BY_BODY, ENDPOINT_STREAM_ASKED, ""},
};

static void test_dialects(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
		struct endpoint e;
		char model[LIMIT_MODEL_BYTES];
		assert_true(
			endpoint_find(HTTP_POST, span_str(dialects[i].target), NULL, &e, model));
		assert_int_equal(e.type, dialects[i].endpoint);
		assert_int_equal(e.rule, dialects[i].rule);
		assert_int_equal(e.stream, dialects[i].stream);
		assert_string_equal(model, dialects[i].model);
		assert_false(
			endpoint_find(HTTP_GET, span_str(dialects[i].target), NULL, &e, model));
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

		"*",
		"?/v1/completions",
		"/health",
		"/metrics",
		"/v1/models",
		"/tokenize",
		"/detokenize",
		"/apply-template",
		"/v1/messages/count_tokens",
		"/v1/projects/p/publishers/anthropic/models/count-tokens:rawPredict",
		"/v1beta/models/imagen-4.0-generate-001:predict",
		"/v1/projects/p/publishers/google/models/imagegeneration@006:predict",
		"/v1/projects/p/publishers/google/models/lyria-002:predict",
		"/model/stability.sd3-5-large-v1%3A0/invoke",
		"/model/us.stability.stable-outpaint-v1%3A0/invoke",
		"/v1/messages/batches",
		"/v1beta/models/g:batchGenerateContent",
		"/v1/chat/completions/render",
		"/v1/completions/render",
		"/v1/completions/derender",
		"/v1/chat/completions/input_tokens",
		"/v1/chat/completions/control",
		"/v1/chat/completions/chatcmpl-1/messages",
		"/v1/streams/lookup",
		"/v1/threads/thread_1/messages",
		"/v1/responses/resp_1/cancel",
		"/v1/responses/input_tokens",
		"/models/load",
		"/models/unload",
		"/v1/audio/speech",
		"/v1/images/generations",
		"/v1/moderations",
		"/v2/models/x/infer",
		"/v2/models//generate_x",
		"/v1beta/models/g:countTokens",
		"/x/messages",
		"/health_generate",
		"/get_model_info",
		"/api/pull",
		"/api/show",
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
		cmocka_unit_test(test_dialects),
		cmocka_unit_test(test_other_methods),
		cmocka_unit_test(test_paths_that_infer_nothing),
		cmocka_unit_test(test_long_paths),
		cmocka_unit_test(test_path_without_query),
	};
	return cmocka_run_group_tests_name("call/endpoint", tests, NULL, NULL);
}
