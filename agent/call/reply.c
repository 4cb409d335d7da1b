/*
 * One table of wanted fields, for all dialects: what a field is called tells what it means, and no
 * two dialects give one name two meanings. A row names the servers it was read from.
 */
#include "agent/call/reply.h"

#include "agent/body/json.h"

#include <errno.h>
#include <pthread.h>

enum reply_want {
	WANT_TEXT = 1, /* a string: generated material where it is not empty */
	WANT_PARTS,    /* an array or object: generated material where it is not empty */
	WANT_MODEL,
	WANT_FINISH,
	WANT_STOP_TYPE,
	WANT_FINGERPRINT,
	WANT_ERROR,
	WANT_OBJECT,
	WANT_USAGE_INPUT,
	WANT_USAGE_OUTPUT,
	WANT_USAGE_CACHED,
	WANT_ENGINE_INPUT,
	WANT_ENGINE_OUTPUT,
	WANT_ENGINE_CACHED,
};

static const struct json_want wants[] = {
	/* chat.completion.chunk: OpenAI, llama.cpp v0.5.0, vLLM, SGLang, TGI, llama-stack 0.7 */
	{"choices[].delta.content", WANT_TEXT},
	{"choices[].delta.refusal", WANT_TEXT},		  /* OpenAI */
	{"choices[].delta.reasoning_content", WANT_TEXT}, /* llama.cpp, SGLang, older vLLM */
	{"choices[].delta.reasoning", WANT_TEXT},	  /* vLLM */
	{"choices[].delta.tool_calls", WANT_PARTS},	  /* OpenAI, llama.cpp, vLLM, SGLang */
	{"choices[].delta.function_call", WANT_PARTS},	  /* OpenAI, before tools */
	{"choices[].text", WANT_TEXT}, /* text_completion: OpenAI, llama.cpp, vLLM, SGLang */
	{"content", WANT_TEXT},	       /* llama.cpp v0.5.0 native /completion */
	{"model", WANT_MODEL},	       /* all */
	{"choices[].finish_reason", WANT_FINISH}, /* OpenAI, all */
	{"stop_type", WANT_STOP_TYPE}, /* llama.cpp native; "none" until the last event */
	{"system_fingerprint", WANT_FINGERPRINT}, /* OpenAI, llama.cpp, Ollama */
	{"error",
	 WANT_ERROR}, /* an object (OpenAI, llama.cpp, vLLM, llama-stack) or a string (TGI) */
	{"object", WANT_OBJECT}, /* "error": flat error bodies of SGLang, LMDeploy, TensorRT-LLM */
	{"usage.prompt_tokens", WANT_USAGE_INPUT},	/* OpenAI, all; with cached ones */
	{"usage.completion_tokens", WANT_USAGE_OUTPUT}, /* OpenAI, all */
	{"usage.prompt_tokens_details.cached_tokens",
	 WANT_USAGE_CACHED},			     /* OpenAI, llama.cpp, vLLM */
	{"tokens_evaluated", WANT_ENGINE_INPUT},     /* llama.cpp native; the whole prompt */
	{"tokens_predicted", WANT_ENGINE_OUTPUT},    /* llama.cpp native */
	{"timings.predicted_n", WANT_ENGINE_OUTPUT}, /* llama.cpp, on its last chunk always */
	{"timings.cache_n", WANT_ENGINE_CACHED},     /* llama.cpp */
};

static struct json_tree *tree;

static void make_tree(void)
{
	tree = json_tree_new(wants, sizeof(wants) / sizeof(wants[0]));
}

int reply_init(struct reply *r, struct server *server)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	*r = (struct reply){.server = server};
	pthread_once(&once, make_tree);
	r->scan = tree ? json_new(tree) : NULL;
	return r->scan ? 0 : -ENOMEM;
}

void reply_release(struct reply *r)
{
	json_free(r->scan);
	r->scan = NULL;
}

/* Finish reasons that say the answer failed: vLLM and SGLang `abort` and `error`, LMDeploy
 * `parse_error`. */
static bool is_failure(struct span reason)
{
	return span_is(reason, "error") || span_is(reason, "abort") ||
	       span_is(reason, "parse_error");
}

static void take_finish(struct reply *r, struct span reason)
{
	r->finished = true;
	server_text_label(reason, r->finish_reason, sizeof(r->finish_reason));
	r->failed |= is_failure(reason);
}

static void take_text(struct reply *r, const struct json_event *ev)
{
	switch (ev->id) {
	case WANT_TEXT:
		r->content |= !ev->empty;
		break;
	case WANT_MODEL:
		if (!ev->empty)
			server_model_label(ev->text, ev->cut, r->model, sizeof(r->model));
		break;
	case WANT_FINISH:
		take_finish(r, ev->text);
		break;
	case WANT_STOP_TYPE:
		if (!span_is(ev->text, "none"))
			take_finish(r, ev->text);
		break;
	case WANT_FINGERPRINT:
		server_saw_fingerprint(r->server, ev->text);
		break;
	case WANT_ERROR:
		r->failed |= !ev->empty;
		break;
	case WANT_OBJECT:
		r->failed |= span_is(ev->text, "error");
		break;
	}
}

static void take_number(struct reply *r, const struct json_event *ev)
{
	uint64_t n;
	if (!json_whole(ev->text, &n))
		return;
	switch (ev->id) {
	case WANT_USAGE_INPUT:
		r->found.has_input = true;
		r->found.input = n;
		break;
	case WANT_USAGE_OUTPUT:
		r->found.known = true;
		r->found.output = n;
		break;
	case WANT_USAGE_CACHED:
		r->found.has_cached = true;
		r->found.cached = n;
		break;
	case WANT_ENGINE_INPUT:
		r->engine.has_input = true;
		r->engine.input = n;
		break;
	case WANT_ENGINE_OUTPUT:
		r->engine.known = true;
		r->engine.output = n;
		break;
	case WANT_ENGINE_CACHED:
		r->engine.has_cached = true;
		r->engine.cached = n;
		break;
	}
}

static void take(struct reply *r, const struct json_event *ev)
{
	switch (ev->type) {
	case JSON_STRING:
		take_text(r, ev);
		break;
	case JSON_NUMBER:
		take_number(r, ev);
		break;
	case JSON_OBJECT:
	case JSON_ARRAY:
		if (ev->id == WANT_PARTS && ev->closes)
			r->content |= !ev->empty;
		else if (ev->id == WANT_ERROR)
			r->failed = true;
		break;
	default:
		break;
	}
}

void reply_bytes(struct reply *r, struct span bytes)
{
	struct json_event ev;
	while (json_next(r->scan, &bytes, &ev) == STEP_EVENT)
		take(r, &ev);
}

static void next_document(struct reply *r)
{
	r->content = r->finished = r->failed = false;
	r->found = (struct reply_tokens){0};
	json_reset(r->scan);
}

bool reply_end_document(struct reply *r)
{
	const struct reply_tokens *u = &r->found;
	/* What counts no output does not replace what does; see reply_tokens_told. */
	if (u->known && (u->output || !r->usage.output))
		r->usage = *u;
	bool token = r->content || (r->finished && u->output && !r->content_documents);
	r->any_failed |= r->failed;
	r->content_documents += r->content;
	next_document(r);
	return token;
}

void reply_drop_document(struct reply *r)
{
	next_document(r);
}

bool reply_tokens_told(const struct reply *r, const struct reply_tokens *t)
{
	/* All zeros on every chunk are what Ollama's completions call a usage, and a continuous one
	 * (vLLM) begins with 0: with content that is no count. */
	return t->known && (t->output || (t->input && !r->content_documents));
}
