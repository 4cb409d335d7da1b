/*
 *   request head     request whole      response head      events, last byte     the end
 *   NEW -----------> (received) ------> started ---------> body read ----------> ended
 *                     |                  ^                   |
 *                     +-- started -------+ (or here, if the  +-- first_token, once
 *                         (recognised)      response is first)
 *
 * How the response's body is read is told by its Content-Type, never by the request: a stream that
 * was asked for may be refused with plain JSON.
 *
 * On some paths the request's body tells whether there is a call at all (endpoint.h). One that turns
 * out to be none is never told to the sink.
 */
#include "agent/call/inference.h"

#include "agent/body/frames.h"
#include "agent/body/sse.h"
#include "agent/call/endpoint.h"
#include "agent/call/outcome.h"
#include "agent/call/provider.h"
#include "agent/call/reply.h"
#include "agent/call/request.h"
#include "agent/call/server.h"
#include "agent/call/words.h"
#include "agent/http/coding.h"

#include <stdlib.h>

enum body_kind {
	BODY_UNREAD, /* nothing that is understood, or in a coding that is not */
	BODY_WHOLE,  /* one JSON document */
	BODY_EVENTS, /* server-sent events */
	BODY_LINES,  /* a JSON document a line */
	BODY_FRAMES, /* Bedrock's events */
};

/* A live stream pays for this. A struct call is made of it where the sink is told. */
struct inference {
	struct server *server;
	const struct call_sink *sink;
	const char *method, *path;    /* words of the server */
	const char *model, *provider; /* the same: those of concurrent_requests */
	enum call_endpoint type : 8;  /* the same, */
	bool asked_stream;	      /* and the same */
	bool stream;		      /* the response does */
	bool incomplete;	      /* bytes of it were lost */
	struct endpoint endpoint;
	uint16_t http_status;
	enum body_kind kind : 8;
	bool whole; /* the request is complete */
	bool started;
	bool none;	 /* the body has told that it is no inference */
	bool lines_open; /* BODY_LINES: bytes of the present line were seen */
	uint64_t last_body_ns;
	uint64_t arrived_ns, received_ns, first_token_ns, last_token_ns; /* as in struct call */
	uint64_t request_bytes, response_bytes, events;			 /* the same */
	struct request request;
	struct coding *request_coding, *response_coding; /* NULL: there is nothing to undo */
	struct reply reply;
	union {
		struct sse sse;	      /* BODY_EVENTS */
		struct frames frames; /* BODY_FRAMES */
	};
};

/* ---- the request -------------------------------------------------------------------------------- */

/* SGLang has a field of its own for requests. */
static struct span coding_of_request(const struct http_head *head)
{
	struct span own = http_field(head->fields, "x-body-compressed");
	return coding_is_identity(head->content_encoding) ? own : head->content_encoding;
}

/* False: it cannot be undone. */
static bool begin_coding(struct coding **coding, struct span codings)
{
	*coding = coding_is_identity(codings) ? NULL : coding_new(codings);
	return *coding || coding_is_identity(codings);
}

static void end_coding(struct coding **coding)
{
	coding_free(*coding);
	*coding = NULL;
}

static void inference_free(struct inference *i)
{
	struct words *words = server_words(i->server);
	request_release(&i->request);
	reply_release(&i->reply);
	end_coding(&i->request_coding);
	end_coding(&i->response_coding);
	words_drop(words, i->method);
	words_drop(words, i->path);
	words_drop(words, i->model);
	words_drop(words, i->provider);
	free(i);
}

static void keep_head(struct inference *i, const struct http_head *head)
{
	char text[LIMIT_PATH_BYTES];
	span_copy(head->method_text, text, sizeof(((struct call *)0)->method));
	words_set(server_words(i->server), &i->method, text);
	server_text_label(endpoint_path(head->path), text, sizeof(text));
	words_set(server_words(i->server), &i->path, text);
}

struct inference *inference_new(struct server *server, const struct call_sink *sink,
				const struct http_head *head, uint64_t arrived_ns)
{
	struct endpoint endpoint;
	char model[LIMIT_MODEL_BYTES];
	if (!endpoint_find(head->method, head->path, server_configured(server), &endpoint, model))
		return NULL;
	struct inference *i = calloc(1, sizeof(*i));
	if (!i || request_init(&i->request, server, head->content_type, model) != 0) {
		free(i);
		return NULL;
	}
	i->server = server;
	i->sink = sink;
	i->method = i->path = i->model = i->provider = "";
	i->endpoint = endpoint;
	i->arrived_ns = arrived_ns;
	reply_init(&i->reply, server, false);
	keep_head(i, head);
	if (!begin_coding(&i->request_coding, coding_of_request(head)))
		request_unreadable(&i->request);
	return i;
}

