#include "agent/call/unmeasured.h"

#include "agent/call/endpoint.h"

static bool begins_nocase(struct span s, const char *text)
{
	size_t n = strlen(text);
	return s.len >= n && strncasecmp((const char *)s.at, text, n) == 0;
}

static bool ends_with_one_of(struct span path, const char *const *ends, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (span_ends(path, ends[i]))
			return true;
	}
	return false;
}

bool unmeasured_is_grpc(const struct http_head *request)
{
	static const char *const methods[] = {
		".GRPCInferenceService/ModelInfer", /* KServe v2: Triton, TensorRT-LLM */
		".GRPCInferenceService/ModelStreamInfer",
		".VllmEngine/Generate", /* vLLM 2026-08 --grpc */
		".VllmEngine/Embed",
		".SglangScheduler/Generate", /* SGLang 2026-07 gRPC mode */
		".SglangScheduler/Embed",
		".TextGenerationService/Generate", /* TGI's own */
		".TextGenerationService/GenerateStream",
		"fmaas.GenerationService/Generate", /* TGIS, and vLLM's adapter of it */
		"fmaas.GenerationService/GenerateStream",
		"backend.Backend/Predict", /* LocalAI's backends */
		"backend.Backend/PredictStream",
		"backend.Backend/Embedding",
	};
	return request->method == HTTP_POST &&
	       begins_nocase(request->content_type, "application/grpc") &&
	       ends_with_one_of(request->path, methods, sizeof(methods) / sizeof(methods[0]));
}

bool unmeasured_is_realtime(struct span target)
{
	static const char *const paths[] = {
		"/realtime", /* OpenAI; vLLM, SGLang, LocalAI, LiteLLM: /v1/realtime */
	};
	return ends_with_one_of(endpoint_path(target), paths, sizeof(paths) / sizeof(paths[0]));
}

bool unmeasured_is_websocket(const struct http_head *response)
{
	return response->status == 101 &&
	       span_is_nocase(http_field(response->fields, "upgrade"), "websocket");
}
