/*
 * tcp_table.h - /proc/PID/net/tcp and tcp6 (proc(5)): the TCP sockets of a network namespace.
 */
#ifndef INTAKE_TCP_TABLE_H
#define INTAKE_TCP_TABLE_H

#include "agent/base/span.h"

enum { TCP_TABLE_ESTABLISHED = 0x01, TCP_TABLE_LISTEN = 0x0a };

struct tcp_table_row {
	uint16_t local_port;
	uint8_t state;
	uint64_t inode; /* of the socket; 0: it has no descriptor (not accepted yet, or closed) */
};

/* False if it is no such line: the heading, one that is cut, anything else. `line` without its newline. */
bool tcp_table_row(struct span line, struct tcp_table_row *row);

#define TCP_TABLE_CHUNK_BYTES 16384 /* a longer line is none */

struct tcp_table {
	int fd;
	size_t bytes; /* read so far */
	size_t kept;  /* of a line that is not whole yet */
	uint8_t chunk[TCP_TABLE_CHUNK_BYTES];
};

/* Reads lines of an open table, at least `piece` bytes unless it ends. 1: there may be more; 0: that was
 * all; -errno. */
int tcp_table_read(struct tcp_table *t, size_t piece,
		   void (*found)(void *user, const struct tcp_table_row *row), void *user);

#endif
