/*
 * inference.h - one inference call while it is under way: from its request's head to its end.
 */
#ifndef CALL_INFERENCE_H
#define CALL_INFERENCE_H

#include "agent/call/session.h"
#include "agent/http/event.h"

struct inference;

/* A request has begun. NULL if it is none for an inference endpoint, or without memory. */
struct inference *inference_new(struct server *server, const struct http_head *head,
				uint64_t arrived_ns);

void inference_request_body(struct inference *i, struct span bytes);
/* 0: nobody saw when (the last bytes were lost). */
void inference_request_end(struct inference *i, uint64_t time_ns);

void inference_response_head(struct inference *i, const struct http_head *head);
void inference_response_body(struct inference *i, struct span bytes, uint64_t time_ns);

/* Whether what came of the response ends as its document or its stream does, whatever the message says; then
 * *last_ns is when its last byte was written. */
bool inference_says_whole(const struct inference *i, uint64_t *last_ns);

/* Bytes of its request's or response's body were lost and the rest goes on. */
void inference_request_gap(struct inference *i);
void inference_response_gap(struct inference *i);

/* The ends; each tells the sink (if it was started) and frees. */
void inference_complete(struct inference *i, uint64_t time_ns); /* the response is whole */
void inference_fail(struct inference *i, enum call_error how, uint64_t time_ns);
void inference_lose(struct inference *i);

#endif
