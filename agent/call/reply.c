/*
 * One table of wanted fields, for all dialects: what a field is called and where it lies tells what it
 * means. Two names mean different things in events with a `type` and in documents without:
 *
 *     {"type":"response.output_text.done","text":"all of it again"}     {"text":"of SGLang"}
 *     {"type":"message_delta","delta":{"stop_reason":..}}               {"delta":{"text":"of Bedrock"}}
 *
 * so what was found waits for the document's end. A row names the servers it was read from.
 */
#include "agent/call/reply.h"

#include "agent/body/json.h"
#include "agent/body/json_shape.h"
#include "agent/call/sequences.h"
#include "agent/call/words.h"
#include "agent/http/event.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum reply_type { TYPE_NONE, TYPE_DELTA, TYPE_BLOCK, TYPE_OTHER };

/* Counts of one document. */
enum reply_count {
	COUNT_INPUT,	   /* the whole prompt */
	COUNT_INPUT_TOOLS, /* beside COUNT_INPUT: what tools put into the prompt */
	COUNT_INPUT_APART, /* without what was read from the cache or written to it */
	COUNT_OUTPUT,
	COUNT_THOUGHTS,	     /* output beside COUNT_OUTPUT */
	COUNT_REASONING,     /* part of COUNT_OUTPUT, or beside it */
	COUNT_CACHED,	     /* part of COUNT_INPUT */
	COUNT_CACHED_APART,  /* beside COUNT_INPUT_APART */
	COUNT_WRITTEN_APART, /* the same */
	COUNT_BILLED_INPUT,  /* where there is no other */
	COUNT_BILLED_OUTPUT, /* the same */
	COUNT_TOTAL,	     /* input and output */
	COUNT_ENGINE_INPUT,
	COUNT_ENGINE_OUTPUT,
	COUNT_ENGINE_CACHED,
	COUNT_ENGINE_UNCACHED, /* input beside COUNT_ENGINE_CACHED */
	COUNTS,
};

/* What the present document holds. */
struct reply_document {
	struct json *scan;
	bool begun;    /* bytes of it came */
	bool content;  /* generated material, whatever the document is */
	bool loose;    /* the same, of a document without a `type` */
	bool delta;    /* the same, of one without, or whose type is a delta */
	bool ids;      /* tokens, of a choice that may have no text */
	bool says;     /* it has text, if only empty */
	bool block;    /* the same, where a block begins */
	bool finished; /* a finish reason is in it */
	bool failed;   /* an error is in it */
	bool grows;   /* the engine's output counts what the answer holds so far: more is content */
	uint8_t type; /* enum reply_type */
	uint32_t index; /* of the choice or sequence it belongs to */
	uint32_t bytes; /* before the first that is no JSON */
	bool known;	/* it was read by a shape, as far as it came */
	uint32_t counts[COUNTS];
	uint16_t counted; /* those that it has: bits */
};

enum reply_want {
	WANT_TEXT = 1,	  /* a string: generated material where it is not empty */
	WANT_PARTS,	  /* an array or object: the same */
	WANT_IDS,	  /* an array: the same, where there is no text beside it */
	WANT_SAYS,	  /* there is */
	WANT_LOOSE,	  /* a string: the same, in a document without a type */
	WANT_DELTA,	  /* a string: the same, in one without, or whose type is a delta */
	WANT_DELTA_PARTS, /* the same, an array or object */
	WANT_BLOCK,	  /* a string: the same, where a block begins */
	WANT_BLOCK_PARTS, /* the same, an object */
	WANT_BLOCK_TYPE,
	WANT_TYPE,
	WANT_CHOICE_INDEX,
	WANT_INDEX,
	WANT_ELEMENT,
	WANT_MODEL,
	WANT_FINISH,
	WANT_CHOICE_FINISH,
	WANT_STOP_TYPE,
	WANT_STATUS,
	WANT_FINGERPRINT,
	WANT_ERROR,
	WANT_OBJECT,
	WANT_MARK_SGLANG,
	WANT_MARK_TENSORRT,
	WANT_MARK_MISTRALRS,
	WANT_MARK_LLAMACPP,
	WANT_GROWING_OUTPUT,
	WANT_COUNT, /* with its enum reply_count */
};

