/*
 * in_order.h - an HTTP/1 connection: responses come in the order of their requests.
 */
#ifndef CALL_IN_ORDER_H
#define CALL_IN_ORDER_H

#include "agent/call/session.h"

struct inference;

struct in_order;

/* NULL without memory. `server` is borrowed. */
struct in_order *in_order_new(struct server *server);
/* What is open ends as lost. */
void in_order_free(struct in_order *o);

/* Takes bytes from the front of *bytes: all of them, unless the connection becomes one of HTTP/2 behind
 * what it took (RFC 7540 3.2): then true. */
bool in_order_bytes(struct in_order *o, enum session_direction d, struct span *bytes,
		    uint64_t time_ns);
/* Then: the call whose response comes over HTTP/2, as stream 1; NULL if its request is none. */
struct inference *in_order_take_upgraded(struct in_order *o);

void in_order_gap(struct in_order *o, enum session_direction d, uint64_t bytes, uint64_t time_ns);

/* As session_lost_in. */
void in_order_lost_in(struct in_order *o);

/* The server ended the connection, and wrote all it wanted to: a body that runs to its end is whole. */
void in_order_server_ended(struct in_order *o, uint64_t time_ns);
/* Whether the response that is under way runs to the end of the connection, and is whole by its own words;
 * then *last_ns is when its last byte was written. */
bool in_order_says_whole(const struct in_order *o, uint64_t *last_ns);
/* Ends what is open. */
void in_order_fail(struct in_order *o, enum call_error how, uint64_t time_ns);

/* Nothing more is looked at, and nothing is open. */
bool in_order_is_over(const struct in_order *o);

#endif
