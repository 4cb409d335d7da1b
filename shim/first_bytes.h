/*
 * first_bytes.h - what a connection's first bytes look like. `moved` of them are there, at least one, wherever
 * the list has them.
 */
#ifndef SHIM_FIRST_BYTES_H
#define SHIM_FIRST_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#pragma GCC visibility push(hidden) /* reached without the global offset table */

/* A client's: the method of a request, or the preface of HTTP/2. */
bool first_bytes_are_http(const struct iovec *iov, size_t moved);
/* A server's that speaks first: the SETTINGS of HTTP/2. */
bool first_bytes_are_settings(const struct iovec *iov, size_t moved);
/* A client's: a record of TLS, which begins a handshake. */
bool first_bytes_are_tls(const struct iovec *iov, size_t moved);

#pragma GCC visibility pop

#endif
