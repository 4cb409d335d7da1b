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
 *
 * How a connection ended is known when it is closed, not before: a half-close (EOF) is legal, and bytes
 * that were lost before a shutdown of the server's side show in the offset of the close alone.
 */
#include "agent/call/session.h"

#include "agent/base/limits.h"
#include "agent/call/endpoint.h"
#include "agent/call/inference.h"
#include "agent/call/server.h"
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
};

struct session {
	struct server *server;
	const struct call_sink *sink;
	struct h1 *in, *out;
	struct exchange *first, *last;
	unsigned waiting;	    /* exchanges in the queue */
	struct exchange *reading;   /* whose request is being read */
	struct exchange *answering; /* whose response is being read */
	bool response_open;	    /* a response is under way, whosever it is */
	uint64_t unasked_ns;	    /* since the last request one began that nobody asked for */
	bool interim;		    /* it is a 1xx */
	uint64_t shut_ns;	    /* when the server shut its writing side; 0 = it did not */
	bool client_done;  /* the client sends no more, and said so before the server did */
	bool requests_bad; /* what the client sends is no HTTP (any more) */
	bool unsure;	   /* after a loss: see above */
	bool blind;	   /* no request began since a loss */
	bool pipelines;	   /* the client does not wait for its responses */
	bool bridging;	   /* bytes are missing: what ends now did so some time before */
	bool given_up;	   /* nothing is looked at any more */
};

struct session *session_new(struct server *server, const struct call_sink *sink)
{
	struct session *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->server = server;
	s->sink = sink;
	s->in = h1_new(H1_REQUESTS);
	s->out = h1_new(H1_RESPONSES);
	if (!s->in || !s->out) {
		session_free(s);
		return NULL;
	}
	return s;
}

/* ---- the queue ---------------------------------------------------------------------------------- */

/* Takes the first exchange off; whoever looks at it looks no longer. Its call is the caller's. */
static struct inference *pop(struct session *s)
{
	struct exchange *e = s->first;
	struct inference *call = e->inference;
	s->first = e->next;
	if (!s->first)
		s->last = NULL;
	if (s->reading == e)
		s->reading = NULL;
	if (s->answering == e)
		s->answering = NULL;
	s->waiting--;
	free(e);
	if (s->first && s->first->head_seen)
		h1_expect(s->out, s->first->method);
	return call;
}

static void lose_all(struct session *s)
{
	while (s->first) {
		struct inference *call = pop(s);
		if (call)
			inference_lose(call);
	}
}

/* Nothing is looked at any more, and nothing kept for it: such a connection may stay for days. */
static void give_up(struct session *s)
{
	lose_all(s);
	h1_free(s->in);
	h1_free(s->out);
	s->in = s->out = NULL;
	s->given_up = true;
}

/* A request that was not seen, or begins. NULL: the connection is given up. */
static struct exchange *push(struct session *s)
{
	struct exchange *e = s->waiting < LIMIT_PIPELINE ? calloc(1, sizeof(*e)) : NULL;
	if (!e) {
		give_up(s);
		return NULL;
	}
	e->doubtful = s->unsure;
	if (s->last)
		s->last->next = e;
	else
		s->first = e;
	s->last = e;
	s->waiting++;
	return e;
}

/* Bytes are missing that belong to no body that goes on. */
static void lost(struct session *s)
{
	s->unsure = s->blind = true;
	if (s->pipelines)
		give_up(s);
}

static void responses_lost(struct session *s)
{
	lose_all(s);
	lost(s);
	s->response_open = false;
}

/* The request that was being read is broken; it will be answered nevertheless. */
static void request_lost(struct session *s)
{
	struct exchange *e = s->reading;
	s->reading = NULL;
	if (e && e->inference) {
		inference_lose(e->inference);
		e->inference = NULL;
	}
	lost(s);
}

/* Whole requests are missing: at least one response is due, unless it was seen. If bytes were missing
 * since the last request already, it may be that one again, or its response may have been lost too. */
static void requests_lost(struct session *s)
{
	if (!s->unasked_ns && !s->blind)
		push(s);
	lost(s);
}