#define COUNT(what) (WANT_COUNT + COUNT_##what)

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
	{"choices[].message.content", WANT_TEXT}, /* what does not stream, and some that does */
	{"choices[].message.tool_calls", WANT_PARTS},
	{"choices[].text", WANT_TEXT}, /* text_completion: OpenAI, llama.cpp, vLLM, SGLang */
	{"choices[].finish_reason", WANT_CHOICE_FINISH}, /* OpenAI, all */
	{"choices[].token_ids", WANT_IDS}, /* vLLM 2026-08 /inference/v1/generate: no text */
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
	{"x_groq.usage.prompt_tokens", COUNT(INPUT)}, /* Groq's streams */
	{"x_groq.usage.completion_tokens", COUNT(OUTPUT)},

	/* Responses: OpenAI, vLLM, SGLang, llama.cpp. `input_tokens` is the whole prompt here, and what
	 * Messages puts beside it is not there. */
	{"delta", WANT_DELTA}, /* response.output_text.delta, transcript.text.delta and the like */
	{"response.usage.input_tokens", COUNT(INPUT_APART)},
	{"response.usage.output_tokens", COUNT(OUTPUT)},
	{"response.usage.input_tokens_details.cached_tokens", COUNT(CACHED)},
	{"usage.input_tokens", COUNT(INPUT_APART)}, /* and Messages */
	{"usage.output_tokens", COUNT(OUTPUT)},	    /* and Messages */
	{"usage.input_tokens_details.cached_tokens", COUNT(CACHED)},

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

/* Strings and numbers of these are what was generated, or may be. */
#define FIRST_NAME WANT_BLOCK_TYPE

static struct json_tree *tree;

static void make_tree(void)
{
	tree = json_tree_new(wants, sizeof(wants) / sizeof(wants[0]));
}

struct reply_reader {
	struct reply_document *spare; /* NULL: it is lent */
	struct json_shapes *shapes;
};

static void document_free(struct reply_document *d)
{
	if (d)
		json_free(d->scan);
	free(d);
}

static struct reply_document *document_new(void)
{
	struct reply_document *d = calloc(1, sizeof(*d));
	if (d)
		d->scan = json_new(tree);
	if (d && d->scan)
		return d;
	document_free(d);
	return NULL;
}

struct reply_reader *reply_reader_new(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct reply_reader *reader = calloc(1, sizeof(*reader));
	pthread_once(&once, make_tree);
	if (reader && tree) {
		reader->spare = document_new();
		reader->shapes = json_shapes_new(tree, FIRST_NAME);
	}
	if (reader && reader->spare && reader->shapes)
		return reader;
	reply_reader_free(reader);
	return NULL;
}

void reply_reader_free(struct reply_reader *reader)
{
	if (!reader)
		return;
	document_free(reader->spare);
	json_shapes_free(reader->shapes);
	free(reader);
}

/* False without memory. */
static bool open_document(struct reply *r)
{
	if (r->now)
		return true;
	struct reply_reader *reader = server_reader(r->server);
	r->now = reader->spare ? reader->spare : document_new();
	reader->spare = NULL;
	return r->now != NULL;
}

static void close_document(struct reply *r)
{
	if (!r->now)
		return;
	struct reply_reader *reader = server_reader(r->server);
	if (reader->spare) {
		document_free(r->now);
	} else {
		*r->now = (struct reply_document){.scan = r->now->scan};
		reader->spare = r->now;
	}
	r->now = NULL;
}

void reply_init(struct reply *r, struct server *server, bool streams)
{
	*r = (struct reply){.server = server, .model = "", .finish_reason = "", .streams = streams};
}

