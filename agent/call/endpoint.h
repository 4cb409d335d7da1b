/*
 * endpoint.h - which requests are inference calls: one table, one row an endpoint.
 */
#ifndef CALL_ENDPOINT_H
#define CALL_ENDPOINT_H

#include "agent/call/call.h"
#include "agent/http/event.h"

/* What decides whether a request on the path is a call, and of which kind. */
enum endpoint_rule {
	ENDPOINT_BY_PATH,	/* the path alone */
	ENDPOINT_WITH_PROMPT,	/* the path, if there is a prompt; else a model is only loaded */
	ENDPOINT_WITH_MESSAGES, /* the path, if there are messages; the same */
	ENDPOINT_BY_BODY,	/* what the request's body holds */
	ENDPOINT_NOT,		/* none: what looks like an endpoint and is not */
};

/* Whether the answer streams, as far as the request tells. */
enum endpoint_stream {
	ENDPOINT_STREAM_ASKED,	 /* where `stream` is true */
	ENDPOINT_STREAM_DEFAULT, /* unless `stream` is false */
	ENDPOINT_STREAM_ALWAYS,
};

struct endpoint {
	enum endpoint_rule rule : 8;
	enum call_endpoint type : 8; /* ENDPOINT_BY_BODY: what `inputs` is to an embedding server */
	enum endpoint_stream stream : 8;
};

struct configured;

/* False for what is no inference, whatever its body. `target` is the request target; `own` are the entries
 * of the server's user, or NULL; `model` gets the model in the path as a label, empty if there is none. */
bool endpoint_find(enum http_method method, struct span target, const struct configured *own,
		   struct endpoint *e, char model[LIMIT_MODEL_BYTES]);

/* The target's path without its query, as the client wrote it. */
struct span endpoint_path(struct span target);

#endif