/* ---- what the sink is told ---------------------------------------------------------------------- */

static void copy_word(char *to, size_t room, const char *from)
{
	span_copy(span_str(from), to, room);
}

/* All but how it ended, and with the labels that it began with. */
static void tell_of(const struct inference *i, struct call *c)
{
	*c = (struct call){
		.started = {.endpoint = i->type, .stream = i->asked_stream},
		.arrived_ns = i->arrived_ns,
		.received_ns = i->received_ns,
		.first_token_ns = i->first_token_ns,
		.last_token_ns = i->last_token_ns,
		.http_status = i->http_status,
		.request_bytes = i->request_bytes,
		.response_bytes = i->response_bytes,
		.events = i->events,
		.incomplete = i->incomplete,
	};
	copy_word(c->started.model, sizeof(c->started.model), i->model);
	copy_word(c->started.provider, sizeof(c->started.provider), i->provider);
	copy_word(c->method, sizeof(c->method), i->method);
	copy_word(c->path, sizeof(c->path), i->path);
	c->labels = c->started;
	c->labels.stream = i->stream;
}

/* ---- the request, further on -------------------------------------------------------------------- */

void inference_request_body(struct inference *i, struct span bytes)
{
	struct span piece;
	enum step step;
	i->request_bytes += bytes.len;
	if (!i->request_coding) {
		request_body(&i->request, bytes);
		return;
	}
	while ((step = coding_next(i->request_coding, &bytes, &piece)) == STEP_EVENT)
		request_body(&i->request, piece);
	if (step == STEP_BAD)
		request_unreadable(&i->request);
}

/* The model as far as it can be known without a response. */
static const char *asked_model(const struct inference *i)
{
	const char *asked = i->request.model, *only = server_only_model(i->server);
	if (only && provider_ignores_model(server_provider(i->server), asked))
		return only;
	if (asked[0])
		return asked;
	/* What was not read may have named another. */
	return only && i->whole && !i->request.unread ? only : "unknown";
}

/* What a body says that the path leaves open. False: it is no inference. */
static bool type_of_body(const struct inference *i, enum call_endpoint *type)
{
	unsigned holds = i->request.holds;
	bool tei = strcmp(server_provider(i->server), "tei") == 0;
	if (holds & REQUEST_HOLDS_MESSAGES)
		*type = holds & REQUEST_HOLDS_ANTHROPIC ? CALL_MESSAGE : CALL_CHAT_COMPLETION;
	else if (holds & REQUEST_HOLDS_QUERY)
		*type = CALL_RERANK;
	else if (holds & REQUEST_HOLDS_PROMPT || (holds & REQUEST_HOLDS_INPUTS && !tei))
		*type = CALL_COMPLETION;
	else if (holds & REQUEST_HOLDS_INPUTS)
		*type = i->endpoint.type;
	else if (holds & (REQUEST_HOLDS_INPUT | REQUEST_HOLDS_TEXTS))
		*type = CALL_EMBEDDING;
	else if (holds & REQUEST_HOLDS_INPUT_TEXT)
		*type = strstr(i->request.model, "embed") ? CALL_EMBEDDING : CALL_COMPLETION;
	else if (holds & REQUEST_HOLDS_MESSAGE && i->request.model[0])
		*type = CALL_CHAT_COMPLETION; /* any application's `message` names no model */
	else
		return false;
	return true;
}

/* Whether the request is an inference, and of which kind. */
static bool decide(const struct inference *i, enum call_endpoint *type)
{
	unsigned holds = i->request.holds;
	*type = i->endpoint.type;
	switch (i->endpoint.rule) {
	case ENDPOINT_BY_BODY:
		return type_of_body(i, type);
	case ENDPOINT_WITH_PROMPT:
		return holds & REQUEST_HOLDS_PROMPT || i->request.unread;
	case ENDPOINT_WITH_MESSAGES:
		return holds & REQUEST_HOLDS_MESSAGES || i->request.unread;
	case ENDPOINT_BY_PATH:
		return true;
	case ENDPOINT_NOT:
		break;
	}
	return false;
}