void session_free(struct session *s)
{
	if (!s)
		return;
	give_up(s);
	free(s);
}

/* ---- requests ----------------------------------------------------------------------------------- */

static void request_begins(struct session *s, uint64_t time_ns)
{
	if (time_ns < s->unasked_ns) {
		/* That response was its, and this record comes late: of another thread. */
		s->unasked_ns = 0;
		s->unsure = true;
		return;
	}
	/* Any other response without a request is an answer to something before us, or to the client's
	 * silence: not to this request. */
	s->unasked_ns = 0;
	s->blind = false;
	if (!s->first && !s->response_open)
		s->unsure = false;
	s->reading = push(s);
	if (s->reading)
		s->reading->arrived_ns = time_ns;
}

static void request_head(struct session *s, const struct http_head *head)
{
	struct exchange *e = s->reading;
	enum call_endpoint endpoint;
	if (!e)
		return;
	e->head_seen = true;
	e->method = head->method;
	if (e == s->first)
		h1_expect(s->out, e->method);
	/* An answer that did not wait for the head (a time-out) is to no inference. */
	if (!e->answered && endpoint_of(head->method, head->path, &endpoint))
		e->inference = inference_new(s->server, s->sink, endpoint, head, e->arrived_ns);
}

static struct inference *read_call(const struct session *s)
{
	return s->reading ? s->reading->inference : NULL;
}

static void request_event(struct session *s, const struct http_event *ev, uint64_t time_ns)
{
	struct inference *call = read_call(s);
	switch (ev->type) {
	case HTTP_BEGIN:
		request_begins(s, time_ns);
		break;
	case HTTP_HEAD:
		request_head(s, &ev->head);
		break;
	case HTTP_BODY:
		if (call)
			inference_request_body(call, ev->body);
		break;
	case HTTP_END:
		if (call)
			inference_request_end(call, s->bridging ? 0 : time_ns);
		s->reading = NULL;
		break;
	case HTTP_LOST:
		request_lost(s);
		break;
	case HTTP_UPGRADE:
		break;
	}
}

/* ---- responses ---------------------------------------------------------------------------------- */

/* Whose call the response under way tells of. */
static struct inference *answered_call(const struct session *s)
{
	return s->answering && !s->answering->doubtful ? s->answering->inference : NULL;
}

static void response_head(struct session *s, const struct http_head *head, uint64_t time_ns)
{
	struct inference *call = answered_call(s);
	s->interim = head->status < 200;
	server_saw_response(s->server, head);
	if (s->interim || !s->answering)
		return;
	s->answering->answered = true;
	if (call)
		inference_response_head(call, head, time_ns);
}

static void response_end(struct session *s, uint64_t time_ns)
{
	s->response_open = false;
	if (s->interim || !s->answering)
		return;
	bool doubtful = s->answering->doubtful;
	struct inference *call = pop(s);
	if (call && (s->bridging || doubtful))
		inference_lose(call);
	else if (call)
		inference_complete(call, time_ns);
}

static void response_begins(struct session *s, uint64_t time_ns)
{
	s->response_open = true;
	s->answering = s->first;
	if (!s->first && !s->unasked_ns)
		s->unasked_ns = time_ns;
	if (s->waiting < 2)
		return;
	s->pipelines = true;
	if (s->unsure)
		give_up(s);
}

static void response_event(struct session *s, const struct http_event *ev, uint64_t time_ns)
{
	struct inference *call = answered_call(s);
	switch (ev->type) {
	case HTTP_BEGIN:
		response_begins(s, time_ns);
		break;
	case HTTP_HEAD:
		response_head(s, &ev->head, time_ns);
		break;
	case HTTP_BODY:
		if (call)
			inference_response_body(call, ev->body, time_ns);
		break;
	case HTTP_END:
		response_end(s, time_ns);
		break;
	case HTTP_LOST:
		responses_lost(s);
		break;
	case HTTP_UPGRADE:
		give_up(s);
		break;
	}
}

/* ---- what the connection tells ------------------------------------------------------------------ */

