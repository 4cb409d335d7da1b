/*
 * book.h - a sink that writes down what it is told: each call as a line of JSON with what is not zero,
 * times in ms since CASE_EPOCH. It also holds every call to what is promised of all of them.
 */
#ifndef TESTS_CALL_BOOK_H
#define TESTS_CALL_BOOK_H

#include "tests/unit/call/case.h"

#include <jansson.h>

#define BOOK_CALLS 128

struct book {
	struct call calls[BOOK_CALLS]; /* as they ended */
	bool was_lost[BOOK_CALLS];
	size_t count;
	size_t started, first_tokens;
};

static inline void book_times_in_order(const struct call *c)
{
	assert_true(c->arrived_ns != 0);
	assert_true(!c->received_ns || c->received_ns >= c->arrived_ns);
	assert_true(!c->last_token_ns || c->last_token_ns >= c->first_token_ns);
	assert_true(!c->ended_ns ||
		    (c->ended_ns >= c->arrived_ns && c->ended_ns >= c->last_token_ns));
}

static inline void book_started(void *user, const struct call *c)
{
	struct book *b = user;
	b->started++;
	assert_string_equal(c->labels.model, c->started.model);
	assert_string_equal(c->labels.provider, c->started.provider);
}

static inline void book_first_token(void *user, const struct call *c)
{
	struct book *b = user;
	b->first_tokens++;
	assert_true(c->labels.stream && !c->incomplete && c->first_token_ns);
	book_times_in_order(c);
}

static inline void book_put(struct book *b, const struct call *c, bool lost)
{
	assert_true(b->count < BOOK_CALLS);
	b->was_lost[b->count] = lost;
	b->calls[b->count++] = *c;
}

static inline void book_ended(void *user, const struct call *c)
{
	assert_true(c->ended_ns != 0);
	book_times_in_order(c);
	assert_true(!c->incomplete || (!c->has_output_tokens && !c->has_cached_tokens));
	assert_true(c->has_output_tokens == (c->token_source != CALL_TOKENS_NONE));
	book_put(user, c, false);
}

static inline void book_lost(void *user, const struct call *c)
{
	assert_true(c->ended_ns == 0);
	book_put(user, c, true);
}

static inline struct call_sink book_sink(struct book *b)
{
	*b = (struct book){0};
	return (struct call_sink){book_started, book_first_token, book_ended, book_lost, b, NULL};
}

static inline void book_time(json_t *o, const char *name, uint64_t ns)
{
	if (ns)
		json_object_set_new(o, name, json_integer((ns - CASE_EPOCH) / 1000000));
}

static inline void book_text(json_t *o, const char *name, const char *text)
{
	if (*text)
		json_object_set_new(o, name, json_string(text));
}

static inline void book_number(json_t *o, const char *name, bool has, uint64_t n)
{
	if (has)
		json_object_set_new(o, name, json_integer((json_int_t)n));
}

/* "model provider", "+stream" */
static inline void book_labels(json_t *o, const char *name, const struct call_labels *l)
{
	char text[256];
	snprintf(text, sizeof(text), "%s %s%s", l->provider, l->model, l->stream ? " stream" : "");
	book_text(o, name, text);
}

static inline json_t *book_json(const struct call *c, bool lost)
{
	json_t *o = json_object();
	book_text(o, "call", call_endpoint_name(c->labels.endpoint));
	book_text(o, "path", c->path);
	book_labels(o, "started", &c->started);
	book_time(o, "arrived", c->arrived_ns);
	book_time(o, "received", c->received_ns);
	book_number(o, "request_bytes", true, c->request_bytes);
	if (lost) {
		book_time(o, "first_token", c->first_token_ns);
		book_text(o, "end", "lost");
		return o;
	}
	book_labels(o, "labels", &c->labels);
	book_number(o, "status", c->http_status, c->http_status);
	book_text(o, "error", call_error_name(c->error));
	book_time(o, "first_token", c->first_token_ns);
	book_time(o, "last_token", c->last_token_ns);
	book_time(o, "ended", c->ended_ns);
	book_number(o, "response_bytes", true, c->response_bytes);
	book_number(o, "events", c->events, c->events);
	if (c->token_source)
		book_text(o, "tokens_from", call_token_source_name(c->token_source));
	book_number(o, "input", c->has_input_tokens, c->input_tokens);
	book_number(o, "output", c->has_output_tokens, c->output_tokens);
	book_number(o, "cached", c->has_cached_tokens, c->cached_tokens);
	book_number(o, "reasoning", c->has_reasoning_tokens, c->reasoning_tokens);
	book_text(o, "finish", c->finish_reason);
	if (c->incomplete)
		json_object_set_new(o, "incomplete", json_true());
	return o;
}

#endif
