/*
 * tls.h - which connection a TLS object's plain text belongs to.
 *
 * On a socket the object knows the descriptor. On memory BIOs (CPython's ssl module) it does not: there
 * the connection is known by its ClientHello, whose 32 random bytes are read from the socket and then
 * written into the BIO. On a BIO of the program's own (haproxy) the object is asked for them.
 */
#ifndef SHIM_TLS_H
#define SHIM_TLS_H

#include "shim/conn.h"
#include "shim/openssl.h"

#include <sys/uio.h>

#pragma GCC visibility push(hidden) /* reached without the global offset table */

/* The connection of a TLS object; generation 0 if it is none that is watched (an outbound one). */
struct conn_id tls_conn(const struct openssl *library, void *ssl);
/* The object is about to be freed; its address will be another's. */
void tls_forget(void *ssl);

/* What a client sends before the server said anything: a TLS record, or the head of one and then its rest,
 * which is how OpenSSL asks a BIO for it. */
void tls_hello_read(struct conn_id id, const struct iovec *iov, size_t moved);
/* Bytes that went into a BIO: is it a ClientHello that was read before? */
void tls_hello_written(void *bio, const uint8_t *bytes, size_t n);

#define TLS_RECORD_HEAD 5u

/* Whether these can be a ClientHello without its record's head, with all its random bytes. */
static inline bool tls_is_rest_of_hello(const uint8_t *bytes, size_t n)
{
	/* Handshake type 1, a length, version 3.x (RFC 8446 4 and 4.1.2). */
	return n >= 38 && bytes[0] == 0x01 && bytes[4] == 0x03;
}

/* Whether these can be a ClientHello with all its random bytes. */
static inline bool tls_is_hello(const uint8_t *bytes, size_t n)
{
	/* Record type 22, version 3.x, ... (RFC 8446 5.1). */
	return n > TLS_RECORD_HEAD && bytes[0] == 0x16 && bytes[1] == 0x03 &&
	       tls_is_rest_of_hello(bytes + TLS_RECORD_HEAD, n - TLS_RECORD_HEAD);
}

#pragma GCC visibility pop

#endif