static void drain(struct session *s, enum session_direction d, struct span bytes, uint64_t time_ns)
{
	struct h1 *parser = d == SESSION_IN ? s->in : s->out;
	struct http_event ev;
	enum step step = STEP_EVENT;
	while (!s->given_up && (step = h1_next(parser, &bytes, &ev)) == STEP_EVENT) {
		if (d == SESSION_IN)
			request_event(s, &ev, time_ns);
		else
			response_event(s, &ev, time_ns);
	}
	if (step != STEP_BAD)
		return;
	if (d == SESSION_OUT) {
		give_up(s);
	} else {
		/* What was asked before is still answered, and so may be what is bad: with a 400. */
		s->requests_bad = true;
		s->reading = NULL;
	}
}

static bool is_read(const struct session *s, enum session_direction d)
{
	return !s->given_up && !(d == SESSION_IN && s->requests_bad);
}

void session_bytes(struct session *s, enum session_direction d, struct span bytes, uint64_t time_ns)
{
	if (d == SESSION_OUT)
		s->shut_ns = 0; /* of another thread, and it came late */
	if (is_read(s, d))
		drain(s, d, bytes, time_ns);
}

void session_gap(struct session *s, enum session_direction d, uint64_t bytes, uint64_t time_ns)
{
	struct h1 *parser = d == SESSION_IN ? s->in : s->out;
	if (!is_read(s, d) || !bytes)
		return;
	/* Then no HTTP_LOST comes, but whole messages may be gone. */
	bool between = h1_idle(parser);
	if (h1_gap(parser, bytes)) {
		struct inference *call = d == SESSION_IN ? read_call(s) : answered_call(s);
		if (call && d == SESSION_IN)
			inference_request_gap(call);
		else if (call)
			inference_response_gap(call);
		/* It may have been the last part of the body. */
		s->bridging = true;
		drain(s, d, span_of(NULL, 0), time_ns);
		s->bridging = false;
		return;
	}
	drain(s, d, span_of(NULL, 0), time_ns);
	if (between && d == SESSION_IN)
		requests_lost(s);
	else if (between)
		responses_lost(s);
}

void session_eof(struct session *s, uint64_t time_ns)
{
	(void)time_ns;
	if (!s->shut_ns) /* else it only answers the server's own farewell */
		s->client_done = true;
}

void session_shut(struct session *s, uint64_t time_ns)
{
	if (!s->shut_ns)
		s->shut_ns = time_ns;
}

/* Ends what is open; a request that never was whole and got no response is no call. */
static void fail_all(struct session *s, enum call_error how, uint64_t time_ns)
{
	while (s->first) {
		bool doubtful = s->first->doubtful;
		struct inference *call = pop(s);
		if (call && doubtful)
			inference_lose(call);
		else if (call)
			inference_fail(call, how, time_ns);
	}
}

void session_fail(struct session *s, int error, uint64_t time_ns)
{
	(void)error; /* EPIPE, ECONNRESET, ETIMEDOUT and the like: the client is not to be reached */
	if (s->shut_ns)
		return;
	fail_all(s, CALL_CLIENT_DISCONNECT, time_ns);
	give_up(s);
}

/* The server ended the connection: it wrote all it wanted to write. */
static void server_ended(struct session *s, uint64_t time_ns)
{
	if (s->shut_ns)
		time_ns = s->shut_ns;
	/* A body that runs to the end of the connection is whole now. */
	if (!s->given_up && h1_eof(s->out))
		drain(s, SESSION_OUT, span_of(NULL, 0), time_ns);
	fail_all(s, s->client_done ? CALL_CLIENT_DISCONNECT : CALL_TRUNCATED, time_ns);
}

void session_close(struct session *s, enum session_end how, uint64_t time_ns)
{
	if (how == SESSION_CLOSED || (how == SESSION_SERVER_DIED && s->shut_ns))
		server_ended(s, time_ns);
	else if (how == SESSION_SERVER_DIED)
		fail_all(s, CALL_SERVER_CRASH, time_ns);
	give_up(s);
}
