#include "tests/unit/test.h"

#include "agent/base/utf8.h"
#include "agent/call/call.h"
#include "agent/call/server.h"

static struct server *plain(void)
{
	struct server *s = server_new("x", span_of(NULL, 0), NULL, NULL);
	assert_non_null(s);
	return s;
}

static void test_first_evidence_decides(void **state)
{
	(void)state;
	struct http_head tgi = {.fields = span_str("x-compute-type: a\r\n")};
	struct http_head llama = {.server = span_str("llama.cpp")};
	struct server *s = plain();
	assert_string_equal(server_provider(s), "unknown");
	server_saw_response(s, &(struct http_head){.server = span_str("uvicorn")});
	assert_string_equal(server_provider(s), "unknown");
	server_saw_response(s, &tgi);
	server_saw_response(s, &llama);
	server_saw_fingerprint(s, span_str("fp_ollama"));
	assert_string_equal(server_provider(s), "tgi");
	server_free(s);

	s = server_new("vllm", span_of(NULL, 0), "", NULL);
	server_saw_response(s, &llama);
	assert_string_equal(server_provider(s), "vllm");
	server_free(s);

	s = server_new("vllm", span_of(NULL, 0), "acme\n\xff", NULL);
	assert_string_equal(server_provider(s), "acme_\xef\xbf\xbd");
	server_free(s);
	server_free(NULL);
}

static void provider_label(const char *program, const char *configured, const char *model,
			   const char *want)
{
	char label[LIMIT_PROVIDER_BYTES];
	struct server *s = server_new(program, span_of(NULL, 0), configured, NULL);
	assert_non_null(s);
	server_provider_label(s, model, label, sizeof(label));
	assert_string_equal(label, want);
	server_free(s);
}

static void test_routed_models(void **state)
{
	(void)state;
	provider_label("llama-stack", NULL, "ollama/a/b", "ollama");
	provider_label("llama-stack", NULL, "b", "llama-stack");
	provider_label("llama-stack", "llama-stack", "ollama/b", "llama-stack");
	provider_label("vllm", NULL, "meta-llama/b", "vllm");
	/* Cut where a character ends. */
	provider_label("llama-stack", NULL,
		       "0123456789012345678901234567890123456789012345\xc3\xa9/x",
		       "0123456789012345678901234567890123456789012345");
}

static void test_models_that_were_served(void **state)
{
	(void)state;
	struct server *s = plain();
	assert_null(server_only_model(s));
	server_proved_model(s, "a");
	server_proved_model(s, "a");
	assert_string_equal(server_only_model(s), "a");
	server_proved_model(s, "b");
	server_proved_model(s, "a");
	assert_null(server_only_model(s));
	/* A client may call a model so; for us it is no name. */
	server_proved_model(s, "unknown");
	assert_null(server_only_model(s));
	server_free(s);
}

static void test_unproven_models_are_limited(void **state)
{
	(void)state;
	struct server *s = plain();
	char name[32];
	server_proved_model(s, "proven");
	for (unsigned n = 0; n < LIMIT_UNPROVEN_MODELS; n++) {
		snprintf(name, sizeof(name), "m%u", n);
		assert_string_equal(server_error_model(s, name), name);
		assert_string_equal(server_error_model(s, "unknown"), "unknown");
		assert_string_equal(server_error_model(s, "proven"), "proven");
	}
	assert_string_equal(server_error_model(s, "one too many"), "unknown");
	assert_string_equal(server_error_model(s, "m0"), "m0"); /* once seen, always the same */
	assert_string_equal(server_error_model(s, "proven"), "proven");
	server_proved_model(s, "one too many");
	assert_string_equal(server_error_model(s, "one too many"), "one too many");
	/* Any number of served ones. */
	for (unsigned n = 0; n < 5000; n++) {
		snprintf(name, sizeof(name), "served%u", n);
		server_proved_model(s, name);
		assert_string_equal(server_error_model(s, name), name);
	}
	server_free(s);
}

static void model_label(const char *name, const char *want)
{
	char label[LIMIT_MODEL_BYTES];
	server_model_label(span_str(name), false, label, sizeof(label));
	assert_string_equal(label, want);
}

static void test_model_labels(void **state)
{
	(void)state;
	model_label("", "");
	model_label("gpt-4o", "gpt-4o");
	model_label("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B");
	model_label("/models/a/tiny.gguf", "tiny.gguf");
	model_label("/models/a/", "a");
	model_label("./a", "a");
	model_label("../x/a", "a");
	model_label("~/x/a", "a");
	model_label("x/y/tiny.gguf", "tiny.gguf");
	model_label("/root/.ollama/blobs/sha256-0a", "sha256-0a");
	model_label("/", "");
	model_label("///", "");
	model_label("a\nb\x7f\x01", "a_b__");
	model_label("\xc2\x80\xc2\x9f\xc2\xa0\xc3\xa9", "____\xc2\xa0\xc3\xa9");
	model_label("\xff", "\xef\xbf\xbd");
}

static void test_labels_are_cut(void **state)
{
	(void)state;
	char name[600], label[LIMIT_MODEL_BYTES];
	for (size_t lead = 0; lead < 4; lead++) {
		memset(name, 'x', lead);
		for (size_t i = lead; i + 4 <= sizeof(name); i += 4)
			memcpy(name + i, "\xf0\x9f\x98\x80", 4);
		server_model_label(span_of(name, 500), false, label, sizeof(label));
		assert_true(utf8_valid(span_str(label)));
		assert_true(strlen(label) > LIMIT_MODEL_BYTES - 5);
	}
	/* Of a path whose end is missing nobody knows the last part; of a name, the start is enough. */
	server_model_label(span_str("/models/a"), true, label, sizeof(label));
	assert_string_equal(label, "");
	server_model_label(span_str("org/name"), true, label, sizeof(label));
	assert_string_equal(label, "org/name");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_evidence_decides),
		cmocka_unit_test(test_routed_models),
		cmocka_unit_test(test_models_that_were_served),
		cmocka_unit_test(test_unproven_models_are_limited),
		cmocka_unit_test(test_model_labels),
		cmocka_unit_test(test_labels_are_cut),
	};
	return cmocka_run_group_tests_name("call/server", tests, NULL, NULL);
}
