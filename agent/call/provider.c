#include "agent/call/provider.h"

/* Arguments that name a program or a module: `python3 -m vllm.entrypoints.openai.api_server`. Later
 * ones are options and their values, where a model may be called like an engine. */
#define ARGUMENTS_READ 5u

struct evidence {
	const char *start; /* of an argument's basename, ASCII case ignored */
	const char *provider;
};

static const struct evidence by_command[] = {
	{"vllm", "vllm"}, /* also the title VLLM::APIServer */
	{"llama-server", "llama.cpp"},
	{"llama_cpp", "llama-cpp-python"},
	{"sglang", "sglang"},
	{"text-generation-", "tgi"},
	{"text-embeddings-", "tei"},
	{"ollama", "ollama"},
	{"litellm", "litellm"},
	{"lmdeploy", "lmdeploy"},
	{"trtllm-serve", "tensorrt-llm"},
	{"tensorrt_llm", "tensorrt-llm"},
	{"tritonserver", "triton"},
	{"mistralrs", "mistral.rs"},
	{"mistral.rs", "mistral.rs"},
	{"sgl-model-gateway", "sglang"},
	{"sgl-router", "sglang"},
	{"local-ai", "localai"},
	{"koboldcpp", "koboldcpp"},
	{"ik_llama", "llama.cpp"},
	{"llamafile", "llama.cpp"},
	{"llama_stack", "llama-stack"},
	{"llama-stack", "llama-stack"},
};

static struct span basename_of(struct span path)
{
	for (size_t i = path.len; i; i--) {
		if (path.at[i - 1] == '/')
			return span_of(path.at + i, path.len - i);
	}
	return path;
}

static const char *by_name(struct span argument)
{
	struct span base = basename_of(argument);
	for (size_t i = 0; i < sizeof(by_command) / sizeof(by_command[0]); i++) {
		size_t n = strlen(by_command[i].start);
		if (base.len >= n &&
		    strncasecmp((const char *)base.at, by_command[i].start, n) == 0)
			return by_command[i].provider;
	}
	return NULL;
}

const char *provider_by_command(const char *program, struct span arguments)
{
	const char *found = by_name(span_str(program));
	bool llama = false; /* `llama stack run` is llama-stack's command */
	for (size_t i = 0; i < ARGUMENTS_READ && arguments.len && !found; i++) {
		const uint8_t *nul = memchr(arguments.at, 0, arguments.len);
		struct span argument =
			span_take(&arguments, nul ? (size_t)(nul - arguments.at) : arguments.len);
		if (nul)
			span_skip(&arguments, 1);
		if (span_starts(argument, "--"))
			break;
		if (llama && span_is(argument, "stack"))
			return "llama-stack";
		llama = span_is(basename_of(argument), "llama");
		found = by_name(argument);
	}
	return found;
}

/* What an engine's own package or library has in its path, wherever it is installed. */
static const struct {
	const char *part, *provider;
} by_file[] = {
	{"-packages/vllm/", "vllm"},	      {"/vllm/_C.", "vllm"}, /* from a checkout */
	{"-packages/sgl_kernel/", "sglang"},  {"-packages/tensorrt_llm/", "tensorrt-llm"},
	{"-packages/lmdeploy/", "lmdeploy"},  {"-packages/llama_cpp/", "llama-cpp-python"},
	{"-packages/xllamacpp", "llama.cpp"}, {"/libtritonserver.so", "triton"},
	{"/libllama.so", "llama.cpp"}, /* behind llama_cpp's, which has one as well */
};

const char *provider_by_module(struct span path)
{
	for (size_t i = 0; i < sizeof(by_file) / sizeof(by_file[0]); i++) {
		if (memmem(path.at, path.len, by_file[i].part, strlen(by_file[i].part)))
			return by_file[i].provider;
	}
	return NULL;
}

const char *provider_by_fields(const struct http_head *head)
{
	/* "server: uvicorn" is that of half of all engines. */
	if (span_is(head->server, "llama.cpp"))
		return "llama.cpp";
	if (http_field(head->fields, "x-litellm-call-id").len ||
	    http_field(head->fields, "x-litellm-version").len)
		return "litellm";
	if (http_field(head->fields, "x-compute-tokens").len)
		return "tei";
	if (http_field(head->fields, "x-compute-type").len)
		return "tgi";
	return NULL;
}

const char *provider_by_fingerprint(struct span fingerprint)
{
	if (span_is(fingerprint, "fp_ollama"))
		return "ollama";
	if (span_is(fingerprint, "local"))
		return "mistral.rs";
	/* llama.cpp v0.5.0: b<build>-<commit> */
	if (fingerprint.len > 3 && fingerprint.at[0] == 'b' && fingerprint.at[1] >= '0' &&
	    fingerprint.at[1] <= '9' && memchr(fingerprint.at, '-', fingerprint.len))
		return "llama.cpp";
	return NULL;
}

bool provider_ignores_model(const char *provider, const char *asked)
{
	/* llama-server v0.5.0 takes any name, TGI 2026-01 "tgi" for whatever it serves. */
	return strcmp(provider, "llama.cpp") == 0 ||
	       (strcmp(provider, "tgi") == 0 && strcmp(asked, "tgi") == 0);
}
