/*
 * A path is matched by its end, because servers are mounted under prefixes: /v1, /openai/v1,
 * llama-server's --api-prefix. The first row that fits holds: paths below an inference path that infer
 * nothing, then the special, then the general. The method must be POST or PUT: GET on the same paths
 * lists stored completions (llama-stack), replays them (llama-server, vLLM /v1/responses/ID) or is a
 * health probe that generates (/health_generate of SGLang and TensorRT-LLM).
 *
 * What metrics.md has no word for is no call: speech, images, moderation, the tensors of /v2/.../infer.
 */
#include "agent/call/endpoint.h"

#include "agent/base/hex.h"
#include "agent/call/configured.h"
#include "agent/call/pattern.h"
#include "agent/call/server.h"

/* Longer targets are matched by their last bytes. */
#define PATH_ROOM 512u

struct row {
	const char *pattern;
	enum endpoint_rule rule;
	enum call_endpoint type;
	enum endpoint_stream stream;
};

#define NOT(pattern)                                                                               \
	{                                                                                          \
		pattern, ENDPOINT_NOT, CALL_ENDPOINTS, ENDPOINT_STREAM_ASKED                       \
	}
#define ROW(pattern, type, stream) ROW_IF(BY_PATH, pattern, type, stream)
#define ROW_IF(rule, pattern, type, stream)                                                        \
	{                                                                                          \
		pattern, ENDPOINT_##rule, CALL_##type, ENDPOINT_STREAM_##stream                    \
	}

