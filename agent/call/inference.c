/*
 *   request head     request whole      response head      events, last byte     the end
 *   NEW -----------> (received) ------> started ---------> body read ----------> ended
 *                     |                  ^                   |
 *                     +-- started -------+ (or here, if the  +-- first_token, once
 *                         (recognised)      response is first)
 *
 * On some paths the request's body tells whether there is a call at all (endpoint.h). One that turns
 * out to be none is never told to the sink.
 */
#include "agent/call/inference.h"

#include "agent/call/asked.h"
#include "agent/call/outcome.h"
#include "agent/call/provider.h"
#include "agent/call/request.h"
#include "agent/call/response.h"
#include "agent/call/server.h"
#include "agent/call/words.h"

#include <stdlib.h>

/* A live stream pays for this. A struct call is made of it where the sink is told. */
struct inference {
	struct request request;
	struct response response;
	const char *method, *path;    /* words of the server */
	const char *model, *provider; /* the same: those of concurrent_requests */
	uint64_t arrived_ns, received_ns, first_token_ns, last_token_ns; /* as in struct call */
	uint64_t last_body_ns;
	uint64_t request_bytes, response_bytes, events; /* the same */
	struct endpoint endpoint;
	enum call_endpoint type : 8; /* a label of concurrent_requests, */
	bool asked_stream;	     /* and another */
	bool stream;		     /* the response does */
	bool incomplete;	     /* bytes of it were lost */
	bool whole;		     /* the request is complete */
	bool started;
	bool none; /* the body has told that it is no inference */
	uint16_t http_status;
};

/* ---- its begin and its memory ------------------------------------------------------------------- */

static struct server *server_of(const struct inference *i)
{
	return i->request.server;
}

static void inference_free(struct inference *i)
{
	struct words *words = server_words(server_of(i));
	request_release(&i->request);
	response_release(&i->response);
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
	words_set(server_words(server_of(i)), &i->method, text);
	server_text_label(endpoint_path(head->path), text, sizeof(text));
	words_set(server_words(server_of(i)), &i->path, text);
}

