/*
 * Which HTTP it is, its first bytes tell:
 *
 *   SORTING --- "PRI * HTTP/2.0..." of the client ------------------> BY_STREAM
 *      |  '--- a frame of a server that speaks first ----------------^    ^
 *      '------ anything else, or bytes are missing ---> IN_ORDER ---------'  101 to "Upgrade: h2c"
 *
 * How a connection ended is known when it is closed, not before: a half-close (EOF) is legal, and bytes
 * that were lost before a shutdown of the server's side show in the offset of the close alone.
 */
#include "agent/call/session.h"

#include "agent/call/by_stream.h"
#include "agent/call/in_order.h"
#include "agent/http/h2.h"

#include <stdlib.h>

struct session {
	struct server *server;
	/* One of them, or neither: while it is sorted out, and when nothing more is looked at. */
	struct in_order *in_order;
	struct by_stream *by_stream;
	uint64_t shut_ns;  /* when the server shut its writing side; 0 = it did not */
	uint64_t first_ns; /* of the bytes that `preface` counts */
	uint8_t preface;   /* bytes of HTTP/2's preface that came so far */
	bool client_done;  /* the client sends no more, and said so before the server did */
	bool over;	   /* nothing is looked at any more */
};

struct session *session_new(struct server *server)
{
	struct session *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->server = server;
	return s;
}

/* Nothing is kept of what is not followed: such a connection may stay for days. */
static void give_up(struct session *s)
{
	in_order_free(s->in_order);
	by_stream_free(s->by_stream);
	s->in_order = NULL;
	s->by_stream = NULL;
	s->over = true;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	give_up(s);
	free(s);
}

/* ---- which HTTP --------------------------------------------------------------------------------- */

static bool is_sorted(const struct session *s)
{
	return s->over || s->in_order || s->by_stream;
}

static void follow_in_order(struct session *s)
{
	s->in_order = in_order_new(s->server);
	if (!s->in_order)
		give_up(s);
}

static void follow_by_stream(struct session *s, struct inference *upgraded)
{
	in_order_free(s->in_order);
	s->in_order = NULL;
	s->by_stream = by_stream_new(s->server, upgraded);
	if (!s->by_stream)
		give_up(s);
}

static void give_by_stream(struct session *s, enum session_direction d, struct span bytes,
			   uint64_t time_ns)
{
	by_stream_bytes(s->by_stream, d, bytes, time_ns);
	if (by_stream_is_over(s->by_stream))
		give_up(s);
}

static void give_in_order(struct session *s, enum session_direction d, struct span bytes,
			  uint64_t time_ns)
{
	if (in_order_bytes(s->in_order, d, &bytes, time_ns)) {
		follow_by_stream(s, in_order_take_upgraded(s->in_order));
		if (s->by_stream)
			give_by_stream(s, d, bytes, time_ns);
	} else if (in_order_is_over(s->in_order)) {
		give_up(s);
	}
}

static void give_bytes(struct session *s, enum session_direction d, struct span bytes,
		       uint64_t time_ns)
{
	if (s->in_order)
		give_in_order(s, d, bytes, time_ns);
	else if (s->by_stream)
		give_by_stream(s, d, bytes, time_ns);
}

/* What was held back while it could have been the preface. */
static void give_held(struct session *s)
{
	struct span held = span_of(H2_PREFACE, s->preface);
	s->preface = 0;
	if (held.len)
		give_bytes(s, SESSION_IN, held, s->first_ns);
}

/* Takes what belongs to the preface. False: more bytes of it have to come. */
static bool sort_out_request(struct session *s, struct span *bytes, uint64_t time_ns)
{
	if (!s->preface)
		s->first_ns = time_ns;
	while (bytes->len && s->preface < strlen(H2_PREFACE)) {
		if (bytes->at[0] != H2_PREFACE[s->preface]) {
			follow_in_order(s);
			give_held(s);
			return true;
		}
		s->preface++;
		span_skip(bytes, 1);
	}
	if (s->preface < strlen(H2_PREFACE))
		return false;
	follow_by_stream(s, NULL);
	give_held(s);
	return true;
}

/* A server of HTTP/2 may send its SETTINGS before it has read anything (RFC 9113 3.4): a frame begins
 * with the high byte of its length, a response with "HTTP". */
static void sort_out_response(struct session *s, struct span bytes)
{
	if (bytes.at[0] == 0)
		follow_by_stream(s, NULL);
	else
		follow_in_order(s);
	give_held(s);
}

static void sort_out(struct session *s, enum session_direction d, struct span bytes,
		     uint64_t time_ns)
{
	if (d == SESSION_IN && !sort_out_request(s, &bytes, time_ns))
		return;
	if (!is_sorted(s))
		sort_out_response(s, bytes);
	give_bytes(s, d, bytes, time_ns);
}

/* ---- what the connection tells ------------------------------------------------------------------ */

void session_bytes(struct session *s, enum session_direction d, struct span bytes, uint64_t time_ns)
{
	if (d == SESSION_OUT)
		s->shut_ns = 0; /* of another thread, and it came late */
	if (s->over || !bytes.len)
		return;
	if (is_sorted(s))
		give_bytes(s, d, bytes, time_ns);
	else
		sort_out(s, d, bytes, time_ns);
}

void session_gap(struct session *s, enum session_direction d, uint64_t bytes, uint64_t time_ns)
{
	if (!is_sorted(s)) {
		follow_in_order(s);
		give_held(s);
	}
	if (s->in_order)
		in_order_gap(s->in_order, d, bytes, time_ns);
	else if (s->by_stream)
		by_stream_gap(s->by_stream, d, bytes, time_ns);
}

void session_lost_in(struct session *s)
{
	if (s->in_order)
		in_order_lost_in(s->in_order);
	else if (s->by_stream)
		by_stream_lost_in(s->by_stream);
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

static void fail_all(struct session *s, enum call_error how, uint64_t time_ns)
{
	if (s->in_order)
		in_order_fail(s->in_order, how, time_ns);
	if (s->by_stream)
		by_stream_fail(s->by_stream, how, time_ns);
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
	if (s->in_order)
		in_order_server_ended(s->in_order, time_ns);
	fail_all(s, s->client_done ? CALL_CLIENT_DISCONNECT : CALL_TRUNCATED, time_ns);
}

/*
 * The kernel closes for a process that ends. A body that runs to the end of the connection is whole for the
 * client, if it is so by its own words: a child that was forked for one connection just ends. Nobody saw
 * when.
 */
static bool ended_with_its_answer(const struct session *s, uint64_t *time_ns)
{
	return s->shut_ns || (s->in_order && in_order_says_whole(s->in_order, time_ns));
}

void session_close(struct session *s, enum session_end how, uint64_t time_ns)
{
	if (how == SESSION_CLOSED)
		server_ended(s, time_ns);
	else if (how == SESSION_SERVER_DIED && ended_with_its_answer(s, &time_ns))
		server_ended(s, time_ns);
	else if (how == SESSION_SERVER_DIED)
		fail_all(s, CALL_SERVER_CRASH, time_ns);
	give_up(s);
}