static bool will_stream(const struct inference *i)
{
	switch (i->endpoint.stream) {
	case ENDPOINT_STREAM_DEFAULT:
		return i->request.stream || !i->request.stream_told;
	case ENDPOINT_STREAM_ALWAYS:
		return true;
	case ENDPOINT_STREAM_ASKED:
		break;
	}
	return i->request.stream;
}

/* The labels of concurrent_requests are fixed. False without memory: what is counted up with one label must
 * not be counted down with another. */
static bool fix_labels(struct inference *i)
{
	struct words *words = server_words(i->server);
	char provider[LIMIT_PROVIDER_BYTES];
	const char *model = asked_model(i);
	server_provider_label(i->server, model, provider, sizeof(provider));
	words_set(words, &i->model, model);
	words_set(words, &i->provider, provider);
	return strcmp(i->model, model) == 0 && strcmp(i->provider, provider) == 0;
}

/* Recognised, or not. */
static void start(struct inference *i)
{
	enum call_endpoint type;
	struct call c;
	if (i->started || i->none)
		return;
	i->started = decide(i, &type) && fix_labels(i);
	i->none = !i->started;
	if (i->none)
		return;
	i->type = type;
	i->stream = i->asked_stream = will_stream(i);
	tell_of(i, &c);
	i->sink->started(i->sink->user, &c);
}

void inference_request_end(struct inference *i, uint64_t time_ns)
{
	end_coding(&i->request_coding);
	request_end(&i->request);
	i->whole = true;
	i->received_ns = time_ns;
	start(i);
}

void inference_request_gap(struct inference *i)
{
	i->incomplete = true;
	end_coding(&i->request_coding);
	request_unreadable(&i->request);
}

/* ---- the response ------------------------------------------------------------------------------- */

/* Media types are compared without parameters and case (RFC 9110 8.3.1). */
static bool is_media_type(struct span value, const char *type)
{
	size_t n = strlen(type);
	if (value.len < n || strncasecmp((const char *)value.at, type, n) != 0)
		return false;
	return value.len == n || value.at[n] == ';' || value.at[n] == ' ' || value.at[n] == '\t';
}

static enum body_kind kind_of(const struct http_head *head)
{
	static const char *const lines[] = {
		"application/x-ndjson", /* Ollama, SGLang's and LocalAI's fronts of its kind */
		"application/ndjson",
		"application/stream+json", /* Cohere v1 */
		"application/jsonl",
	};
	if (is_media_type(head->content_type, "text/event-stream"))
		return BODY_EVENTS;
	for (size_t n = 0; n < sizeof(lines) / sizeof(lines[0]); n++) {
		if (is_media_type(head->content_type, lines[n]))
			return BODY_LINES;
	}
	if (is_media_type(head->content_type, "application/vnd.amazon.eventstream"))
		return BODY_FRAMES;
	return BODY_WHOLE;
}

void inference_response_head(struct inference *i, const struct http_head *head, uint64_t time_ns)
{
	(void)time_ns;
	start(i);
	if (i->none)
		return;
	i->http_status = (uint16_t)head->status;
	i->kind = kind_of(head);
	i->stream = i->kind != BODY_WHOLE;
	reply_release(&i->reply);
	reply_init(&i->reply, i->server, i->kind != BODY_WHOLE);
	if (begin_coding(&i->response_coding, head->content_encoding))
		reply_head(&i->reply, head);
	else
		i->kind = BODY_UNREAD;
	if (i->kind == BODY_FRAMES)
		frames_init(&i->frames);
	else
		sse_init(&i->sse);
}

/* The model of a call that the server took on. A name that it served is one for good. */
static const char *served_model(struct inference *i)
{
	const char *asked = i->request.model, *replied = i->reply.model;
	bool ignores = provider_ignores_model(server_provider(i->server), asked);
	const char *model = asked[0] && !(ignores && replied[0]) ? asked : replied;
	if (!model[0] || (ignores && !replied[0]))
		return asked_model(i);
	server_proved_model(i->server, model);
	return model;
}

/* TGI and mistral.rs refuse in a 200 what they stream: that proves no model. */
static bool was_served(const struct inference *i)
{
	return i->http_status / 100 == 2 && !(i->reply.any_failed && !i->reply.content_documents);
}

/* The labels, by what is known now. */
static void label(struct inference *i, struct call_labels *l)
{
	const char *model =
		was_served(i) ? served_model(i) : server_error_model(i->server, asked_model(i));
	copy_word(l->model, sizeof(l->model), model);
	server_provider_label(i->server, model, l->provider, sizeof(l->provider));
}

