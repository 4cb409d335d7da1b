/*
 * Requests queue up as they begin; the response that begins is that of the first:
 *
 *   in:   [request 1 ......][request 2 ..]
 *   out:            [100][response 1 .........][response 2 ...]
 *   queue:  1        1          1, 2                2
 *
 * After a loss nobody can say how many messages went with it. Where it broke responses, everything that
 * waits is lost. Where requests are missing, the one behind the hole is doubtful while a response is
 * under way or due: it is followed, and given up as lost when its place in the queue has its turn.
 * Pairing starts anew with a request that begins while nothing is waited for.
 *
 *   in:   [~ lost ~][request 2][request 3]
 *   out:                                  [1 .. that, or 2?
 *   queue:            ?, 2?      ?, 2?, 3?
 *
 * That holds for a client that waits for its responses. One that does not (a response begins while two
 * requests wait) is given up at a loss: what is missing may be more than one request.
 */
#include "agent/call/in_order.h"

#include "agent/base/limits.h"
#include "agent/call/inference.h"
#include "agent/call/server.h"
#include "agent/call/unmeasured.h"
#include "agent/http/h1.h"

#include <stdlib.h>

/* A request and the response to it. */
struct exchange {
	struct exchange *next;
	struct inference *inference; /* NULL: of no interest, kept for the pairing */
	uint64_t arrived_ns;
	enum http_method method;
	bool head_seen; /* of the request */
	bool answered;	/* the head of its response was seen */
	bool doubtful;	/* which response is its nobody can say */
	bool realtime;	/* its path speaks WebSocket, if the server will */
};

struct in_order {
	struct server *server;
	struct h1 in, out;
	struct exchange *first, *last;
	unsigned waiting;	    /* exchanges in the queue */
	struct exchange *reading;   /* whose request is being read */
	struct exchange *answering; /* whose response is being read */
	bool response_open;	    /* a response is under way, whosever it is */
	uint64_t unasked_ns;	    /* since the last request one began that nobody asked for */
	bool interim;		    /* it is a 1xx */
	bool requests_bad;	    /* what the client sends is no HTTP (any more) */
	bool unsure;		    /* after a loss: see above */
	bool blind;		    /* no request began since a loss */
	bool pipelines;		    /* the client does not wait for its responses */
	bool closing;		    /* the last response said that it is the last one */
	bool bridging;		    /* bytes are missing: what ends now did so some time before */
	bool upgraded;		    /* what follows the response's head is HTTP/2 */
	bool given_up;		    /* nothing is looked at any more */
};

struct in_order *in_order_new(struct server *server)
{
	struct in_order *o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	o->server = server;
	h1_init(&o->in, H1_REQUESTS);
	h1_init(&o->out, H1_RESPONSES);
	return o;
}

/* ---- the queue ---------------------------------------------------------------------------------- */

/* Takes the first exchange off; whoever looks at it looks no longer. Its call is the caller's. */
static struct inference *pop(struct in_order *o)
{
	struct exchange *e = o->first;
	struct inference *call = e->inference;
	o->first = e->next;
	if (!o->first)
		o->last = NULL;
	if (o->reading == e)
		o->reading = NULL;
	if (o->answering == e)
		o->answering = NULL;
	o->waiting--;
	free(e);
	if (o->first && o->first->head_seen)
		h1_expect(&o->out, o->first->method);
	return call;
}

static void lose_all(struct in_order *o)
{
	while (o->first) {
		struct inference *call = pop(o);
		if (call)
			inference_lose(call);
	}
}

/* Nothing is looked at any more, and nothing kept for it: such a connection may stay for days. */
static void give_up(struct in_order *o)
{
	lose_all(o);
	h1_release(&o->in);
	h1_release(&o->out);
	o->given_up = true;
}

/* A request that was not seen, or begins. NULL: the connection is given up. */
static struct exchange *push(struct in_order *o)
{
	struct exchange *e = o->waiting < LIMIT_PIPELINE ? calloc(1, sizeof(*e)) : NULL;
	if (!e) {
		give_up(o);
		return NULL;
	}
	e->doubtful = o->unsure;
	if (o->last)
		o->last->next = e;
	else
		o->first = e;
	o->last = e;
	o->waiting++;
	return e;
}

/* Bytes are missing that belong to no body that goes on. */
static void lost(struct in_order *o)
{
	o->unsure = o->blind = true;
	if (o->pipelines)
		give_up(o);
}

static void responses_lost(struct in_order *o)
{
	lose_all(o);
	lost(o);
	o->response_open = false;
}

