/*
 * A stream is known from its request's head to the end of its response, or to a RST_STREAM of either
 * side; only those of calls are kept. Where the fields' compression or the framing is lost, all is: a
 * label that was made up from a wrong table would be a wrong number.
 */
#include "agent/call/by_stream.h"

#include "agent/base/limits.h"
#include "agent/call/inference.h"
#include "agent/call/server.h"
#include "agent/call/unmeasured.h"
#include "agent/http/h2.h"

#include <stdlib.h>

#define CHAINS_LEAST 4u

struct stream {
	struct stream *next; /* of its chain */
	struct inference *call;
	uint32_t id;
	bool whole; /* the request is */
};

struct by_stream {
	struct server *server;
	struct h2 *in, *out;
	struct stream **chains; /* open streams, by id */
	uint32_t chain_count;	/* a power of two */
	uint32_t open;
	uint32_t newest; /* of the streams that the client began */
	bool bridging;	 /* bytes are missing: what ends now did so some time before */
	bool over;
};

/* ---- open streams ------------------------------------------------------------------------------- */

/* Clients use odd ids, one after the other. */
static struct stream **chain_of(const struct by_stream *b, uint32_t id)
{
	return &b->chains[(id >> 1) & (b->chain_count - 1)];
}

/* Where the pointer to it is; NULL if it is not open, or no call's. */
static struct stream **find(const struct by_stream *b, uint32_t id)
{
	if (!b->open)
		return NULL;
	for (struct stream **at = chain_of(b, id); *at; at = &(*at)->next) {
		if ((*at)->id == id)
			return at;
	}
	return NULL;
}

/* Its call is the caller's. */
static struct inference *take_off(struct by_stream *b, struct stream **at)
{
	struct stream *s = *at;
	struct inference *call = s->call;
	*at = s->next;
	b->open--;
	free(s);
	return call;
}

static bool make_room(struct by_stream *b)
{
	if (b->open < b->chain_count)
		return true;
	uint32_t count = b->chain_count ? b->chain_count * 2 : CHAINS_LEAST;
	struct by_stream wider = *b;
	wider.chain_count = count;
	wider.chains = calloc(count, sizeof(*wider.chains));
	if (!wider.chains)
		return false;
	for (uint32_t i = 0; i < b->chain_count; i++) {
		while (b->chains[i]) {
			struct stream *s = b->chains[i], **to = chain_of(&wider, s->id);
			b->chains[i] = s->next;
			s->next = *to;
			*to = s;
		}
	}
	free(b->chains);
	b->chains = wider.chains;
	b->chain_count = count;
	return true;
}

/* False without memory, or with too many: then the call is still the caller's. */
static bool put_on(struct by_stream *b, uint32_t id, struct inference *call, bool whole)
{
	struct stream *s = b->open < LIMIT_STREAMS && make_room(b) ? malloc(sizeof(*s)) : NULL;
	if (!s)
		return false;
	struct stream **to = chain_of(b, id);
	*s = (struct stream){.next = *to, .call = call, .id = id, .whole = whole};
	*to = s;
	b->open++;
	return true;
}

/* Takes the open streams above `id` off and gives each call to `end`. */
static void end_above(struct by_stream *b, uint32_t id, enum call_error how, uint64_t time_ns,
		      void (*end)(struct inference *call, enum call_error how, uint64_t time_ns))
{
	for (uint32_t i = 0; i < b->chain_count; i++) {
		struct stream **at = &b->chains[i];
		while (*at) {
			if ((*at)->id > id)
				end(take_off(b, at), how, time_ns);
			else
				at = &(*at)->next;
		}
	}
}

static void lose(struct inference *call, enum call_error how, uint64_t time_ns)
{
	(void)how, (void)time_ns;
	inference_lose(call);
}

static void give_up(struct by_stream *b)
{
	end_above(b, 0, CALL_OK, 0, lose);
	h2_free(b->in);
	h2_free(b->out);
	free(b->chains);
	b->in = b->out = NULL;
	b->chains = NULL;
	b->chain_count = 0;
	b->over = true;
}

/* ---- the connection ----------------------------------------------------------------------------- */

struct by_stream *by_stream_new(struct server *server, struct inference *upgraded)
{
	struct by_stream *b = calloc(1, sizeof(*b));
	if (b) {
		b->server = server;
		b->in = h2_new(H2_REQUESTS);
		b->out = h2_new(H2_RESPONSES);
		b->newest = upgraded ? 1 : 0;
	}
	if (b && b->in && b->out && (!upgraded || put_on(b, 1, upgraded, true)))
		return b;
	if (upgraded)
		inference_lose(upgraded);
	by_stream_free(b);
	return NULL;
}

void by_stream_free(struct by_stream *b)
{
	if (!b)
		return;
	give_up(b);
	free(b);
}

bool by_stream_is_over(const struct by_stream *b)
{
	return b->over;
}

