/*
 * tls.h - which connection a TLS object's plain text belongs to.
 *
 * On a socket the object knows the descriptor. On memory BIOs (CPython's ssl module) it does not: there
 * the connection is known by its ClientHello, whose 32 random bytes are read from the socket and then
 * written into the BIO.
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

/* The first bytes of a connection are a TLS record. */
void tls_hello_read(struct conn_id id, const struct iovec *iov, size_t moved);
/* Bytes that went into a BIO: is it a ClientHello that was read before? */
void tls_hello_written(void *bio, const uint8_t *bytes, size_t n);

/* Whether these can be a ClientHello with all its random bytes. */
static inline bool tls_is_hello(const uint8_t *bytes, size_t n)
{
	/* Record type 22, version 3.x, ..., handshake type 1 (RFC 8446 4 and 5.1). */
	return n >= 43 && bytes[0] == 0x16 && bytes[1] == 0x03 && bytes[5] == 0x01;
}

#pragma GCC visibility pop

#endif
