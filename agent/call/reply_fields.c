/*
 * One table of wanted fields, for all dialects: what a field is called and where it lies tells what it
 * means. Two names mean different things in events with a `type` and in documents without:
 *
 *     {"type":"response.output_text.done","text":"all of it again"}     {"text":"of SGLang"}
 *     {"type":"message_delta","delta":{"stop_reason":..}}               {"delta":{"text":"of Bedrock"}}
 *
 * so what was found waits for the document's end. A row names the servers it was read from.
 */
#include "agent/call/reply_fields.h"

#include "agent/body/json.h"

#include <pthread.h>

#define COUNT(what) (WANT_COUNT + TOKENS_##what)

static const struct json_want wants[] = {
	/* chat.completion.chunk: OpenAI, llama.cpp v0.5.0, vLLM, SGLang, TGI, llama-stack 0.7, ... */
	{"choices[].index", WANT_CHOICE_INDEX},
	{"choices[].delta", WANT_SAYS},
	{"choices[].delta.content", WANT_TEXT},
	/* In parts: Mistral, and Databricks, which has a summary where Mistral has thinking */
	{"choices[].delta.content[].text", WANT_TEXT},
	{"choices[].delta.content[].thinking[].text", WANT_TEXT},
	{"choices[].delta.content[].summary[].text", WANT_TEXT},
	{"choices[].delta.refusal", WANT_TEXT},		  /* OpenAI */
	{"choices[].delta.reasoning_content", WANT_TEXT}, /* llama.cpp, SGLang, older vLLM */
	{"choices[].delta.reasoning", WANT_TEXT},	  /* vLLM, LocalAI */
	{"choices[].delta.tool_calls", WANT_PARTS},	  /* OpenAI, llama.cpp, vLLM, SGLang */
	{"choices[].delta.function_call", WANT_PARTS},	  /* OpenAI, before tools */
	{"choices[].delta.audio.data", WANT_TEXT},	  /* OpenAI */
	{"choices[].delta.audio.transcript", WANT_TEXT},  /* OpenAI */
	/* What does not stream, and some that does; beside deltas (Perplexity) it is all so far */
	{"choices[].message.content", WANT_WHOLE},
	{"choices[].message.tool_calls", WANT_WHOLE},
	{"choices[].text", WANT_TEXT}, /* text_completion: OpenAI, llama.cpp, vLLM, SGLang */
	{"choices[].finish_reason", WANT_CHOICE_FINISH}, /* OpenAI, all */
	{"choices[].token_ids", WANT_WHOLE}, /* vLLM 2026-08 /inference/v1/generate: no text */
	{"choices[].matched_stop", WANT_MARK_SGLANG},
	{"choices[].avg_decoded_tokens_per_iter", WANT_MARK_TENSORRT},
	{"value", WANT_LOOSE},	   /* Writer's completions */
	{"completion", WANT_TEXT}, /* Anthropic's, before messages; also on Bedrock */

	{"model", WANT_MODEL},			  /* nearly all */
	{"response.model", WANT_MODEL},		  /* Responses */
	{"message.model", WANT_MODEL},		  /* Messages */
	{"model_name", WANT_MODEL},		  /* Triton */
	{"model_id", WANT_MODEL},		  /* watsonx */
	{"interaction.model", WANT_MODEL},	  /* Gemini's interactions */
	{"modelVersion", WANT_MODEL},		  /* Gemini */
	{"[].modelVersion", WANT_MODEL},	  /* Gemini's array */
	{"[].model", WANT_MODEL},		  /* llama.cpp's native batch */
	{"system_fingerprint", WANT_FINGERPRINT}, /* OpenAI, llama.cpp, Ollama */

	/* An object (OpenAI, llama.cpp, vLLM, llama-stack) or a string (TGI, Ollama, Triton) */
	{"error", WANT_ERROR},
	{"[].error", WANT_ERROR},	/* Gemini's array */
	{"response.error", WANT_ERROR}, /* Responses: null if there is none */
	{"object", WANT_OBJECT},	/* "error": flat bodies of SGLang, LMDeploy, TensorRT-LLM */
	{"type", WANT_TYPE}, /* of Responses', Messages', Cohere's and transcription's events */
	{"event_type", WANT_TYPE}, /* Cohere v1 */
	{"status", WANT_STATUS},   /* Responses */
	{"response.status", WANT_STATUS},
	{"incomplete_details.reason", WANT_FINISH},
	{"response.incomplete_details.reason", WANT_FINISH},

	/* OpenAI's usage; the prompt with what was cached of it */
	{"usage.prompt_tokens", COUNT(INPUT)},
	{"usage.completion_tokens", COUNT(OUTPUT)},
	{"usage.total_tokens", COUNT(TOTAL)}, /* Voyage: nothing else */
	{"usage.completion_tokens_details.reasoning_tokens", COUNT(REASONING)},
	{"usage.prompt_tokens_details.cached_tokens", COUNT(CACHED)}, /* OpenAI, llama.cpp, vLLM */
	{"usage.prompt_cache_hit_tokens", COUNT(CACHED)},	      /* DeepSeek */
	{"usage.cached_tokens", COUNT(CACHED)},			      /* Together, Moonshot */
	{"usage.avg_tok_per_sec", WANT_MARK_MISTRALRS},
	/* Moonshot's streams: on the last chunk of each choice */
	{"choices[].usage.prompt_tokens", COUNT(ENGINE_INPUT)},
	{"choices[].usage.completion_tokens", COUNT(ENGINE_OUTPUT)},
	{"choices[].usage.cached_tokens", COUNT(ENGINE_CACHED)},
	{"x_groq.usage.prompt_tokens", COUNT(INPUT)}, /* Groq's streams */
	{"x_groq.usage.completion_tokens", COUNT(OUTPUT)},

	/* Responses: OpenAI, vLLM, SGLang, llama.cpp. `input_tokens` is the whole prompt here, and what
	 * Messages puts beside it is not there. */
	{"delta", WANT_DELTA}, /* response.output_text.delta, transcript.text.delta and the like */
	{"response.usage.input_tokens", COUNT(INPUT_APART)},
	{"response.usage.output_tokens", COUNT(OUTPUT)},
	{"response.usage.input_tokens_details.cached_tokens", COUNT(CACHED)},
	{"response.usage.output_tokens_details.reasoning_tokens", COUNT(REASONING)},
	{"usage.input_tokens", COUNT(INPUT_APART)}, /* and Messages */
	{"usage.output_tokens", COUNT(OUTPUT)},	    /* and Messages */
	{"usage.input_tokens_details.cached_tokens", COUNT(CACHED)},
	{"usage.output_tokens_details.reasoning_tokens", COUNT(REASONING)},

	/* Messages: Anthropic, vLLM, SGLang, llama.cpp, Ollama. What message_start says of the output is
	 * the server's guess; message_delta counts up. */
	{"message.usage.input_tokens", COUNT(INPUT_APART)},
	{"message.usage.cache_read_input_tokens", COUNT(CACHED_APART)},
	{"message.usage.cache_creation_input_tokens", COUNT(WRITTEN_APART)},
	{"usage.cache_read_input_tokens", COUNT(CACHED_APART)},
	{"usage.cache_creation_input_tokens", COUNT(WRITTEN_APART)},
	{"delta.text", WANT_DELTA},
	{"delta.thinking", WANT_DELTA},
	{"delta.partial_json", WANT_DELTA},
	{"delta.content", WANT_DELTA}, /* compaction_delta */
	{"delta.stop_reason", WANT_FINISH},
	{"stop_reason", WANT_FINISH}, /* and Bedrock's Llama */
	{"content_block.type", WANT_BLOCK_TYPE},
	{"content_block.text", WANT_BLOCK},
	{"content_block.thinking", WANT_BLOCK},

	/* llama.cpp v0.5.0, native /completion and /infill; `timings` also on its last chat chunk */
	{"content", WANT_LOOSE},
	{"index", WANT_INDEX},	       /* and SGLang's; TGI's is a token's, and counts are on one */
	{"stop_type", WANT_STOP_TYPE}, /* "none" until the last event */
	{"tokens_evaluated", COUNT(ENGINE_INPUT)}, /* the whole prompt */
	{"tokens_predicted", COUNT(ENGINE_OUTPUT)},
	{"timings", WANT_MARK_LLAMACPP},
	{"timings.prompt_n", COUNT(ENGINE_UNCACHED)},
	{"timings.predicted_n", COUNT(ENGINE_OUTPUT)},
	{"timings.cache_n", COUNT(ENGINE_CACHED)},
	{"[]", WANT_ELEMENT},
	{"[].tokens_evaluated", COUNT(ENGINE_INPUT)},
	{"[].tokens_predicted", COUNT(ENGINE_OUTPUT)},
	{"[].stop_type", WANT_STOP_TYPE},

	/* Ollama, native: 2026-08, and the fronts of SGLang and LocalAI */
	{"response", WANT_TEXT},
	{"thinking", WANT_TEXT},
	{"message.content", WANT_TEXT},
	{"message.thinking", WANT_TEXT},
	{"message.tool_calls", WANT_PARTS},
	{"done_reason", WANT_FINISH},
	{"prompt_eval_count", COUNT(ENGINE_INPUT)},
	{"eval_count", COUNT(ENGINE_OUTPUT)},

	/* SGLang 2026-07, native: the text so far, and its tokens. LMDeploy: the text of the event */
	{"text", WANT_LOOSE},
	{"meta_info.prompt_tokens", COUNT(ENGINE_INPUT)},
	{"meta_info.completion_tokens", WANT_GROWING_OUTPUT},
	{"meta_info.cached_tokens", COUNT(ENGINE_CACHED)},
	{"meta_info.finish_reason.type", WANT_FINISH},
	{"[].meta_info.prompt_tokens", COUNT(ENGINE_INPUT)},
	{"[].meta_info.completion_tokens", WANT_GROWING_OUTPUT},
	{"[].meta_info.finish_reason.type", WANT_FINISH},

	/* TGI 2026-01, native */
	{"token.text", WANT_TEXT},
	{"generated_text", WANT_LOOSE},
	{"details.finish_reason", WANT_FINISH},
	{"details.input_length", COUNT(ENGINE_INPUT)},
	{"details.generated_tokens", COUNT(ENGINE_OUTPUT)},
	{"[].details.finish_reason", WANT_FINISH},
	{"[].details.generated_tokens", COUNT(ENGINE_OUTPUT)},

	/* Triton 2026-08: tensors are called by whoever made the model; by convention */
	{"text_output", WANT_TEXT},

	/* Gemini: objects, or one array of them */
	{"candidates[].content.parts[].text", WANT_TEXT},
	{"candidates[].content.parts[].functionCall", WANT_PARTS},
	{"candidates[].content.parts[].inlineData", WANT_PARTS},
	{"candidates[].content.parts[].executableCode", WANT_PARTS},
	{"candidates[].finishReason", WANT_FINISH},
	{"usageMetadata.promptTokenCount", COUNT(INPUT)},
	{"usageMetadata.toolUsePromptTokenCount", COUNT(INPUT_TOOLS)},
	{"usageMetadata.candidatesTokenCount", COUNT(OUTPUT)},
	{"usageMetadata.thoughtsTokenCount", COUNT(THOUGHTS)},
	{"usageMetadata.cachedContentTokenCount", COUNT(CACHED)},
	{"[].candidates[].finishReason", WANT_FINISH},
	{"[].usageMetadata.promptTokenCount", COUNT(INPUT)},
	{"[].usageMetadata.toolUsePromptTokenCount", COUNT(INPUT_TOOLS)},
	{"[].usageMetadata.candidatesTokenCount", COUNT(OUTPUT)},
	{"[].usageMetadata.thoughtsTokenCount", COUNT(THOUGHTS)},
	{"[].usageMetadata.cachedContentTokenCount", COUNT(CACHED)},

	/* Gemini's interactions: llama-stack 0.8, LiteLLM 2026-10. Events are like those of Messages. */
	{"step.type", WANT_BLOCK_TYPE},
	{"delta.content.text", WANT_DELTA}, /* what is shown of the thoughts */
	{"delta.arguments", WANT_DELTA},
	{"interaction.status", WANT_STATUS},
	{"usage.total_input_tokens", COUNT(INPUT)},
	{"usage.total_tool_use_tokens", COUNT(INPUT_TOOLS)},
	{"usage.total_output_tokens", COUNT(OUTPUT)},
	{"usage.total_thought_tokens", COUNT(THOUGHTS)},
	{"usage.total_cached_tokens", COUNT(CACHED)},
	{"interaction.usage.total_input_tokens", COUNT(INPUT)},
	{"interaction.usage.total_tool_use_tokens", COUNT(INPUT_TOOLS)},
	{"interaction.usage.total_output_tokens", COUNT(OUTPUT)},
	{"interaction.usage.total_thought_tokens", COUNT(THOUGHTS)},
	{"interaction.usage.total_cached_tokens", COUNT(CACHED)},

	/* llama-stack to 0.2, native */
	{"event.delta.text", WANT_TEXT},
	{"event.delta.tool_call", WANT_PARTS}, /* or a string, while it is incomplete */
	{"event.stop_reason", WANT_FINISH},
	{"completion_message.stop_reason", WANT_FINISH},

	/* watsonx: text generation; the count goes up, the prompt's is on the first event alone */
	{"results[].generated_text", WANT_TEXT},
	{"results[].generated_token_count", COUNT(ENGINE_OUTPUT)},
	{"results[].input_token_count", COUNT(ENGINE_INPUT)},
	{"results[].stop_reason", WANT_STOP_TYPE},

	/* KoboldCpp 2026-06, native: /api/v1/generate and its stream */
	{"results[].text", WANT_TEXT},
	{"results[].finish_reason", WANT_FINISH},
	{"results[].prompt_tokens", COUNT(ENGINE_INPUT)},
	{"results[].completion_tokens", COUNT(ENGINE_OUTPUT)},
	{"token", WANT_LOOSE}, /* a string; TGI's is an object */

	/* LM Studio 0.4, native: on the answer, or on the last event */
	{"stats.input_tokens", COUNT(ENGINE_INPUT)},
	{"stats.total_output_tokens", COUNT(ENGINE_OUTPUT)},
	{"result.stats.input_tokens", COUNT(ENGINE_INPUT)},
	{"result.stats.total_output_tokens", COUNT(ENGINE_OUTPUT)},

	/* Aleph Alpha: /complete */
	{"completions[].completion", WANT_TEXT},
	{"completions[].finish_reason", WANT_FINISH},
	{"num_tokens_prompt_total", COUNT(ENGINE_INPUT)},
	{"num_tokens_generated", COUNT(ENGINE_OUTPUT)},

	/* Bedrock: converse and converse-stream */
	{"delta.toolUse.input", WANT_DELTA},
	{"delta.reasoningContent.text", WANT_DELTA},
	{"start.toolUse", WANT_DELTA_PARTS},
	{"stopReason", WANT_FINISH},
	{"usage.inputTokens", COUNT(INPUT_APART)},
	{"usage.outputTokens", COUNT(OUTPUT)},
	{"usage.cacheReadInputTokens", COUNT(CACHED_APART)},
	{"usage.cacheWriteInputTokens", COUNT(WRITTEN_APART)},
	/* Bedrock: invoke of Nova: converse-stream's events by name in one object */
	{"contentBlockStart.start.toolUse", WANT_PARTS},
	{"contentBlockDelta.delta.text", WANT_TEXT},
	{"contentBlockDelta.delta.toolUse.input", WANT_TEXT},
	{"contentBlockDelta.delta.reasoningContent.text", WANT_TEXT},
	{"messageStop.stopReason", WANT_FINISH},
	{"metadata.usage.inputTokens", COUNT(INPUT_APART)},
	{"metadata.usage.outputTokens", COUNT(OUTPUT)},
	{"metadata.usage.cacheReadInputTokenCount", COUNT(CACHED_APART)},
	{"metadata.usage.cacheWriteInputTokenCount", COUNT(WRITTEN_APART)},
	{"usage.cacheReadInputTokenCount", COUNT(CACHED_APART)},
	{"usage.cacheWriteInputTokenCount", COUNT(WRITTEN_APART)},
	/* Bedrock: invoke of Titan, Llama and Mistral */
	{"outputText", WANT_TEXT},
	{"inputTextTokenCount", COUNT(ENGINE_INPUT)},
	{"totalOutputTextTokenCount", COUNT(ENGINE_OUTPUT)},
	{"results[].tokenCount", COUNT(ENGINE_OUTPUT)},
	{"results[].completionReason", WANT_FINISH},
	{"completionReason", WANT_FINISH},
	{"generation", WANT_TEXT},
	{"prompt_token_count", COUNT(ENGINE_INPUT)},
	{"generation_token_count", COUNT(ENGINE_OUTPUT)},
	{"outputs[].text", WANT_TEXT},
	{"outputs[].stop_reason", WANT_FINISH},
	{"amazon-bedrock-invocationMetrics.inputTokenCount", COUNT(ENGINE_INPUT)},
	{"amazon-bedrock-invocationMetrics.outputTokenCount", COUNT(ENGINE_OUTPUT)},

	/* Cohere v1 (generate, chat, embed) and v2 (vLLM /cohere/v2/chat) */
	{"delta.message.content.text", WANT_DELTA},
	{"delta.message.content.thinking", WANT_DELTA},
	{"delta.message.tool_plan", WANT_DELTA},
	{"delta.message.tool_calls", WANT_DELTA_PARTS},
	{"finish_reason", WANT_FINISH},
	{"delta.finish_reason", WANT_FINISH},
	{"generations[].finish_reason", WANT_FINISH},
	{"usage.tokens.input_tokens", COUNT(INPUT)},
	{"usage.tokens.output_tokens", COUNT(OUTPUT)},
	{"usage.billed_units.input_tokens", COUNT(BILLED_INPUT)},
	{"usage.billed_units.output_tokens", COUNT(BILLED_OUTPUT)},
	{"delta.usage.tokens.input_tokens", COUNT(INPUT)},
	{"delta.usage.tokens.output_tokens", COUNT(OUTPUT)},
	{"delta.usage.billed_units.input_tokens", COUNT(BILLED_INPUT)},
	{"delta.usage.billed_units.output_tokens", COUNT(BILLED_OUTPUT)},
	{"meta.tokens.input_tokens", COUNT(INPUT)},
	{"meta.tokens.output_tokens", COUNT(OUTPUT)},
	{"meta.billed_units.input_tokens", COUNT(BILLED_INPUT)},
	{"meta.billed_units.output_tokens", COUNT(BILLED_OUTPUT)},
	{"response.meta.tokens.input_tokens", COUNT(INPUT)},
	{"response.meta.tokens.output_tokens", COUNT(OUTPUT)},
	{"response.meta.billed_units.input_tokens", COUNT(BILLED_INPUT)},
	{"response.meta.billed_units.output_tokens", COUNT(BILLED_OUTPUT)},
};

static struct json_tree *tree;

static void make_tree(void)
{
	tree = json_tree_new(wants, sizeof(wants) / sizeof(wants[0]));
}

const struct json_tree *reply_fields(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, make_tree);
	return tree;
}