/* The model is in the body's `model`, which may be a form's field; "{}" is where it is in the path. */
static const struct row rows[] = {
	NOT("/render"),	      /* vLLM 2026-08: /v1/chat/completions/render, the prompt as text */
	NOT("/derender"),     /* the same, back */
	NOT("/input_tokens"), /* llama-server v0.5.0: /v1/chat/completions/input_tokens, counts only */
	NOT("/count_tokens"), /* Anthropic, llama-server, vLLM, SGLang: /v1/messages/count_tokens */
	NOT("/tokenize"),     /* vLLM, llama-server, SGLang */
	NOT("/detokenize"),   /* the same */
	NOT("/control"),      /* llama-server v0.5.0: /v1/chat/completions/control */
	NOT("/cancel"),	      /* vLLM: /v1/responses/ID/cancel */
	NOT("/lookup"),	      /* llama-server v0.5.0: /v1/streams/lookup, replays */
	NOT("/models/count-tokens:rawPredict"), /* Anthropic's on Vertex */
	NOT("/models/image{}:predict"),		/* Vertex, Gemini: imagen, imagegeneration */
	NOT("/models/lyria{}:predict"),		/* music */
	NOT("/model/stability.{}/invoke"),	/* Bedrock: images */
	NOT("/model/us.stability.{}/invoke"),	/* the same */
	NOT("/load"),				/* llama-server's router: /models/load */
	NOT("/unload"),				/* the same */

	/* OpenAI: chat. All servers of wire-formats.md but Triton's classic front and TEI. */
	ROW("/openai/deployments/{}/extensions/chat/completions", CHAT_COMPLETION,
	    ASKED),								/* Azure */
	ROW("/openai/deployments/{}/chat/completions", CHAT_COMPLETION, ASKED), /* the same */
	ROW("/engines/{}/chat/completions", CHAT_COMPLETION, ASKED), /* LiteLLM 2026-03 */
	ROW("/chat/completions", CHAT_COMPLETION, ASKED),
	ROW("/agents/completions", CHAT_COMPLETION, ASKED),	/* Mistral */
	ROW("/chat/completions/batch", CHAT_COMPLETION, ASKED), /* vLLM 2026-08 */
	/* OpenAI: completions. On llama-server /completions without /v1 is the native form. */
	ROW("/openai/deployments/{}/completions", COMPLETION, ASKED), /* Azure */
	ROW("/engines/{}/completions", COMPLETION, ASKED),	      /* OpenAI legacy, LocalAI */
	ROW("/completions", COMPLETION, ASKED),
	/* OpenAI: responses. vLLM, SGLang, llama-server, Ollama, LMDeploy, mistral.rs, LiteLLM */
	ROW("/responses", RESPONSE, ASKED),
	ROW("/responses/compact", RESPONSE, ASKED),    /* llama-stack 0.8, LiteLLM 2026-10 */
	ROW("/v1alpha/interactions", RESPONSE, ASKED), /* Gemini's form of it: llama-stack 0.8 */
	ROW("/v1beta/interactions", RESPONSE, ASKED),  /* LiteLLM 2026-10 */
	ROW("/locations/*/interactions", RESPONSE, ASKED), /* Vertex */
	/* OpenAI: embeddings. The same, TEI and Azure */
	ROW("/openai/deployments/{}/embeddings", EMBEDDING, ASKED),
	ROW("/engines/{}/embeddings", EMBEDDING, ASKED), /* LocalAI 2026-08 */
	/* OpenAI: audio to text; the model is a field of the form */
	ROW("/openai/deployments/{}/audio/transcriptions", TRANSCRIPTION, ASKED),
	ROW("/openai/deployments/{}/audio/translations", TRANSCRIPTION, ASKED),
	ROW("/audio/transcriptions", TRANSCRIPTION, ASKED), /* vLLM, SGLang, llama-server */
	ROW("/audio/translations", TRANSCRIPTION, ASKED),   /* vLLM */

	/* Anthropic: messages. vLLM, SGLang, llama-server, Ollama, LMDeploy, mistral.rs, LiteLLM */
	ROW("/v1/messages", MESSAGE, ASKED),
	ROW_IF(WITH_MESSAGES, "^/messages", MESSAGE, ASKED), /* LocalAI; of others, MCP */

	ROW("/v1/complete", COMPLETION, ASKED), /* before them; LiteLLM passes it through */

	/* Ollama 2026-08; also the fronts of SGLang and LocalAI. Without a prompt a model is loaded. */
	ROW_IF(WITH_MESSAGES, "/api/chat", CHAT_COMPLETION, DEFAULT),
	ROW_IF(WITH_PROMPT, "/api/generate", COMPLETION, DEFAULT),
	ROW("/api/embed", EMBEDDING, ASKED), ROW("/api/embeddings", EMBEDDING, ASKED),

	/* llama-server v0.5.0, native */
	ROW("/completion", COMPLETION, ASKED), ROW("/infill", COMPLETION, ASKED),
	ROW("/embedding", EMBEDDING, ASKED),
	ROW("/embeddings", EMBEDDING, ASKED), /* and OpenAI's */
	ROW("/reranking", RERANK, ASKED),

	/* Triton 2026-08: the model is in the path */
	ROW("/v2/models/{}/versions/*/generate", COMPLETION, ASKED),
	ROW("/v2/models/{}/versions/*/generate_stream", COMPLETION, ALWAYS),
	ROW("/v2/models/{}/generate", COMPLETION, ASKED),
	ROW("/v2/models/{}/generate_stream", COMPLETION, ALWAYS),

	/* SGLang 2026-07, TGI 2026-01, vLLM's demo server and /inference/v1, LMDeploy, Cohere v1 */
	ROW("/generate", COMPLETION, ASKED), ROW("/generate_stream", COMPLETION, ALWAYS), /* TGI */
	ROW("/generate/stream", COMPLETION, ALWAYS), /* KoboldCpp 2026-06, Aphrodite, TabbyAPI */
	ROW("/embed", EMBEDDING, ASKED),	     /* TEI 2026-07, Cohere (vLLM /v2/embed) */
	ROW("/embed_all", EMBEDDING, ASKED),	     /* TEI */
	ROW("/embed_sparse", EMBEDDING, ASKED),	     /* TEI */
	ROW("/encode", EMBEDDING, ASKED),	     /* SGLang, LMDeploy /v1/encode */
	ROW("/pooling", EMBEDDING, ASKED),	     /* vLLM, LMDeploy */
	ROW("/rerank", RERANK, ASKED),		     /* vLLM, SGLang, TEI, llama-server, Cohere */
	ROW("/v1/ranking", RERANK, ASKED),	     /* NVIDIA's NIM 2.4 */
	ROW("/score", RERANK, ASKED),		     /* vLLM, SGLang */
	ROW("/classify", RERANK, ASKED),	     /* vLLM, SGLang */
	ROW("/generative_scoring", RERANK, ASKED),   /* vLLM */
	ROW("/similarity", RERANK, ASKED),	     /* TEI */
	ROW("/get_ppl", RERANK, ASKED),		     /* LMDeploy */

	/* llama-stack to 0.2, native; /inference/completion and /embeddings are above */
	ROW("/inference/chat-completion", CHAT_COMPLETION, ASKED),
	ROW("/inference/batch-chat-completion", CHAT_COMPLETION, ASKED),
	ROW("/inference/batch-completion", COMPLETION, ASKED),

	/* watsonx, of the project's or a deployment's model; /text/embeddings and /text/rerank are above */
	ROW("/ml/*/text/chat", CHAT_COMPLETION, ASKED),
	ROW("/ml/*/text/chat_stream", CHAT_COMPLETION, ALWAYS),
	ROW("/ml/*/text/generation", COMPLETION, ASKED),
	ROW("/ml/*/text/generation_stream", COMPLETION, ALWAYS),
	ROW("/ml/*/deployments/*/text/chat", CHAT_COMPLETION, ASKED),
	ROW("/ml/*/deployments/*/text/chat_stream", CHAT_COMPLETION, ALWAYS),
	ROW("/ml/*/deployments/*/text/generation", COMPLETION, ASKED),
	ROW("/ml/*/deployments/*/text/generation_stream", COMPLETION, ALWAYS),
	ROW("/ml/*/generation/text", COMPLETION, ASKED), /* before 2024-03 */
	ROW("/ml/*/generation/text_stream", COMPLETION, ALWAYS),

	/* Aleph Alpha's inference server */
	ROW_IF(WITH_PROMPT, "^/complete", COMPLETION, ASKED),

	/* Cohere, v1 and v2; vLLM /cohere/v2/chat; LM Studio 0.4 /api/v1/chat */
	ROW("/v1/chat", CHAT_COMPLETION, ASKED), ROW("/v2/chat", CHAT_COMPLETION, ASKED),

	/* Gemini: LiteLLM 2026-03 /v1beta, Vertex */
	ROW("/models/{}:generateContent", COMPLETION, ASKED),
	ROW("/models/{}:streamGenerateContent", COMPLETION, ALWAYS),
	ROW("/endpoints/{}:generateContent", COMPLETION, ASKED), /* Vertex: a tuned model's */
	ROW("/endpoints/{}:streamGenerateContent", COMPLETION, ALWAYS),
	ROW("/tunedModels/{}:generateContent", COMPLETION, ASKED),
	ROW("/tunedModels/{}:streamGenerateContent", COMPLETION, ALWAYS),
	ROW("/models/{}:embedContent", EMBEDDING, ASKED),
	ROW("/models/{}:batchEmbedContents", EMBEDDING, ASKED),
	ROW_IF(BY_BODY, "/models/{}:rawPredict", COMPLETION, ASKED),
	ROW_IF(BY_BODY, "/models/{}:streamRawPredict", COMPLETION, ALWAYS),
	ROW_IF(BY_BODY, "/models/{}:predict", COMPLETION, ASKED),
	ROW_IF(BY_BODY, "/endpoints/{}:rawPredict", COMPLETION, ASKED),
	ROW_IF(BY_BODY, "/endpoints/{}:streamRawPredict", COMPLETION, ALWAYS),
	ROW_IF(BY_BODY, "/endpoints/{}:predict", COMPLETION, ASKED),

	/* Bedrock, as LiteLLM passes it through */
	ROW("/model/{}/converse", CHAT_COMPLETION, ASKED),
	ROW("/model/{}/converse-stream", CHAT_COMPLETION, ALWAYS),
	ROW_IF(BY_BODY, "/model/{}/invoke", COMPLETION, ASKED),
	ROW_IF(BY_BODY, "/model/{}/invoke-with-response-stream", COMPLETION, ALWAYS),

	/* Paths that say nothing: TGI, TEI; SageMaker; Vertex */
	ROW_IF(BY_BODY, "^/", EMBEDDING, ASKED), ROW_IF(BY_BODY, "/invocations", EMBEDDING, ASKED),
	ROW_IF(BY_BODY, "/vertex", EMBEDDING, ASKED),
	ROW_IF(BY_BODY, "/vertex_generate", COMPLETION, ASKED), /* SGLang */
	ROW_IF(BY_BODY, "/predict", RERANK, ASKED),		/* TEI classifies; llama-server */
};

