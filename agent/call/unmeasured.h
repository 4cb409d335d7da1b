/*
 * unmeasured.h - inference over protocols that are not read: WebSocket and gRPC.
 */
#ifndef CALL_UNMEASURED_H
#define CALL_UNMEASURED_H

#include "agent/http/event.h"

#include <stdbool.h>

/* Whether a request begins a call over gRPC: POST of application/grpc (gRPC over HTTP2, "Requests") to a
 * method that infers. */
bool unmeasured_is_grpc(const struct http_head *request);

/* Whether a path is one that speaks WebSocket about inference, once the server has switched to it. */
bool unmeasured_is_realtime(struct span target);

/* Whether a response switches to WebSocket (RFC 6455 4.2.2). */
bool unmeasured_is_websocket(const struct http_head *response);

#endif