/* An event that carries generated content was written. */
static void token_at(struct inference *i, uint64_t time_ns)
{
	i->events++;
	i->last_token_ns = time_ns;
	if (i->first_token_ns || i->http_status / 100 != 2)
		return;
	/* With bytes missing an earlier token may have been among them. */
	if (i->incomplete || !i->whole)
		return;
	i->first_token_ns = time_ns;
	struct call c;
	tell_of(i, &c);
	label(i, &c.labels);
	i->sink->first_token(i->sink->user, &c);
}

static void end_document(struct inference *i, uint64_t time_ns)
{
	if (reply_end_document(&i->reply))
		token_at(i, time_ns);
}

static void cannot_be_read(struct inference *i)
{
	if (i->kind != BODY_UNREAD)
		reply_drop_document(&i->reply);
	i->kind = BODY_UNREAD;
}

static void read_document(struct inference *i, struct span bytes)
{
	if (!reply_bytes(&i->reply, bytes))
		cannot_be_read(i);
}

static void read_events(struct inference *i, struct span bytes, uint64_t time_ns)
{
	struct sse_event ev;
	while (i->kind == BODY_EVENTS && sse_next(&i->sse, &bytes, &ev) == STEP_EVENT) {
		if (ev.type == SSE_DATA) {
			read_document(i, ev.data);
		} else if (ev.type == SSE_END) {
			if (span_is(ev.name, "error"))
				reply_failed(&i->reply);
			end_document(i, time_ns);
		}
	}
}

static void read_lines(struct inference *i, struct span bytes, uint64_t time_ns)
{
	while (bytes.len && i->kind == BODY_LINES) {
		const uint8_t *lf = memchr(bytes.at, '\n', bytes.len);
		struct span part = span_take(&bytes, lf ? (size_t)(lf - bytes.at) : bytes.len);
		i->lines_open |= part.len > 0;
		read_document(i, part);
		if (!lf)
			return;
		span_skip(&bytes, 1);
		if (i->lines_open)
			end_document(i, time_ns);
		i->lines_open = false;
	}
}

static void read_frames(struct inference *i, struct span bytes, uint64_t time_ns)
{
	uint8_t room[FRAMES_ROOM];
	struct frames_event ev;
	enum step step = STEP_MORE;
	while (i->kind == BODY_FRAMES &&
	       (step = frames_next(&i->frames, &bytes, room, &ev)) == STEP_EVENT) {
		if (ev.type == FRAMES_DATA) {
			read_document(i, ev.data);
			continue;
		}
		if (ev.failed)
			reply_failed(&i->reply);
		end_document(i, time_ns);
	}
	if (step == STEP_BAD)
		cannot_be_read(i);
}

static void read_body(struct inference *i, struct span bytes, uint64_t time_ns)
{
	if (i->kind == BODY_EVENTS)
		read_events(i, bytes, time_ns);
	else if (i->kind == BODY_LINES)
		read_lines(i, bytes, time_ns);
	else if (i->kind == BODY_FRAMES)
		read_frames(i, bytes, time_ns);
	else if (i->kind == BODY_WHOLE)
		read_document(i, bytes);
}

void inference_response_body(struct inference *i, struct span bytes, uint64_t time_ns)
{
	struct span piece;
	enum step step;
	i->response_bytes += bytes.len;
	i->last_body_ns = time_ns;
	if (i->none)
		return;
	if (!i->response_coding) {
		read_body(i, bytes, time_ns);
		return;
	}
	while ((step = coding_next(i->response_coding, &bytes, &piece)) == STEP_EVENT)
		read_body(i, piece, time_ns);
	if (step == STEP_BAD)
		cannot_be_read(i);
}

void inference_response_gap(struct inference *i)
{
	i->incomplete = true;
	if (i->kind == BODY_UNREAD || i->none)
		return;
	if (i->response_coding || i->kind == BODY_WHOLE || i->kind == BODY_FRAMES) {
		cannot_be_read(i);
		return;
	}
	/* The event that is broken must not be taken for one: what is left of it up to the next
	 * line is some unknown field. */
	reply_drop_document(&i->reply);
	sse_init(&i->sse);
	i->lines_open = false;
}

/* ---- the end ------------------------------------------------------------------------------------ */

static void set_output(struct call *c, uint64_t output, enum call_token_source source)
{
	c->token_source = source;
	c->has_output_tokens = true;
	c->output_tokens = output;
}

