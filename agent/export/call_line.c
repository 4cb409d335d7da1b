#include "agent/export/call_line.h"

#include "agent/base/utf8.h"
#include "agent/export/clock.h"

#include <jansson.h>
#include <stdio.h>

/* The longest text of a call, each byte of which may become three. */
#define TEXT_BYTES (3u * LIMIT_PATH_BYTES + 1)
_Static_assert(LIMIT_MODEL_BYTES <= LIMIT_PATH_BYTES && LIMIT_PROVIDER_BYTES <= LIMIT_PATH_BYTES &&
		       LIMIT_FINISH_BYTES <= LIMIT_PATH_BYTES,
	       "TEXT_BYTES is enough for all");

/* jansson takes valid UTF-8 only. */
static json_t *text(const char *from, size_t room)
{
	char valid[TEXT_BYTES];
	size_t n = utf8_copy(span_of(from, strnlen(from, room)), valid, sizeof(valid));
	return json_stringn(valid, n);
}

#define TEXT(field) text((field), sizeof(field))

static json_t *number_if(bool known, uint64_t value)
{
	if (!known)
		return json_null();
	return json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX);
}

/* Moments that did not happen are null. */
static json_t *moment(uint64_t ns)
{
	return number_if(ns != 0, ns);
}

static json_t *number(uint64_t value)
{
	return number_if(true, value);
}

/* RFC 3339, in UTC. */
static json_t *wall_time(uint64_t real_ns)
{
	struct timespec t = clock_timespec(real_ns);
	struct tm utc;
	char seconds[32], whole[48];
	if (!gmtime_r(&t.tv_sec, &utc) ||
	    !strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &utc))
		return json_null();
	snprintf(whole, sizeof(whole), "%s.%03ldZ", seconds, t.tv_nsec / 1000000);
	return json_string(whole);
}

static int add_answer(json_t *o, const struct call *c)
{
	int err = 0;
	err |= json_object_set_new(o, "status",
				   json_string(c->error == CALL_OK ? "success" : "error"));
	err |= json_object_set_new(o, "error_type",
				   c->error == CALL_OK ? json_null()
						       : json_string(call_error_name(c->error)));
	err |= json_object_set_new(o, "finish_reason",
				   c->finish_reason[0] ? TEXT(c->finish_reason) : json_null());
	err |= json_object_set_new(o, "input_tokens",
				   number_if(c->has_input_tokens, c->input_tokens));
	err |= json_object_set_new(o, "output_tokens",
				   number_if(c->has_output_tokens, c->output_tokens));
	err |= json_object_set_new(o, "cached_tokens",
				   number_if(c->has_cached_tokens, c->cached_tokens));
	err |= json_object_set_new(o, "reasoning_tokens",
				   number_if(c->has_reasoning_tokens, c->reasoning_tokens));
	err |= json_object_set_new(o, "token_source",
				   json_string(call_token_source_name(c->token_source)));
	err |= json_object_set_new(o, "request_bytes", number(c->request_bytes));
	err |= json_object_set_new(o, "response_bytes", number(c->response_bytes));
	err |= json_object_set_new(o, "events", number(c->events));
	err |= json_object_set_new(o, "incomplete", json_boolean(c->incomplete));
	return err;
}

static int add_request(json_t *o, const struct call *c)
{
	int err = 0;
	err |= json_object_set_new(o, "method", TEXT(c->method));
	err |= json_object_set_new(o, "path", TEXT(c->path));
	err |= json_object_set_new(o, "http_status",
				   number_if(c->http_status != 0, c->http_status));
	err |= json_object_set_new(o, "endpoint_type",
				   json_string(call_endpoint_name(c->labels.endpoint)));
	err |= json_object_set_new(o, "model", TEXT(c->labels.model));
	err |= json_object_set_new(o, "provider", TEXT(c->labels.provider));
	err |= json_object_set_new(o, "stream", json_boolean(c->labels.stream));
	return err;
}

static int add_moments(json_t *o, const struct call *c, uint64_t ended_real_ns)
{
	int err = 0;
	err |= json_object_set_new(o, "arrived_ns", moment(c->arrived_ns));
	err |= json_object_set_new(o, "received_ns", moment(c->received_ns));
	err |= json_object_set_new(o, "first_token_ns", moment(c->first_token_ns));
	err |= json_object_set_new(o, "last_token_ns", moment(c->last_token_ns));
	err |= json_object_set_new(o, "ended_ns", moment(c->ended_ns));
	err |= json_object_set_new(o, "time", wall_time(ended_real_ns));
	return err;
}

/* As text with a newline: dumped twice, since jansson tells the length first. */
static char *dump(const json_t *o)
{
	size_t n = json_dumpb(o, NULL, 0, JSON_COMPACT);
	char *line = n ? malloc(n + 2) : NULL;
	if (!line)
		return NULL;
	json_dumpb(o, line, n, JSON_COMPACT);
	line[n] = '\n';
	line[n + 1] = '\0';
	return line;
}

char *call_line(const struct call *c, uint32_t pid, const char *program, uint64_t ended_real_ns)
{
	json_t *o = json_object();
	if (!o)
		return NULL;
	int err = 0;
	err |= json_object_set_new(o, "pid", number(pid));
	err |= json_object_set_new(o, "program", text(program, LIMIT_PATH_BYTES));
	err |= add_request(o, c);
	err |= add_answer(o, c);
	err |= add_moments(o, c, ended_real_ns);
	char *line = err ? NULL : dump(o);
	json_decref(o);
	return line;
}