/* The request that was being read is broken; it will be answered nevertheless. */
static void request_lost(struct in_order *o)
{
	struct exchange *e = o->reading;
	o->reading = NULL;
	if (e && e->inference) {
		inference_lose(e->inference);
		e->inference = NULL;
	}
	lost(o);
}

/* Whole requests are missing: at least one response is due, unless it was seen. If bytes were missing
 * since the last request already, it may be that one again, or its response may have been lost too. */
static void requests_lost(struct in_order *o)
{
	if (!o->unasked_ns && !o->blind)
		push(o);
	lost(o);
}

void in_order_free(struct in_order *o)
{
	if (!o)
		return;
	give_up(o);
	free(o);
}

/* ---- requests ----------------------------------------------------------------------------------- */

static void request_begins(struct in_order *o, uint64_t time_ns)
{
	if (time_ns < o->unasked_ns) {
		/* That response was its, and this record comes late: of another thread. */
		o->unasked_ns = 0;
		o->unsure = true;
		return;
	}
	/* Any other response without a request is an answer to something before us, or to the client's
	 * silence: not to this request. */
	o->unasked_ns = 0;
	o->blind = false;
	if (!o->first && !o->response_open)
		o->unsure = false;
	o->reading = push(o);
	if (o->reading)
		o->reading->arrived_ns = time_ns;
}

static void request_head(struct in_order *o, const struct http_head *head)
{
	struct exchange *e = o->reading;
	if (!e)
		return;
	e->head_seen = true;
	e->method = head->method;
	e->realtime = unmeasured_is_realtime(head->path);
	if (e == o->first)
		h1_expect(&o->out, e->method);
	/* An answer that did not wait for the head (a time-out) is to no inference. */
	if (!e->answered)
		e->inference = inference_new(o->server, head, e->arrived_ns);
}

static struct inference *read_call(const struct in_order *o)
{
	return o->reading ? o->reading->inference : NULL;
}

static void request_event(struct in_order *o, const struct http_event *ev, uint64_t time_ns)
{
	struct inference *call = read_call(o);
	switch (ev->type) {
	case HTTP_BEGIN:
		request_begins(o, time_ns);
		break;
	case HTTP_HEAD:
		request_head(o, &ev->head);
		break;
	case HTTP_BODY:
		if (call)
			inference_request_body(call, ev->body);
		break;
	case HTTP_END:
		if (call)
			inference_request_end(call, o->bridging ? 0 : time_ns);
		o->reading = NULL;
		break;
	case HTTP_LOST:
		request_lost(o);
		break;
	case HTTP_UPGRADE:
		break;
	}
}

/* ---- responses ---------------------------------------------------------------------------------- */

/* Whose call the response under way tells of. */
static struct inference *answered_call(const struct in_order *o)
{
	return o->answering && !o->answering->doubtful ? o->answering->inference : NULL;
}

static void response_head(struct in_order *o, const struct http_head *head)
{
	struct inference *call = answered_call(o);
	o->interim = head->status < 200;
	server_saw_response(o->server, head);
	if (o->interim || !o->answering)
		return;
	o->answering->answered = true;
	o->closing = span_is_nocase(http_field(head->fields, "connection"), "close");
	if (call)
		inference_response_head(call, head);
}

static void response_end(struct in_order *o, uint64_t time_ns)
{
	o->response_open = false;
	if (o->interim || !o->answering)
		return;
	bool doubtful = o->answering->doubtful;
	struct inference *call = pop(o);
	if (call && (o->bridging || doubtful))
		inference_lose(call);
	else if (call)
		inference_complete(call, time_ns);
}

static void response_begins(struct in_order *o, uint64_t time_ns)
{
	o->response_open = true;
	o->answering = o->first;
	if (!o->first && !o->unasked_ns)
		o->unasked_ns = time_ns;
	if (o->waiting < 2)
		return;
	o->pipelines = true;
	if (o->unsure)
		give_up(o);
}

/* RFC 7540 3.2: 101 to a request that asked for it and is whole; its answer comes over HTTP/2. Which
 * protocol was chosen the 101 says itself (RFC 9110 7.8). */
static bool becomes_http2(const struct in_order *o, const struct http_head *head)
{
	return head->status == 101 && span_is_nocase(http_field(head->fields, "upgrade"), "h2c") &&
	       o->waiting == 1 && !o->reading && !o->unsure;
}

static void leave_http(struct in_order *o, const struct http_head *head)
{
	const struct call_sink *sink = server_sink(o->server);
	if (o->answering && o->answering->realtime && !o->answering->doubtful &&
	    unmeasured_is_websocket(head) && sink->unmeasured)
		sink->unmeasured(sink->user, CALL_UNMEASURED_WEBSOCKET);
	give_up(o);
}

