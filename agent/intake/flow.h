/*
 * flow.h - the records of one process, sorted into its connections.
 *
 * Gives each connection's bytes in order, with its gaps, opens and ends, to whoever follows them
 * (flow_sink; the agent wires it to the call stage's sessions).
 */
#ifndef INTAKE_FLOW_H
#define INTAKE_FLOW_H

#include "agent/intake/ring_reader.h"

enum flow_direction { FLOW_IN, FLOW_OUT };

enum flow_end {
	FLOW_CLOSED, /* the last descriptor was closed */
	FLOW_DIED,   /* with its process */
	FLOW_LOST,   /* its end was not seen */
};

/* Descriptors the shim watches lie below 2^20 (shim/conn.h); a larger one is no record of it. */
#define FLOW_FDS_MAX (1u << 20)

/* Of a gap whose length nobody knows: the connection was joined in the middle. */
#define FLOW_UNKNOWN UINT64_MAX

/* `conn` is what `opened` returned; NULL there = not followed, and nothing more is told of it. */
struct flow_sink {
	void *(*opened)(void *user);
	void (*bytes)(void *conn, enum flow_direction d, struct span bytes, uint64_t time_ns);
	void (*gap)(void *conn, enum flow_direction d, uint64_t bytes, uint64_t time_ns);
	/* Bytes that came in are missing, before what goes out next: a gap will tell how many, if more
	 * come in. */
	void (*lost_in)(void *conn);
	void (*eof)(void *conn, uint64_t time_ns);
	void (*shut)(void *conn, uint64_t time_ns); /* the writing side */
	void (*failed)(void *conn, int error, uint64_t time_ns);
	void (*ended)(void *conn, enum flow_end how, uint64_t time_ns); /* frees it */
	void *user;
};

struct flow_stats {
	uint64_t opened;
	uint64_t live;
	/* Connections by what their first bytes were, each in one of these; none before its first byte,
	 * and none after a TLS handshake that nothing followed. They only grow. */
	uint64_t http;
	uint64_t tls;	    /* HTTP that is read as the plain text of TLS */
	uint64_t encrypted; /* TLS without its plain text */
	uint64_t hidden;    /* its bytes go where the shim does not see them */
	uint64_t opaque;    /* neither TLS nor HTTP; or TLS, and its plain text is no HTTP */
	uint64_t records;
	uint64_t bytes;
	uint64_t gaps; /* places where bytes of a stream were missing */
};

struct flow;

struct flow *flow_new(const struct flow_sink *sink); /* NULL without memory */
void flow_free(struct flow *f);			     /* ends what is open as FLOW_LOST */

/* Somebody before us has followed the process: a connection that is joined in the middle was counted then. */
void flow_goes_on(struct flow *f);

void flow_record(struct flow *f, const struct ring_record *rec);

/* Records of opening or closing of a lane were dropped. `is_open` tells whether a descriptor of the
 * process is open now; connections whose descriptor is not are ended as FLOW_LOST. */
void flow_check(struct flow *f, uint32_t lane, uint32_t lanes,
		bool (*is_open)(void *user, uint32_t fd), void *user, uint64_t time_ns);

/*
 * Whether a socket, named by its inode and found at a descriptor of the process, is a connection that
 * records told of. FLOW_OPEN: it keeps the first socket that is found at its descriptor; another one there
 * came after the program had moved it to a duplicate. FLOW_UNREAD: it cannot be read, and nothing more is
 * told of it; forgotten at the second call of flow_forget_unread, which follows each look.
 */
enum flow_knowledge { FLOW_NOT_TOLD, FLOW_OPEN, FLOW_UNREAD };
enum flow_knowledge flow_knows(struct flow *f, uint32_t fd, uint64_t inode);
void flow_forget_unread(struct flow *f);

/* The process ended. */
void flow_end(struct flow *f, enum flow_end how, uint64_t time_ns);

struct flow_stats flow_stats(const struct flow *f);

#endif