void reply_release(struct reply *r)
{
	close_document(r);
	words_set(server_words(r->server), &r->model, "");
	words_set(server_words(r->server), &r->finish_reason, "");
	free(r->sequences);
	r->sequences = NULL;
}

/* ---- words -------------------------------------------------------------------------------------- */

/* Finish reasons that say the answer failed: vLLM and SGLang `abort` and `error`, LMDeploy
 * `parse_error`, LocalAI's done_reason `error`, Cohere `ERROR`. */
static bool is_failure(struct span reason)
{
	return span_is_nocase(reason, "error") || span_is_nocase(reason, "abort") ||
	       span_is_nocase(reason, "parse_error");
}

static void take_finish(struct reply *r, struct span reason)
{
	if (!reason.len)
		return;
	r->now->finished = true;
	char label[LIMIT_FINISH_BYTES];
	server_text_label(reason, label, sizeof(label));
	words_set(server_words(r->server), &r->finish_reason, label);
	r->now->failed |= is_failure(reason);
}

/* Of Responses. `incomplete` has its reason in a field of its own, before or behind. */
static void take_status(struct reply *r, struct span status)
{
	if (span_is(status, "failed"))
		r->now->failed = true;
	else if (!span_is(status, "completed") && !span_is(status, "cancelled") &&
		 !span_is(status, "requires_action"))
		return;
	take_finish(r, status);
}

static void take_type(struct reply *r, struct span type)
{
	/* Also Cohere v1's text-generation, v2's content-delta and tool-call-start. */
	if (span_ends(type, "delta") || span_is(type, "tool-call-start") ||
	    span_is(type, "text-generation"))
		r->now->type = TYPE_DELTA;
	else
		r->now->type = span_is(type, "content_block_start") || span_is(type, "step.start")
				       ? TYPE_BLOCK
				       : TYPE_OTHER;
	r->now->failed |= span_is(type, "error") || span_is(type, "response.failed");
}

static void take_text(struct reply *r, const struct json_event *ev)
{
	struct reply_document *d = r->now;
	switch (ev->id) {
	case WANT_PARTS:
		d->content |= !ev->empty;
		break;
	case WANT_TEXT:
		d->says = true;
		d->content |= !ev->empty;
		break;
	case WANT_LOOSE:
		d->loose |= !ev->empty;
		break;
	case WANT_DELTA:
		d->delta |= !ev->empty;
		break;
	case WANT_BLOCK:
		d->block |= !ev->empty;
		break;
	case WANT_BLOCK_TYPE: /* the tool's name is generated: mcp_tool_use, function_call, .. */
		d->block |= span_ends(ev->text, "tool_use") || span_ends(ev->text, "_call");
		break;
	case WANT_TYPE:
		take_type(r, ev->text);
		break;
	case WANT_MODEL:
		/* The same on every event of a stream. */
		if (!ev->empty && !span_is(ev->text, r->model))
			server_keep_model(r->server, ev->text, ev->cut, &r->model);
		break;
	case WANT_FINISH:
	case WANT_CHOICE_FINISH:
		take_finish(r, ev->text);
		break;
	case WANT_STOP_TYPE:
		if (!span_is(ev->text, "none") && !span_is_nocase(ev->text, "not_finished"))
			take_finish(r, ev->text);
		break;
	case WANT_STATUS:
		take_status(r, ev->text);
		break;
	case WANT_FINGERPRINT:
		server_saw_fingerprint(r->server, ev->text);
		break;
	case WANT_ERROR:
		d->failed |= !ev->empty;
		break;
	case WANT_OBJECT:
		d->failed |= span_is(ev->text, "error");
		break;
	}
}