static void response_event(struct in_order *o, const struct http_event *ev, uint64_t time_ns)
{
	struct inference *call = answered_call(o);
	switch (ev->type) {
	case HTTP_BEGIN:
		response_begins(o, time_ns);
		break;
	case HTTP_HEAD:
		response_head(o, &ev->head);
		break;
	case HTTP_BODY:
		if (call)
			inference_response_body(call, ev->body, time_ns);
		break;
	case HTTP_END:
		response_end(o, time_ns);
		break;
	case HTTP_LOST:
		responses_lost(o);
		break;
	case HTTP_UPGRADE:
		if (becomes_http2(o, &ev->head))
			o->upgraded = true;
		else
			leave_http(o, &ev->head);
		break;
	}
}

/* ---- what the connection tells ------------------------------------------------------------------ */

/* Leaves in *bytes what lies behind the head of an answer by which HTTP/2 begins. */
static void drain(struct in_order *o, enum session_direction d, struct span *bytes,
		  uint64_t time_ns)
{
	struct h1 *parser = d == SESSION_IN ? &o->in : &o->out;
	struct http_event ev;
	enum step step = STEP_EVENT;
	while (!o->given_up && !o->upgraded && (step = h1_next(parser, bytes, &ev)) == STEP_EVENT) {
		if (d == SESSION_IN)
			request_event(o, &ev, time_ns);
		else
			response_event(o, &ev, time_ns);
	}
	if (step != STEP_BAD)
		return;
	if (d == SESSION_OUT) {
		give_up(o);
	} else {
		/* What was asked before is still answered, and so may be what is bad: with a 400. */
		o->requests_bad = true;
		o->reading = NULL;
	}
}

/* With no bytes: what a gap or the end of the connection has left to tell. */
static void drain_rest(struct in_order *o, enum session_direction d, uint64_t time_ns)
{
	struct span none = span_of(NULL, 0);
	drain(o, d, &none, time_ns);
}

static bool is_read(const struct in_order *o, enum session_direction d)
{
	return !o->given_up && !(d == SESSION_IN && o->requests_bad);
}

bool in_order_bytes(struct in_order *o, enum session_direction d, struct span *bytes,
		    uint64_t time_ns)
{
	if (is_read(o, d))
		drain(o, d, bytes, time_ns);
	return o->upgraded;
}

struct inference *in_order_take_upgraded(struct in_order *o)
{
	struct inference *call = o->first ? pop(o) : NULL;
	give_up(o);
	return call;
}

void in_order_gap(struct in_order *o, enum session_direction d, uint64_t bytes, uint64_t time_ns)
{
	struct h1 *parser = d == SESSION_IN ? &o->in : &o->out;
	if (!is_read(o, d) || !bytes)
		return;
	/* Then no HTTP_LOST comes, but whole messages may be gone. */
	bool between = h1_idle(parser);
	if (h1_gap(parser, bytes)) {
		struct inference *call = d == SESSION_IN ? read_call(o) : answered_call(o);
		if (call && d == SESSION_IN)
			inference_request_gap(call);
		else if (call)
			inference_response_gap(call);
		/* It may have been the last part of the body. */
		o->bridging = true;
		drain_rest(o, d, time_ns);
		o->bridging = false;
		return;
	}
	drain_rest(o, d, time_ns);
	if (between && d == SESSION_IN)
		requests_lost(o);
	else if (between)
		responses_lost(o);
}

void in_order_lost_in(struct in_order *o)
{
	struct inference *call = read_call(o);
	if (call)
		inference_request_gap(call);
}

bool in_order_says_whole(const struct in_order *o, uint64_t *last_ns)
{
	struct inference *call = o->given_up ? NULL : answered_call(o);
	return call && h1_runs_to_the_end(&o->out) && inference_says_whole(call, last_ns);
}

void in_order_server_ended(struct in_order *o, uint64_t time_ns)
{
	if (!o->given_up && h1_eof(&o->out))
		drain_rest(o, SESSION_OUT, time_ns);
}

/* A request that never was whole and got no response is no call. One behind a response that said it was the
 * last is not looked at (RFC 9112 9.6): it is as if the server were not there, whoever closes first. */
void in_order_fail(struct in_order *o, enum call_error how, uint64_t time_ns)
{
	while (o->first) {
		bool doubtful = o->first->doubtful, refused = o->closing && !o->first->answered;
		struct inference *call = pop(o);
		if (call && doubtful)
			inference_lose(call);
		else if (call)
			inference_fail(call, refused ? CALL_UNAVAILABLE : how, time_ns);
	}
}

bool in_order_is_over(const struct in_order *o)
{
	return o->given_up;
}
