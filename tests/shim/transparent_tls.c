/*
 * Every hooked function of OpenSSL with good and bad arguments, on TLS objects of an accepted
 * connection (on the socket, and on memory BIOs as CPython has them), of an outbound one, and on
 * broken ones. Prints what can be seen of each call; the output is to be the same without the shim.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum kind {
	KIND_SOCKET, /* accepted */
	KIND_MEMORY, /* accepted, on memory BIOs */
	KIND_FRESH,  /* accepted, before its handshake */
	KIND_FRESH_MEMORY,
	KIND_CLIENT,  /* outbound */
	KIND_SHUT,    /* the client has said that it sends no more */
	KIND_GONE,    /* the client is gone without a word */
	KIND_BARE,    /* accepted; the object was given no BIO yet */
	KIND_CLOSED,  /* the descriptor is closed below it */
	KIND_GARBAGE, /* the client sent what is no TLS */
	KINDS
};

static const char *const names[KINDS] = {"socket", "memory", "fresh", "fresh memory", "client",
					 "shut",   "gone",   "bare",  "closed",	      "garbage"};

struct pair {
	enum kind kind;
	SSL *ssl, *other; /* what the rows are about, and what is at its other end */
	int fd, other_fd;
	BIO *in, *out; /* memory BIOs of ssl */
};

static SSL_CTX *server_context, *client_context;
static char room[1024];
static size_t moved;