/* What only one engine writes. */
static void take_mark(struct reply *r, unsigned id)
{
	switch (id) {
	case WANT_MARK_SGLANG:
	case WANT_GROWING_OUTPUT:
		server_saw_mark(r->server, "sglang");
		break;
	case WANT_MARK_TENSORRT:
		server_saw_mark(r->server, "tensorrt-llm");
		break;
	case WANT_MARK_MISTRALRS:
		server_saw_mark(r->server, "mistral.rs");
		break;
	case WANT_MARK_LLAMACPP:
		server_saw_mark(r->server, "llama.cpp");
		break;
	}
}

/* ---- counts ------------------------------------------------------------------------------------- */

/* No answer has more tokens than fit. */
static void put_count(struct reply_document *d, enum reply_count what, uint64_t n)
{
	if (n > UINT32_MAX)
		return;
	d->counts[what] = (uint32_t)n;
	d->counted |= (uint16_t)(1u << what);
}

static bool has(const struct reply_document *d, enum reply_count what)
{
	return d->counted >> what & 1;
}

/* What is not there is 0. */
static uint32_t count_of(const struct reply_document *d, enum reply_count what)
{
	return has(d, what) ? d->counts[what] : 0;
}

/* The prompt's tokens, by whichever way the dialect counts them. */
static void read_input(const struct reply_document *d, struct reply_tokens *t)
{
	t->has_cached = has(d, COUNT_CACHED) || has(d, COUNT_CACHED_APART);
	t->cached =
		has(d, COUNT_CACHED) ? count_of(d, COUNT_CACHED) : count_of(d, COUNT_CACHED_APART);
	t->has_input = true;
	if (has(d, COUNT_INPUT))
		t->input = count_of(d, COUNT_INPUT) + count_of(d, COUNT_INPUT_TOOLS);
	else if (has(d, COUNT_INPUT_APART))
		t->input = count_of(d, COUNT_INPUT_APART) + count_of(d, COUNT_CACHED_APART) +
			   count_of(d, COUNT_WRITTEN_APART);
	else if (has(d, COUNT_BILLED_INPUT))
		t->input = count_of(d, COUNT_BILLED_INPUT);
	else
		t->has_input = false;
}

/* Whether the total counts what was reasoned beside the rest: xAI does, all others count it among the
 * completion. */
static bool reasons_apart(const struct reply_document *d)
{
	uint64_t sum = (uint64_t)count_of(d, COUNT_INPUT) + count_of(d, COUNT_OUTPUT) +
		       count_of(d, COUNT_REASONING);
	return has(d, COUNT_INPUT) && has(d, COUNT_OUTPUT) && has(d, COUNT_TOTAL) &&
	       count_of(d, COUNT_TOTAL) == sum;
}

static void read_output(const struct reply_document *d, struct reply_tokens *t)
{
	t->known = has(d, COUNT_OUTPUT) || has(d, COUNT_THOUGHTS) || has(d, COUNT_BILLED_OUTPUT);
	t->output = (uint64_t)count_of(d, COUNT_OUTPUT) + count_of(d, COUNT_THOUGHTS);
	if (reasons_apart(d))
		t->output += count_of(d, COUNT_REASONING);
	if (!has(d, COUNT_OUTPUT) && has(d, COUNT_BILLED_OUTPUT))
		t->output = count_of(d, COUNT_BILLED_OUTPUT);
}

/* What counts no output does not replace what does; see reply_tokens_told. */
static void end_usage(struct reply *r, const struct reply_tokens *t)
{
	if (t->known) {
		if (t->output || !r->usage.output)
			r->usage = *t;
	} else if (t->has_input) {
		r->begun = *t;
	} else if (has(r->now, COUNT_TOTAL)) {
		r->total = count_of(r->now, COUNT_TOTAL);
	}
}

