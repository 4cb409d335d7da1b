/*
 * asked.h - what an endpoint and what its request's body holds make of a request: whether it is an
 * inference, of which kind, and whether its answer will stream.
 */
#ifndef CALL_ASKED_H
#define CALL_ASKED_H

#include "agent/call/call.h"
#include "agent/call/endpoint.h"
#include "agent/call/request.h"

/* False: it is no inference. */
bool asked_kind(const struct endpoint *e, const struct request *r, enum call_endpoint *type);
bool asked_stream(const struct endpoint *e, const struct request *r);

#endif
