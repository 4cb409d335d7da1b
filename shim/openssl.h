/*
 * openssl.h - the TLS library that a caller is linked to.
 *
 * There may be several in a process (conda's beside the system's, loaded RTLD_LOCAL by an extension
 * module): a TLS object must go to the functions of the library that made it.
 */
#ifndef SHIM_OPENSSL_H
#define SHIM_OPENSSL_H

#include <stddef.h>

#pragma GCC visibility push(hidden) /* reached without the global offset table */

/* Of OpenSSL 1.1 and 3, and of what has their interface. A function that a library lacks is NULL. */
struct openssl {
	int (*SSL_read)(void *ssl, void *buf, int n);
	int (*SSL_read_ex)(void *ssl, void *buf, size_t n, size_t *moved);
	int (*SSL_write)(void *ssl, const void *buf, int n);
	int (*SSL_write_ex)(void *ssl, const void *buf, size_t n, size_t *moved);
	int (*SSL_shutdown)(void *ssl);
	void (*SSL_free)(void *ssl);
	int (*SSL_get_shutdown)(const void *ssl);
	int (*SSL_get_fd)(const void *ssl);
	void *(*SSL_get_rbio)(const void *ssl);
	int (*SSL_is_server)(const void *ssl);
	size_t (*SSL_get_client_random)(const void *ssl, unsigned char *out, size_t n);
	int (*BIO_write)(void *bio, const void *buf, int n);
};

/* That of the code at `caller` (a return address). Filled into *room where it cannot be remembered. */
const struct openssl *openssl_of(const void *caller, struct openssl *room);

#pragma GCC visibility pop

#endif