struct reply_tokens reply_usage(const struct reply *r, bool generates)
{
	struct reply_tokens t = r->usage;
	/* The end of a message may count the output alone, or leave out what was cached. */
	if (!t.input || (!t.has_cached && r->begun.cached)) {
		t.has_input |= r->begun.has_input;
		t.input = r->begun.has_input ? r->begun.input : t.input;
		t.has_cached |= r->begun.has_cached;
		t.cached = r->begun.has_cached ? r->begun.cached : t.cached;
	}
	if (!generates && !t.has_input && r->total) {
		t.has_input = true;
		t.input = r->total;
	}
	return t;
}

static void end_engine(struct reply *r)
{
	const struct reply_document *d = r->now;
	struct reply_tokens *t = &r->engine;
	if (has(d, COUNT_ENGINE_CACHED)) {
		t->has_cached = true;
		t->cached = count_of(d, COUNT_ENGINE_CACHED);
	}
	if (has(d, COUNT_ENGINE_INPUT) || has(d, COUNT_ENGINE_UNCACHED)) {
		uint32_t input = has(d, COUNT_ENGINE_INPUT)
					 ? count_of(d, COUNT_ENGINE_INPUT)
					 : count_of(d, COUNT_ENGINE_UNCACHED) +
						   count_of(d, COUNT_ENGINE_CACHED);
		if (input || !t->has_input)
			t->input = input;
		t->has_input = true;
	}
	if (!has(d, COUNT_ENGINE_OUTPUT))
		return;
	if (!r->sequences)
		r->sequences = calloc(1, sizeof(*r->sequences));
	if (!r->sequences)
		return;
	bool more = sequences_put(r->sequences, d->index, count_of(d, COUNT_ENGINE_OUTPUT));
	r->now->content |= more && d->grows;
	t->known = sequences_sum(r->sequences, &t->output);
	/* Whether each has the same prompt or one of its own nobody says. */
	if (r->sequences->count > 1)
		t->has_input = t->has_cached = false;
}

static void take_number(struct reply *r, const struct json_event *ev)
{
	struct reply_document *d = r->now;
	uint64_t n;
	if (!json_whole(ev->text, &n))
		return;
	if (ev->id >= WANT_COUNT) {
		put_count(d, (enum reply_count)(ev->id - WANT_COUNT), n);
	} else if (ev->id == WANT_GROWING_OUTPUT) {
		put_count(d, COUNT_ENGINE_OUTPUT, n);
		d->grows = true;
	} else if (ev->id == WANT_INDEX || ev->id == WANT_CHOICE_INDEX) {
		d->index = (uint32_t)n;
	}
}

/* ---- documents ---------------------------------------------------------------------------------- */

/* An element of a document that is an array: each is an answer of its own, or a part of one. */
static void take_element(struct reply *r, const struct json_event *ev)
{
	uint32_t index = r->now->index;
	if (!ev->closes)
		return;
	end_engine(r);
	r->now->counted &= (1u << COUNT_ENGINE_INPUT) - 1;
	r->now->index = index + 1;
}

static void take(struct reply *r, const struct json_event *ev)
{
	struct reply_document *d = r->now;
	bool full = ev->closes && !ev->empty;
	if (ev->id >= WANT_MARK_SGLANG && ev->id < WANT_COUNT)
		take_mark(r, ev->id);
	switch (ev->type) {
	case JSON_STRING:
		take_text(r, ev);
		break;
	case JSON_NUMBER:
		take_number(r, ev);
		break;
	case JSON_OBJECT:
	case JSON_ARRAY:
		d->content |= ev->id == WANT_PARTS && full;
		d->delta |= ev->id == WANT_DELTA_PARTS && full;
		d->ids |= ev->id == WANT_IDS && full;
		d->says |= ev->id == WANT_SAYS;
		d->failed |= ev->id == WANT_ERROR;
		if (ev->id == WANT_ELEMENT)
			take_element(r, ev);
		break;
	case JSON_NULL:
		r->goes_on |= ev->id == WANT_CHOICE_FINISH;
		break;
	default:
		break;
	}
}