struct span endpoint_path(struct span target)
{
	for (size_t i = 0; i < target.len; i++) {
		if (target.at[i] == '?' || target.at[i] == '#')
			return span_of(target.at, i);
	}
	return target;
}

/* Undoes percent-encoding (RFC 3986 2.1), of the path's end if it is long. */
static struct span decoded(struct span path, uint8_t *room)
{
	size_t n = 0;
	if (path.len > PATH_ROOM)
		span_skip(&path, path.len - PATH_ROOM);
	for (size_t i = 0; i < path.len; i++) {
		int high = -1, low = -1;
		if (path.at[i] == '%' && path.len - i > 2) {
			high = hex_digit(path.at[i + 1]);
			low = hex_digit(path.at[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			room[n++] = (uint8_t)(high << 4 | low);
			i += 2;
		} else {
			room[n++] = path.at[i];
		}
	}
	return span_of(room, n);
}

/* The target in absolute form (RFC 9112 3.2.2), as proxies get it, without scheme and host. */
static struct span without_host(struct span target)
{
	const uint8_t *slashes = target.len ? memmem(target.at, target.len, "://", 3) : NULL;
	if (target.len && target.at[0] != '/' && slashes) {
		span_skip(&target, (size_t)(slashes - target.at) + 3);
		while (target.len && target.at[0] != '/')
			span_skip(&target, 1);
	}
	return target;
}

static const struct row *row_of(struct span path, struct span *model)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (pattern_matches(span_str(rows[i].pattern), path, model))
			return &rows[i];
	}
	return NULL;
}

bool endpoint_find(enum http_method method, struct span target, const struct configured *own,
		   struct endpoint *e, char model[LIMIT_MODEL_BYTES])
{
	uint8_t room[PATH_ROOM];
	enum call_endpoint type;
	struct span named;
	if (method != HTTP_POST && method != HTTP_PUT)
		return false;
	model[0] = '\0';
	struct span path = decoded(without_host(endpoint_path(target)), room);
	while (path.len > 1 && path.at[path.len - 1] == '/')
		path.len--;
	if (configured_find(own, path, &type)) {
		*e = (struct endpoint){ENDPOINT_BY_PATH, type, ENDPOINT_STREAM_ASKED};
		return type != CALL_ENDPOINTS;
	}
	const struct row *row = row_of(path, &named);
	if (!row || row->rule == ENDPOINT_NOT)
		return false;
	*e = (struct endpoint){row->rule, row->type, row->stream};
	server_model_label(named, false, model, LIMIT_MODEL_BYTES);
	return true;
}
