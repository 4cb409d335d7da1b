/*
 * by_stream.h - an HTTP/2 connection: each call has a stream of its own.
 */
#ifndef CALL_BY_STREAM_H
#define CALL_BY_STREAM_H

#include "agent/call/session.h"

struct inference;

struct by_stream;

/* NULL without memory. `server` is borrowed. `upgraded` may be NULL: a call whose request came
 * over HTTP/1, and whose response is stream 1 (RFC 7540 3.2); it is taken over in any case. */
struct by_stream *by_stream_new(struct server *server, struct inference *upgraded);
/* What is open ends as lost. */
void by_stream_free(struct by_stream *b);

void by_stream_bytes(struct by_stream *b, enum session_direction d, struct span bytes,
		     uint64_t time_ns);
void by_stream_gap(struct by_stream *b, enum session_direction d, uint64_t bytes, uint64_t time_ns);

/* As session_lost_in. */
void by_stream_lost_in(struct by_stream *b);

/* Ends what is open. */
void by_stream_fail(struct by_stream *b, enum call_error how, uint64_t time_ns);

/* It cannot be followed any further, and nothing is open. */
bool by_stream_is_over(const struct by_stream *b);

#endif
