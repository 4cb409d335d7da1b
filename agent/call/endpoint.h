/*
 * endpoint.h - which requests are inference calls: one table, one row an endpoint.
 */
#ifndef CALL_ENDPOINT_H
#define CALL_ENDPOINT_H

#include "agent/call/call.h"
#include "agent/http/event.h"

/* Whether a request is an inference call, and of which kind. `path` is the request target. */
bool endpoint_of(enum http_method method, struct span path, enum call_endpoint *endpoint);

/* The target's path without its query, as the client wrote it. */
struct span endpoint_path(struct span target);

#endif