/* A whole document that is like an earlier one of the server. */
static bool take_known(struct reply *r, struct span document)
{
	size_t count;
	const struct json_event *ev =
		json_shapes_events(server_reader(r->server)->shapes, document, &count);
	if (!ev)
		return false;
	for (size_t n = 0; n < count; n++)
		take(r, &ev[n]);
	r->now->begun = r->now->known = true;
	r->now->bytes = (uint32_t)document.len;
	return true;
}

static void scan(struct reply *r, struct span bytes)
{
	struct json_event ev;
	size_t len = bytes.len;
	enum step step;
	while ((step = json_next(r->now->scan, &bytes, &ev)) == STEP_EVENT)
		take(r, &ev);
	/* [DONE] is an array as far as its bracket. */
	r->done |= step == STEP_BAD && r->now->bytes + (len - bytes.len) == 1 && bytes.len &&
		   bytes.at[0] == 'D';
	r->now->bytes += (uint32_t)(len - bytes.len);
}

bool reply_bytes(struct reply *r, struct span bytes)
{
	if (!open_document(r))
		return false;
	struct reply_document *d = r->now;
	bool first = r->streams && !d->begun;
	if (first && take_known(r, bytes))
		return true;
	if (d->known)
		json_skip_document(d->scan);
	else if (!d->begun)
		json_reset(d->scan);
	d->begun = true;
	d->known = false;
	scan(r, bytes);
	if (first && json_done(d->scan))
		json_shapes_learn(server_reader(r->server)->shapes, bytes);
	return true;
}

void reply_failed(struct reply *r)
{
	if (open_document(r))
		r->now->failed = true;
	else
		r->any_failed = true;
}

/* Whether generated material is in the document. */
static bool is_content(const struct reply_document *d)
{
	switch ((enum reply_type)d->type) {
	case TYPE_NONE:
		return d->content || d->delta || (d->loose && !d->grows) || (d->ids && !d->says);
	case TYPE_DELTA:
		return d->content || d->delta || d->loose;
	case TYPE_BLOCK:
		return d->content || d->block;
	case TYPE_OTHER:
		break;
	}
	return d->content;
}

bool reply_end_document(struct reply *r)
{
	struct reply_tokens found = {0};
	const struct reply_document *d = r->now;
	if (!d) /* nothing is in it */
		return false;
	end_engine(r);
	read_input(d, &found);
	read_output(d, &found);
	end_usage(r, &found);
	bool content = is_content(d);
	uint64_t output = found.output ? found.output : count_of(d, COUNT_ENGINE_OUTPUT);
	bool token = content || (d->finished && !d->failed && output && !r->content_documents);
	r->any_failed |= d->failed;
	r->content_documents += content;
	close_document(r);
	return token;
}

void reply_drop_document(struct reply *r)
{
	close_document(r);
}

void reply_head(struct reply *r, const struct http_head *head)
{
	static const struct {
		const char *name;
		enum reply_count what;
	} fields[] = {
		{"x-prompt-tokens", COUNT_ENGINE_INPUT},     /* TGI, of what does not stream */
		{"x-generated-tokens", COUNT_ENGINE_OUTPUT}, /* the same */
		{"x-compute-tokens", COUNT_ENGINE_INPUT},    /* TEI */
		{"x-amzn-bedrock-input-token-count", COUNT_ENGINE_INPUT},
		{"x-amzn-bedrock-output-token-count", COUNT_ENGINE_OUTPUT},
	};
	uint64_t n;
	if (!open_document(r))
		return;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct span value = http_field(head->fields, fields[i].name);
		if (value.len && json_whole(value, &n))
			put_count(r->now, fields[i].what, n);
	}
	end_engine(r);
	close_document(r);
}

bool reply_tokens_told(const struct reply *r, const struct reply_tokens *t)
{
	/* All zeros on every chunk are what Ollama's completions call a usage, and a continuous one
	 * (vLLM) begins with 0: with content that is no count. */
	return t->known && (t->output || (t->input && !r->content_documents));
}
