/*
 * An HTTPS server with an OpenSSL inside of its executable: link it with libssl.a and libcrypto.a.
 * usage: static_tls PORT KEY CERT
 */
#include "tests/servers/listening.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static SSL_CTX *context;

/* Each request, whatever it is, is answered. */
static void *serve(void *arg)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	int fd = (int)(intptr_t)arg, n;
	char buf[4096];
	SSL *ssl = SSL_new(context);
	SSL_set_fd(ssl, fd);
	SSL_set_accept_state(ssl);
	while ((n = SSL_read(ssl, buf, sizeof(buf))) > 0)
		if (n >= 4 && memcmp(buf + n - 4, "\r\n\r\n", 4) == 0 &&
		    SSL_write(ssl, answer, sizeof(answer) - 1) <= 0)
			break;
	SSL_free(ssl);
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	context = SSL_CTX_new(TLS_server_method());
	if (SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_certificate_file(context, argv[3], SSL_FILETYPE_PEM) != 1)
		return 1;
	int listener = listening_on(argv[1]);
	for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
	}
	return 1;
}