void by_stream_fail(struct by_stream *b, enum call_error how, uint64_t time_ns)
{
	end_above(b, 0, how, time_ns, inference_fail);
}

/* ---- requests ----------------------------------------------------------------------------------- */

static void request_head(struct by_stream *b, const struct h2_event *ev)
{
	/* Only a new stream can begin with it, and ids only grow (RFC 9113 5.1.1). */
	if (ev->stream % 2 == 0 || ev->stream <= b->newest)
		return;
	b->newest = ev->stream;
	const struct call_sink *sink = server_sink(b->server);
	if (unmeasured_is_grpc(&ev->head) && sink->unmeasured)
		sink->unmeasured(sink->user, CALL_UNMEASURED_GRPC);
	struct inference *call = inference_new(b->server, &ev->head, ev->began_ns);
	if (!call || put_on(b, ev->stream, call, false))
		return;
	inference_lose(call);
	give_up(b);
}

static void request_event(struct by_stream *b, const struct h2_event *ev, uint64_t time_ns)
{
	struct stream **at = ev->type == H2_HEAD ? NULL : find(b, ev->stream);
	struct stream *s = at ? *at : NULL;
	switch (ev->type) {
	case H2_HEAD:
		request_head(b, ev);
		break;
	case H2_BODY:
		if (s && !s->whole)
			inference_request_body(s->call, ev->body);
		break;
	case H2_END:
		if (s && !s->whole)
			inference_request_end(s->call, b->bridging ? 0 : time_ns);
		if (s)
			s->whole = true;
		break;
	case H2_RESET:
		if (s)
			inference_fail(take_off(b, at), CALL_CLIENT_DISCONNECT, time_ns);
		break;
	case H2_AWAY: /* the client begins no more, and waits for what it began */
		break;
	}
}

/* ---- responses ---------------------------------------------------------------------------------- */

static void response_head(struct by_stream *b, struct stream *s, const struct h2_event *ev)
{
	server_saw_response(b->server, &ev->head);
	if (s && ev->head.status >= 200)
		inference_response_head(s->call, &ev->head);
}

/* A stream that was not looked at at all may be sent again (RFC 9113 8.7). */
static enum call_error reset_error(uint32_t code)
{
	return code == H2_REFUSED_STREAM ? CALL_UNAVAILABLE : CALL_TRUNCATED;
}

static void response_event(struct by_stream *b, const struct h2_event *ev, uint64_t time_ns)
{
	struct stream **at = ev->type == H2_AWAY ? NULL : find(b, ev->stream);
	switch (ev->type) {
	case H2_HEAD:
		response_head(b, at ? *at : NULL, ev);
		break;
	case H2_BODY:
		if (at)
			inference_response_body((*at)->call, ev->body, time_ns);
		break;
	case H2_END:
		if (at && b->bridging)
			inference_lose(take_off(b, at));
		else if (at)
			inference_complete(take_off(b, at), time_ns);
		break;
	case H2_RESET:
		if (at)
			inference_fail(take_off(b, at), reset_error(ev->error), time_ns);
		break;
	case H2_AWAY:
		end_above(b, ev->stream, CALL_UNAVAILABLE, time_ns, inference_fail);
		break;
	}
}

/* ---- what the connection tells ------------------------------------------------------------------ */

void by_stream_bytes(struct by_stream *b, enum session_direction d, struct span bytes,
		     uint64_t time_ns)
{
	struct h2_event ev;
	enum step step = STEP_EVENT;
	while (!b->over && step == STEP_EVENT) {
		step = h2_next(d == SESSION_IN ? b->in : b->out, &bytes, time_ns, &ev);
		if (step == STEP_EVENT && d == SESSION_IN)
			request_event(b, &ev, time_ns);
		else if (step == STEP_EVENT)
			response_event(b, &ev, time_ns);
	}
	if (step == STEP_BAD)
		give_up(b);
}

void by_stream_gap(struct by_stream *b, enum session_direction d, uint64_t bytes, uint64_t time_ns)
{
	uint32_t id;
	if (b->over)
		return;
	if (!h2_gap(d == SESSION_IN ? b->in : b->out, bytes, &id)) {
		give_up(b);
		return;
	}
	struct stream **at = find(b, id);
	if (at && d == SESSION_IN)
		inference_request_gap((*at)->call);
	else if (at)
		inference_response_gap((*at)->call);
	/* It may have been the last of its frame. */
	b->bridging = true;
	by_stream_bytes(b, d, span_of(NULL, 0), time_ns);
	b->bridging = false;
}

/* Of which stream they were nobody can say. */
void by_stream_lost_in(struct by_stream *b)
{
	for (uint32_t i = 0; i < b->chain_count; i++) {
		for (struct stream *s = b->chains[i]; s; s = s->next) {
			if (!s->whole)
				inference_request_gap(s->call);
		}
	}
}
