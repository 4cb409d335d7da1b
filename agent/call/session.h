/*
 * session.h - one accepted connection: bytes of both directions in, calls out (to the server's call_sink).
 *
 * The session owns the HTTP parsers of both directions, pairs requests with responses, reads their
 * bodies for what call.h wants and tells the sink. It reads no clock: times come with the bytes.
 */
#ifndef CALL_SESSION_H
#define CALL_SESSION_H

#include "agent/base/span.h"
#include "agent/call/call.h"

enum session_direction { SESSION_IN, SESSION_OUT }; /* as the server sees it: in = requests */

/*
 * What is known of one watched process, shared by its sessions: provider evidence and the models it
 * served. Created with what the ring's header says. Its calls are told to `sink`, which is borrowed.
 */
struct server;
struct server *server_new(const char *program, struct span command_line, const char *provider,
			  const struct call_sink *sink);
void server_free(struct server *s);
/* INFERWIRE_ENDPOINTS (configured.h); `bad` is told of each entry that is none. Before its first session. */
void server_set_endpoints(struct server *s, const char *text,
			  void (*bad)(void *user, const char *entry, const char *why), void *user);
/* Whether its provider is known by now; if not, files whose code it has mapped may tell. */
bool server_has_provider(const struct server *s);
void server_saw_module(struct server *s, struct span path);

struct session;

/* `server` is borrowed and outlives the session. NULL without memory. */
struct session *session_new(struct server *server);
/* Ends what is open as lost, if session_close was not called. */
void session_free(struct session *s);

void session_bytes(struct session *s, enum session_direction d, struct span bytes,
		   uint64_t time_ns);
/* `bytes` of a direction's stream were lost before what comes next. */
void session_gap(struct session *s, enum session_direction d, uint64_t bytes, uint64_t time_ns);
/* Bytes that came in were lost before what goes out next; session_gap tells how many, if more come in. A
 * request that is not whole by now will not be. */
void session_lost_in(struct session *s);
/* The client sends no more (a read returned 0). It may still read: half-close is legal. */
void session_eof(struct session *s, uint64_t time_ns);
/* The server shut its writing side down. */
void session_shut(struct session *s, uint64_t time_ns);
/* A read or write of the server failed with this errno (ECONNRESET, EPIPE, ...). */
void session_fail(struct session *s, int error, uint64_t time_ns);

enum session_end {
	SESSION_CLOSED,	     /* the server closed the descriptor */
	SESSION_SERVER_DIED, /* the process ended with the connection open */
	SESSION_LOST,	     /* the end was not seen (records were lost) */
};
/* No more comes. Open calls end as client_disconnect, truncated, server_crash or lost. */
void session_close(struct session *s, enum session_end how, uint64_t time_ns);

#endif