static void must(bool held, const char *what)
{
	if (held)
		return;
	fprintf(stderr, "transparent_tls: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static void make_contexts(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	must(key && certificate, "a key");
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
	X509_set_pubkey(certificate, key);
	must(X509_sign(certificate, key, EVP_sha256()) > 0, "a certificate");
	server_context = SSL_CTX_new(TLS_server_method());
	client_context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_num_tickets(server_context, 0);
	must(SSL_CTX_use_certificate(server_context, certificate) == 1 &&
		     SSL_CTX_use_PrivateKey(server_context, key) == 1,
	     "contexts");
	X509_free(certificate);
	EVP_PKEY_free(key);
}

/* ---- pairs -------------------------------------------------------------------------------------- */

static int listener;
static struct sockaddr_in at = {.sin_family = AF_INET};

static void connect_pair(int *server, int *client)
{
	struct linger off = {1, 0};
	*client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(connect(*client, (struct sockaddr *)&at, sizeof(at)) == 0, "connect");
	*server = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	must(*server >= 0 && fcntl(*client, F_SETFL, O_NONBLOCK) == 0, "accept4");
	setsockopt(*client, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
}

/* Bytes between the memory BIOs and the socket, as an event loop moves them. */
static void pump(struct pair *p)
{
	char bytes[4096];
	long n;
	if (!p->in)
		return;
	while ((n = BIO_read(p->out, bytes, sizeof(bytes))) > 0)
		must(send(p->fd, bytes, (size_t)n, MSG_NOSIGNAL) == n, "send");
	while ((n = recv(p->fd, bytes, sizeof(bytes), 0)) > 0)
		must(BIO_write(p->in, bytes, (int)n) == n, "BIO_write");
}

static void shake_hands(struct pair *p)
{
	for (int i = 0; i < 1000; i++) {
		int a = SSL_do_handshake(p->ssl);
		pump(p);
		int b = SSL_do_handshake(p->other);
		if (a == 1 && b == 1)
			break;
		usleep(200);
	}
	must(SSL_is_init_finished(p->ssl) && SSL_is_init_finished(p->other), "handshake");
	ERR_clear_error();
}

static void arrived(struct pair *p)
{
	struct pollfd one = {.fd = p->fd, .events = POLLIN};
	must(poll(&one, 1, 10000) == 1, "nothing arrived");
	pump(p);
}

#define HEAD "GET / HTTP/1.1\r\n\r\n0123456789"

static void speak(struct pair *p)
{
	static const char garbage[] = "this is no TLS record at all, it says nothing";
	char four[4];
	if (p->kind == KIND_BARE)
		return;
	if (p->kind == KIND_FRESH || p->kind == KIND_FRESH_MEMORY) {
		SSL_do_handshake(p->other);
		arrived(p);
		return;
	}
	shake_hands(p);
	must(SSL_write(p->other, HEAD, sizeof(HEAD) - 1) == sizeof(HEAD) - 1, "SSL_write");
	arrived(p);
	must(p->kind == KIND_CLIENT || SSL_read(p->ssl, four, 4) == 4, "SSL_read");
	if (p->kind == KIND_SHUT)
		SSL_shutdown(p->other);
	if (p->kind == KIND_GARBAGE)
		must(send(p->other_fd, garbage, sizeof(garbage), 0) > 0, "send");
	if (p->kind == KIND_GONE) {
		close(p->other_fd);
		p->other_fd = -1;
	}
	if (p->kind == KIND_SHUT || p->kind == KIND_GARBAGE || p->kind == KIND_GONE)
		arrived(p);
	if (p->kind == KIND_CLOSED)
		close(p->fd);
}

static struct pair begin(enum kind kind)
{
	struct pair p = {.kind = kind};
	int server, client;
	connect_pair(&server, &client);
	bool outbound = kind == KIND_CLIENT;
	p.fd = outbound ? client : server;
	p.other_fd = outbound ? server : client;
	p.ssl = SSL_new(outbound ? client_context : server_context);
	p.other = SSL_new(outbound ? server_context : client_context);
	must(p.ssl && p.other && SSL_set_fd(p.other, p.other_fd) == 1, "SSL_new");
	if (kind == KIND_MEMORY || kind == KIND_FRESH_MEMORY) {
		p.in = BIO_new(BIO_s_mem());
		p.out = BIO_new(BIO_s_mem());
		BIO_set_mem_eof_return(p.in, -1);
		BIO_set_mem_eof_return(p.out, -1);
		SSL_set_bio(p.ssl, p.in, p.out);
	} else if (kind != KIND_BARE) {
		must(SSL_set_fd(p.ssl, p.fd) == 1, "SSL_set_fd");
	}
	(outbound ? SSL_set_connect_state : SSL_set_accept_state)(p.ssl);
	(outbound ? SSL_set_accept_state : SSL_set_connect_state)(p.other);
	speak(&p);
	ERR_clear_error();
	memset(room, '.', sizeof(room));
	moved = 77;
	return p;
}

/* ---- rows --------------------------------------------------------------------------------------- */

static void print_bytes(const char *bytes, int n)
{
	printf(" \"");
	for (int i = 0; i < n && i < 48; i++)
		putchar(bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '?');
	printf("\"");
}

static void print_errors(void)
{
	unsigned long error;
	while ((error = ERR_get_error()))
		printf(" error %#lx", error);
}

static void finish(struct pair *p, const char *call, long result, int error)
{
	char rest[256];
	int used = 64;
	while (used && room[used - 1] == '.')
		used--;
	printf("%s: %s = %ld errno %d moved %zu", names[p->kind], call, result, error, moved);
	print_bytes(room, used);
	if (p->ssl) {
		printf(" why %d", SSL_get_error(p->ssl, (int)result));
		print_errors();
		printf(" shutdown %d pending %d", SSL_get_shutdown(p->ssl), SSL_pending(p->ssl));
		ERR_clear_error();
		int n = SSL_read(p->ssl, rest, sizeof(rest));
		printf(" then %d", n);
		print_bytes(rest, n);
		print_errors();
		n = SSL_write(p->ssl, "tail", 4);
		printf(" write %d", n);
		print_errors();
		if (p->kind != KIND_CLOSED)
			pump(p);
	} else {
		print_errors();
	}
	if (p->other_fd >= 0) {
		struct pollfd one = {.fd = p->other_fd, .events = POLLIN};
		poll(&one, 1, p->kind <= KIND_CLIENT ? 20 : 0);
		int n = SSL_read(p->other, rest, sizeof(rest));
		printf(" peer %d", n);
		print_bytes(rest, n);
	}
	printf("\n");
	SSL_free(p->ssl);
	SSL_free(p->other);
	ERR_clear_error();
	if (p->kind != KIND_CLOSED)
		close(p->fd);
	if (p->other_fd >= 0)
		close(p->other_fd);
}

#define R(call)                                                                                    \
	do {                                                                                       \
		struct pair p = begin(kind);                                                       \
		SSL *s = p.ssl;                                                                    \
		(void)s;                                                                           \
		errno = 0;                                                                         \
		long result_ = (long)(call);                                                       \
		int error_ = errno;                                                                \
		finish(&p, #call, result_, error_);                                                \
	} while (0)

static void rows_of_text(enum kind kind)
{
	R(SSL_read(s, room, 8));
	R(SSL_read(s, room, sizeof(room)));
	R(SSL_read(s, room, 0));
	R(SSL_read(s, room, -1));
	R(SSL_read(s, NULL, 0));
	R(SSL_read(s, room, INT_MIN));
	R(SSL_read_ex(s, room, 8, &moved));
	R(SSL_read_ex(s, room, sizeof(room), &moved));
	R(SSL_read_ex(s, room, 0, &moved));
	R(SSL_read(s, room, 100) + SSL_read(s, room, 100));
	R(SSL_read_ex(s, room, 100, &moved) * 10 + SSL_read_ex(s, room, 100, &moved));
	R(SSL_write(s, "HTTP/1.1 200", 12));
	R(SSL_write(s, "HTTP", 0));
	R(SSL_write(s, "HTTP", -1));
	R(SSL_write(s, NULL, 0));
	R(SSL_write_ex(s, "HTTP/1.1 200", 12, &moved));
	R(SSL_write_ex(s, "HTTP", 0, &moved));
	R(SSL_write_ex(s, room, sizeof(room), &moved));
	R(SSL_write(s, "HTTP", 4) + SSL_write(s, "/1.1", 4));
}

static void rows_of_ends(enum kind kind)
{
	R(SSL_shutdown(s));
	R(SSL_shutdown(s) * 10 + SSL_shutdown(s));
	R(SSL_shutdown(s) * 10 + SSL_write(s, "HTTP", 4));
	R(SSL_shutdown(s) * 10 + SSL_read(s, room, 8));
	R((SSL_set_quiet_shutdown(s, 1), SSL_shutdown(s)));
	R((SSL_free(s), p.ssl = NULL, p.in = NULL, 0));
	R((SSL_up_ref(s), SSL_free(s), SSL_read(s, room, 8)));
	R((SSL_free(NULL), 0));
}

/* A BIO of another kind, written to and freed. */
static int written(BIO *bio, const char *bytes, int n)
{
	int result = BIO_write(bio, bytes, n);
	int error = errno;
	memset(room, '.', 64);
	BIO_read(bio, room, 32);
	BIO_free(bio);
	errno = error;
	return result;
}

static void rows_of_bios(enum kind kind)
{
	static char text[] = "what a memory BIO holds";
	R(BIO_write(NULL, "HTTP", 4));
	R(written(BIO_new(BIO_s_mem()), "HTTP", 4));
	R(written(BIO_new(BIO_s_mem()), "HTTP", 0));
	R(written(BIO_new(BIO_s_mem()), "HTTP", -1));
	R(written(BIO_new(BIO_s_mem()), NULL, 4));
	R(written(BIO_new(BIO_s_null()), "HTTP", 4));
	R(written(BIO_new_mem_buf(text, -1), "HTTP", 4));
	R(written(BIO_new_socket(p.other_fd, BIO_NOCLOSE), "HTTP", 4));
	R(written(BIO_new_socket(-1, BIO_NOCLOSE), "HTTP", 4));
	if (kind == KIND_BARE)
		return;
	R(BIO_write(SSL_get_rbio(s), "no TLS record, and that is plain", 32));
	R(BIO_write(SSL_get_rbio(s),
		    "\x16\x03\x01\x00\x30\x01\x00\x00\x2c\x03\x03 a hello that is none "
		    "and too short to be one",
		    56));
}

int main(void)
{
	socklen_t len = sizeof(at);
	signal(SIGPIPE, SIG_IGN);
	make_contexts();
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(bind(listener, (struct sockaddr *)&at, len) == 0 && listen(listener, 8) == 0 &&
		     getsockname(listener, (struct sockaddr *)&at, &len) == 0,
	     "listen");
	for (enum kind kind = 0; kind < KINDS; kind++) {
		rows_of_text(kind);
		rows_of_ends(kind);
		rows_of_bios(kind);
	}
	return 0;
}
