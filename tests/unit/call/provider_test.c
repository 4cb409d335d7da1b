#include "tests/unit/test.h"

#include "agent/call/provider.h"

/* Arguments are written with spaces here. */
static const char *by_command(const char *program, const char *arguments)
{
	char text[512];
	size_t len = strlen(arguments) + 1;
	assert_true(len <= sizeof(text));
	memcpy(text, arguments, len);
	for (char *p = text; *p; p++)
		*p = *p == ' ' ? '\0' : *p;
	const char *found = provider_by_command(program, span_of(text, len));
	return found ? found : "";
}

static void test_command_lines(void **state)
{
	(void)state;
	static const struct {
		const char *program, *arguments, *provider;
	} commands[] = {
		{"python3.12", "/usr/bin/python3 /opt/venv/bin/vllm serve qwen", "vllm"},
		{"python3", "python3 -m vllm.entrypoints.openai.api_server --port 1", "vllm"},
		{"python3", "VLLM::APIServer_0", "vllm"},
		{"llama-server", "llama-server -m /models/vllm.gguf", "llama.cpp"},
		{"python3", "python3 -m llama_cpp.server --model x", "llama-cpp-python"},
		{"python3", "python3 -m sglang.launch_server --model-path x", "sglang"},
		{"text-generation-router", "text-generation-router --port 80", "tgi"},
		{"text-embeddings-router", "text-embeddings-router --port 80", "tei"},
		{"llamafile", "llamafile --server", "llama.cpp"},
		{"sgl-model-gateway", "sgl-model-gateway --worker-urls x", "sglang"},
		{"ollama", "ollama serve", "ollama"},
		{"python3", "python3 /usr/local/bin/litellm --config c", "litellm"},
		{"python3", "python3 /usr/local/bin/lmdeploy serve api_server x", "lmdeploy"},
		{"python3", "python3 /usr/local/bin/trtllm-serve x", "tensorrt-llm"},
		{"python3", "python3 -m tensorrt_llm.commands.serve", "tensorrt-llm"},
		{"tritonserver", "tritonserver --model-repository=/m", "triton"},
		{"python3", "python3 koboldcpp.py --model m.gguf", "koboldcpp"},
		{"mistralrs-server", "mistralrs-server plain", "mistral.rs"},
		{"python3", "/venv/bin/python /venv/bin/llama stack run starter", "llama-stack"},
		{"python3", "python3 -m llama_stack.core.server.server cfg", "llama-stack"},
		{"python3", "python3 /venv/bin/llama-stack run x", "llama-stack"},
		{"python3", "/venv/bin/python /venv/bin/llama model list", ""},
		{"python3", "python3 app.py --backend vllm", ""},
		{"uvicorn", "uvicorn app:app", ""},
		{"python3", "", ""},
		{"", "", ""},
	};
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		assert_string_equal(by_command(commands[i].program, commands[i].arguments),
				    commands[i].provider);
	assert_null(provider_by_command("", span_of(NULL, 0)));
}

static void test_modules(void **state)
{
	(void)state;
	static const struct {
		const char *path, *provider;
	} modules[] = {
		{"/opt/venv/lib/python3.12/site-packages/vllm/_C.abi3.so", "vllm"},
		{"/usr/lib/python3/dist-packages/vllm/vllm_flash_attn/_vllm_fa2_C.abi3.so", "vllm"},
		{"/workspace/vllm/vllm/_C.abi3.so", "vllm"},
		{"/v/site-packages/sgl_kernel/sm90/common_ops.abi3.so", "sglang"},
		{"/v/site-packages/tensorrt_llm/libs/libtensorrt_llm.so", "tensorrt-llm"},
		{"/v/site-packages/lmdeploy/lib/_turbomind.so", "lmdeploy"},
		{"/v/site-packages/llama_cpp/lib/libllama.so", "llama-cpp-python"},
		{"/v/site-packages/xllamacpp/xllamacpp.abi3.so", "llama.cpp"},
		{"/opt/tritonserver/lib/libtritonserver.so", "triton"},
		{"/usr/local/lib/libllama.so.0 (deleted)", "llama.cpp"},
		/* Where it lies says nothing. */
		{"/home/vllm/venv/lib/python3.12/site-packages/numpy/core.so", ""},
		{"/opt/vllm/lib/libcudart.so.12", ""},
		{"/usr/lib/libc.so.6", ""},
		{"", ""},
	};
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		const char *found = provider_by_module(span_str(modules[i].path));
		assert_string_equal(found ? found : "", modules[i].provider);
	}
}

static void test_response_fields(void **state)
{
	(void)state;
	struct http_head head = {0};
	assert_null(provider_by_fields(&head));
	head.server = span_str("uvicorn");
	assert_null(provider_by_fields(&head));
	head.server = span_str("llama.cpp");
	assert_string_equal(provider_by_fields(&head), "llama.cpp");
	head.server = span_of(NULL, 0);
	head.fields = span_str("date: x\r\nX-Compute-Type: 1-nvidia\r\n\r\n");
	assert_string_equal(provider_by_fields(&head), "tgi");
	head.fields = span_str("x-compute-type: cpu\r\nx-compute-tokens: 9\r\n\r\n");
	assert_string_equal(provider_by_fields(&head), "tei");
	head.fields = span_str("x-litellm-call-id: 7\r\n\r\n");
	assert_string_equal(provider_by_fields(&head), "litellm");
}

static void test_fingerprints(void **state)
{
	(void)state;
	static const struct {
		const char *text, *provider;
	} prints[] = {
		{"fp_ollama", "ollama"},
		{"local", "mistral.rs"},
		{"b11434-abcdef", "llama.cpp"},
		{"b1-a", "llama.cpp"},
		{"fp_44709d6fcb", NULL},
		{"3.0.1-native", NULL},
		{"b-1", NULL},
		{"bx1-", NULL},
		{"b1", NULL},
		{"", NULL},
	};
	for (size_t i = 0; i < sizeof(prints) / sizeof(prints[0]); i++) {
		const char *found = provider_by_fingerprint(span_str(prints[i].text));
		if (prints[i].provider)
			assert_string_equal(found, prints[i].provider);
		else
			assert_null(found);
	}
	assert_null(provider_by_fingerprint(span_of(NULL, 0)));
}

static void test_who_ignores_the_model(void **state)
{
	(void)state;
	assert_true(provider_ignores_model("llama.cpp", "gpt-4o"));
	assert_true(provider_ignores_model("tgi", "tgi"));
	assert_false(provider_ignores_model("tgi", "mistral"));
	assert_false(provider_ignores_model("llama-cpp-python", "x"));
	assert_false(provider_ignores_model("vllm", "tgi"));
	assert_false(provider_ignores_model("unknown", "x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_lines),	      cmocka_unit_test(test_modules),
		cmocka_unit_test(test_response_fields),	      cmocka_unit_test(test_fingerprints),
		cmocka_unit_test(test_who_ignores_the_model),
	};
	return cmocka_run_group_tests_name("call/provider", tests, NULL, NULL);
}