/* Where the output is told, the prompt's count is of the same source, 0 or not; else 0 is none. */
static void set_input(struct call *c, const struct reply_tokens *t, bool output)
{
	c->has_input_tokens = t->has_input && (output || t->input);
	c->input_tokens = c->has_input_tokens ? t->input : 0;
}

static void set_cached(struct call *c, const struct reply_tokens *t)
{
	if (t->has_cached && !c->has_cached_tokens) {
		c->has_cached_tokens = true;
		c->cached_tokens = t->cached;
	}
}

static bool generates(enum call_endpoint e)
{
	return e != CALL_EMBEDDING && e != CALL_RERANK;
}

/* usage, else the engine's count, else the events that carried content. */
static void count_tokens(const struct inference *i, struct call *c)
{
	const struct reply *r = &i->reply;
	bool output = generates(c->labels.endpoint);
	const struct reply_tokens usage = reply_usage(r, output);
	if (c->incomplete || i->kind == BODY_UNREAD)
		return;
	set_cached(c, &usage);
	set_cached(c, &r->engine);
	if (output && reply_tokens_told(r, &usage)) {
		set_output(c, usage.output, CALL_TOKENS_USAGE);
		set_input(c, &usage, true);
		return;
	}
	set_input(c, &usage, false);
	if (output && reply_tokens_told(r, &r->engine)) {
		set_output(c, r->engine.output, CALL_TOKENS_ENGINE);
		set_input(c, &r->engine, true);
		return;
	}
	if (!c->has_input_tokens)
		set_input(c, &r->engine, false);
	if (output && c->labels.stream && c->events)
		set_output(c, c->events, CALL_TOKENS_EVENTS);
}

/* What is left of a body that ends without its last line end. */
static void end_body(struct inference *i)
{
	if (i->kind == BODY_WHOLE || (i->kind == BODY_LINES && i->lines_open) ||
	    (i->kind == BODY_EVENTS && sse_eof(&i->sse))) {
		if (i->kind == BODY_WHOLE)
			reply_end_document(&i->reply); /* no event: it has no moment of its own */
		else
			end_document(i, i->last_body_ns);
	}
	if (!i->stream && i->kind != BODY_EVENTS)
		i->last_token_ns = i->last_body_ns;
}

static void tell_end(struct inference *i, enum call_error how, uint64_t time_ns)
{
	struct call c;
	tell_of(i, &c);
	/* A request may still come in when the server has shut its side: it ends there. */
	uint64_t least_ns = c.received_ns ? c.received_ns : c.arrived_ns;
	c.ended_ns = time_ns > least_ns ? time_ns : least_ns;
	/* Nobody generates from half a request: the rest of it was lost, and when it came. */
	c.incomplete |= !i->whole && c.http_status / 100 == 2;
	/* A status or an error that was told goes before the way in which the body ended. */
	c.error = outcome_of_status(c.http_status);
	if (c.error == CALL_OK && i->reply.any_failed)
		c.error = CALL_PROVIDER_ERROR;
	if (c.error == CALL_OK)
		c.error = how;
	label(i, &c.labels);
	count_tokens(i, &c);
	copy_word(c.finish_reason, sizeof(c.finish_reason), i->reply.finish_reason);
	i->sink->ended(i->sink->user, &c);
}

static void end(struct inference *i, enum call_error how, uint64_t time_ns)
{
	if (i->started)
		tell_end(i, how, time_ns);
	inference_free(i);
}

/* A stream that says of its choices that they are not finished ends in a finish reason or, in some servers,
 * only in [DONE]. One that ends in neither broke off, though the message is whole: Ollama tells failures
 * in no other way. */
static bool broke_off(const struct inference *i)
{
	return i->kind == BODY_EVENTS && i->reply.goes_on && !i->incomplete && !i->reply.done &&
	       !i->reply.finish_reason[0];
}

void inference_complete(struct inference *i, uint64_t time_ns)
{
	if (i->started)
		end_body(i);
	/* A stream of HTTP/2 may end without a head (RFC 9113 8.1.1: malformed): nothing was answered. */
	bool short_of = i->started && (!i->http_status || broke_off(i));
	end(i, short_of ? CALL_TRUNCATED : CALL_OK, time_ns);
}

void inference_fail(struct inference *i, enum call_error how, uint64_t time_ns)
{
	end(i, how, time_ns);
}

void inference_lose(struct inference *i)
{
	if (i->started) {
		struct call c;
		tell_of(i, &c);
		if (i->first_token_ns)
			label(i, &c.labels);
		i->sink->lost(i->sink->user, &c);
	}
	inference_free(i);
}
