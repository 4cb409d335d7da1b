/*
 * The hooks through which plain text moves where the process speaks TLS by a shared OpenSSL.
 *
 * A call is one of plain text, of one connection; what the library then reads from or writes to a
 * socket are calls of their own, of ciphertext, and are not copied (stream.c).
 */
#include "shim/hook.h"
#include "shim/tls.h"

#define CALLER __builtin_return_address(0)

/* A program may ask by a weak reference whether its library has one of these, and find ours where it
 * has none: then the call fails as one on a broken connection does. */

#define RECEIVED_SHUTDOWN 2 /* SSL_RECEIVED_SHUTDOWN of ssl.h: the peer's close_notify came */

static int text_read(const struct openssl *o, void *ssl, struct stream_mark mark, void *buf,
		     int result, size_t moved)
{
	if (!mark.id.generation)
		return result;
	if (result > 0)
		stream_plain_read(mark, buf, moved);
	else if (o->SSL_get_shutdown && (o->SSL_get_shutdown(ssl) & RECEIVED_SHUTDOWN))
		stream_plain_eof(mark.id);
	return result;
}

static int text_written(struct stream_mark mark, const void *buf, int result, size_t moved)
{
	if (result > 0 && mark.id.generation)
		stream_plain_written(mark, buf, moved);
	return result;
}

static struct stream_mark mark_of(const struct openssl *library, void *ssl)
{
	struct stream_mark mark = {.id = tls_conn(library, ssl)};
	if (mark.id.generation)
		mark.time = stamp_now();
	return mark;
}

HOOK(int, SSL_read, (void *ssl, void *buf, int n))
{
	struct openssl room;
	const struct openssl *o = openssl_of(CALLER, &room);
	if (!o->SSL_read)
		return -1;
	struct stream_mark mark = mark_of(o, ssl);
	int result = o->SSL_read(ssl, buf, n);
	return text_read(o, ssl, mark, buf, result, (size_t)result);
}

HOOK(int, SSL_read_ex, (void *ssl, void *buf, size_t n, size_t *moved))
{
	struct openssl room;
	const struct openssl *o = openssl_of(CALLER, &room);
	if (!o->SSL_read_ex)
		return 0;
	struct stream_mark mark = mark_of(o, ssl);
	int result = o->SSL_read_ex(ssl, buf, n, moved);
	return text_read(o, ssl, mark, buf, result, result > 0 ? *moved : 0);
}

HOOK(int, SSL_write, (void *ssl, const void *buf, int n))
{
	struct openssl room;
	const struct openssl *o = openssl_of(CALLER, &room);
	if (!o->SSL_write)
		return -1;
	struct stream_mark mark = mark_of(o, ssl);
	int result = o->SSL_write(ssl, buf, n);
	return text_written(mark, buf, result, (size_t)result);
}

HOOK(int, SSL_write_ex, (void *ssl, const void *buf, size_t n, size_t *moved))
{
	struct openssl room;
	const struct openssl *o = openssl_of(CALLER, &room);
	if (!o->SSL_write_ex)
		return 0;
	struct stream_mark mark = mark_of(o, ssl);
	int result = o->SSL_write_ex(ssl, buf, n, moved);
	return text_written(mark, buf, result, result > 0 ? *moved : 0);
}

HOOK(int, SSL_shutdown, (void *ssl))
{
	struct openssl room;
	const struct openssl *o = openssl_of(CALLER, &room);
	if (!o->SSL_shutdown)
		return -1;
	if (boot_enabled)
		stream_plain_shut(tls_conn(o, ssl));
	return o->SSL_shutdown(ssl);
}

HOOK(void, SSL_free, (void *ssl))
{
	struct openssl room;
	if (boot_enabled)
		tls_forget(ssl);
	const struct openssl *o = openssl_of(CALLER, &room);
	if (o->SSL_free)
		o->SSL_free(ssl);
}

HOOK(int, BIO_write, (void *bio, const void *buf, int n))
{
	struct openssl room;
	const struct openssl *o = openssl_of(CALLER, &room);
	int result = o->BIO_write ? o->BIO_write(bio, buf, n) : -1;
	if (boot_enabled && result > 0)
		tls_hello_written(bio, buf, (size_t)result);
	return result;
}