struct inference *inference_new(struct server *server, const struct http_head *head,
				uint64_t arrived_ns)
{
	struct endpoint endpoint;
	char model[LIMIT_MODEL_BYTES];
	if (!endpoint_find(head->method, head->path, server_configured(server), &endpoint, model))
		return NULL;
	struct inference *i = calloc(1, sizeof(*i));
	if (!i || request_init(&i->request, server, head, model) != 0) {
		free(i);
		return NULL;
	}
	response_init(&i->response, server);
	i->method = i->path = i->model = i->provider = "";
	i->endpoint = endpoint;
	i->arrived_ns = arrived_ns;
	keep_head(i, head);
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

/* ---- the request -------------------------------------------------------------------------------- */

void inference_request_body(struct inference *i, struct span bytes)
{
	i->request_bytes += bytes.len;
	request_body(&i->request, bytes);
}

/* The model as far as it can be known without a response. */
static const char *asked_model(const struct inference *i)
{
	const char *asked = i->request.model, *only = server_only_model(server_of(i));
	if (only && provider_ignores_model(server_provider(server_of(i)), asked))
		return only;
	if (asked[0])
		return asked;
	/* What was not read may have named another. */
	return only && i->whole && !i->request.unread ? only : "unknown";
}

/* The labels of concurrent_requests are fixed. False without memory: what is counted up with one label must
 * not be counted down with another. */
static bool fix_labels(struct inference *i)
{
	struct words *words = server_words(server_of(i));
	char provider[LIMIT_PROVIDER_BYTES];
	const char *model = asked_model(i);
	server_provider_label(server_of(i), model, provider, sizeof(provider));
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
	i->started = asked_kind(&i->endpoint, &i->request, &type) && fix_labels(i);
	i->none = !i->started;
	if (i->none)
		return;
	i->type = type;
	i->stream = i->asked_stream = asked_stream(&i->endpoint, &i->request);
	tell_of(i, &c);
	const struct call_sink *sink = server_sink(server_of(i));
	sink->started(sink->user, &c);
}

void inference_request_end(struct inference *i, uint64_t time_ns)
{
	request_end(&i->request);
	i->whole = true;
	i->received_ns = time_ns;
	start(i);
}

void inference_request_gap(struct inference *i)
{
	i->incomplete = true;
	request_unreadable(&i->request);
}

/* ---- the response ------------------------------------------------------------------------------- */

void inference_response_head(struct inference *i, const struct http_head *head)
{
	start(i);
	if (i->none)
		return;
	i->http_status = (uint16_t)head->status;
	i->stream = response_head(&i->response, head);
}

/* The model of a call that the server took on. A name that it served is one for good. */
static const char *served_model(struct inference *i)
{
	const char *asked = i->request.model, *replied = i->response.reply.model;
	bool ignores = provider_ignores_model(server_provider(server_of(i)), asked);
	const char *model = asked[0] && !(ignores && replied[0]) ? asked : replied;
	if (!model[0] || (ignores && !replied[0]))
		return asked_model(i);
	server_proved_model(server_of(i), model);
	return model;
}

/* TGI and mistral.rs refuse in a 200 what they stream: that proves no model. */
static bool was_served(const struct inference *i)
{
	const struct reply *r = &i->response.reply;
	return i->http_status / 100 == 2 && !(r->any_failed && !r->content_documents);
}

/* The labels, by what is known now. */
static void label(struct inference *i, struct call_labels *l)
{
	const char *model =
		was_served(i) ? served_model(i) : server_error_model(server_of(i), asked_model(i));
	copy_word(l->model, sizeof(l->model), model);
	server_provider_label(server_of(i), model, l->provider, sizeof(l->provider));
}

/* An event that carries generated content was written. */
static void on_token(void *user)
{
	struct inference *i = user;
	i->events++;
	i->last_token_ns = i->last_body_ns;
	if (i->first_token_ns || i->http_status / 100 != 2)
		return;
	/* With bytes missing an earlier token may have been among them. */
	if (i->incomplete || !i->whole)
		return;
	i->first_token_ns = i->last_body_ns;
	struct call c;
	tell_of(i, &c);
	label(i, &c.labels);
	const struct call_sink *sink = server_sink(server_of(i));
	sink->first_token(sink->user, &c);
}

void inference_response_body(struct inference *i, struct span bytes, uint64_t time_ns)
{
	i->response_bytes += bytes.len;
	i->last_body_ns = time_ns;
	if (!i->none)
		response_body(&i->response, bytes, on_token, i);
}

void inference_response_gap(struct inference *i)
{
	i->incomplete = true;
	response_gap(&i->response);
}

bool inference_says_whole(const struct inference *i, uint64_t *last_ns)
{
	if (!i->started || i->incomplete || !response_says_whole(&i->response))
		return false;
	*last_ns = i->last_body_ns;
	return true;
}

/* ---- the end ------------------------------------------------------------------------------------ */

static void set_output(struct call *c, uint64_t output, enum call_token_source source)
{
	c->token_source = source;
	c->has_output_tokens = true;
	c->output_tokens = output;
}

/* Where the output is told, the prompt's count is of the same source, 0 or not; else 0 is none. */
static void set_input(struct call *c, const struct tokens *t, bool output)
{
	c->has_input_tokens = t->has_input && (output || t->input);
	c->input_tokens = c->has_input_tokens ? t->input : 0;
}

static void set_cached(struct call *c, const struct tokens *t)
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
	const struct reply *r = &i->response.reply;
	bool output = generates(c->labels.endpoint);
	const struct tokens *engine = &r->tally.engine;
	const struct tokens usage = tally_result(&r->tally, output);
	if (c->incomplete || i->response.kind == RESPONSE_UNREAD)
		return;
	set_cached(c, &usage);
	set_cached(c, engine);
	if (output && tokens_are_told(&usage, r->content_documents)) {
		set_output(c, usage.output, CALL_TOKENS_USAGE);
		c->has_reasoning_tokens = usage.has_reasoning;
		c->reasoning_tokens = usage.reasoning;
		set_input(c, &usage, true);
		return;
	}
	set_input(c, &usage, false);
	if (output && tokens_are_told(engine, r->content_documents)) {
		set_output(c, engine->output, CALL_TOKENS_ENGINE);
		set_input(c, engine, true);
		return;
	}
	if (!c->has_input_tokens)
		set_input(c, engine, false);
	if (output && c->labels.stream && c->events)
		set_output(c, c->events, CALL_TOKENS_EVENTS);
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
	if (c.error == CALL_OK && i->response.reply.any_failed)
		c.error = CALL_PROVIDER_ERROR;
	if (c.error == CALL_OK)
		c.error = how;
	label(i, &c.labels);
	count_tokens(i, &c);
	copy_word(c.finish_reason, sizeof(c.finish_reason), i->response.reply.finish_reason);
	const struct call_sink *sink = server_sink(server_of(i));
	sink->ended(sink->user, &c);
}

static void end(struct inference *i, enum call_error how, uint64_t time_ns)
{
	if (i->started)
		tell_end(i, how, time_ns);
	inference_free(i);
}

void inference_complete(struct inference *i, uint64_t time_ns)
{
	if (i->started) {
		response_end(&i->response, on_token, i);
		if (!i->stream)
			i->last_token_ns = i->last_body_ns;
	}
	/* A stream of HTTP/2 may end without a head (RFC 9113 8.1.1: malformed): nothing was answered. */
	bool broke_off = !i->incomplete && response_broke_off(&i->response);
	bool short_of = i->started && (!i->http_status || broke_off);
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
		const struct call_sink *sink = server_sink(server_of(i));
		sink->lost(sink->user, &c);
	}
	inference_free(i);
}
