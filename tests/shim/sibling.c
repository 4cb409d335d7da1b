/*
 * A preloaded neighbour of the shim that does all that one may: it serves a connection in its
 * constructor and in an exit handler, it hooks the same functions, and its malloc does not work for the
 * shim.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int calls; /* of the hooks below */

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	calls++;
	return NEXT(accept)(fd, addr, len);
}

ssize_t read(int fd, void *buf, size_t n)
{
	calls++;
	return NEXT(read)(fd, buf, n);
}

ssize_t write(int fd, const void *buf, size_t n)
{
	calls++;
	return NEXT(write)(fd, buf, n);
}

int close(int fd)
{
	calls++;
	return NEXT(close)(fd);
}

pid_t fork(void)
{
	calls++;
	return NEXT(fork)();
}

extern void *__libc_malloc(size_t n);

void *malloc(size_t n)
{
	Dl_info caller;
	if (dladdr(__builtin_return_address(0), &caller) && caller.dli_fname &&
	    strstr(caller.dli_fname, "libinferwire"))
		abort();
	return __libc_malloc(n);
}

/* A connection to itself, there and back. */
static void converse(const char *when)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	char got[32] = "";
	int listener = socket(AF_INET, SOCK_STREAM, 0), near = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&at, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&at, &len) ||
	    connect(near, (struct sockaddr *)&at, len))
		abort();
	int far = accept(listener, NULL, NULL);
	if (write(near, "GET / HTTP/1.0\r\n\r\n", 18) != 18 || read(far, got, sizeof(got)) != 18 ||
	    write(far, "HTTP/1.0 200 OK\r\n\r\n", 19) != 19)
		abort();
	close(far);
	close(near);
	close(listener);
	fprintf(stderr, "%s: conversed, %d calls\n", when, calls);
}

static void at_exit(void)
{
	converse("exit");
}

__attribute__((constructor)) static void at_start(void)
{
	atexit(at_exit);
	converse("constructor");
}
