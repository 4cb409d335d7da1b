/*
 * A child for each connection, which ends without closing it: the kernel does.
 *
 *   exiting_children PORT
 *
 * A request is what comes in one piece; how its answer ends says its path's first letter behind the slash:
 * l by its length, c by the last chunk, e with the connection, b with the connection, and broken off.
 */
#define _GNU_SOURCE
#include "tests/servers/listening.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define HEAD  "HTTP/1.1 200 OK\r\n"
#define USAGE "{\"usage\":{\"completion_tokens\":5}}"

static const char *answer_to(char how)
{
	switch (how) {
	case 'l':
		return HEAD "content-length: 33\r\n\r\n" USAGE;
	case 'c':
		return HEAD "transfer-encoding: chunked\r\n\r\n21\r\n" USAGE "\r\n0\r\n\r\n";
	case 'e':
		return HEAD "connection: close\r\n\r\n" USAGE;
	case 'b':
		return HEAD "connection: close\r\n\r\n{\"usage\":{";
	default:
		return HEAD "content-length: 0\r\n\r\n";
	}
}

static void serve(int fd)
{
	char request[4096] = "";
	const char *path = read(fd, request, sizeof(request) - 1) > 0 ? strchr(request, '/') : NULL;
	const char *answer = answer_to(path ? path[1] : 0);
	if (write(fd, answer, strlen(answer)) < 0)
		_exit(1);
	_exit(0);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	int listener = listening_on(argv[1]);
	signal(SIGCHLD, SIG_IGN);
	if (listener < 0)
		return 1;
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fork() == 0)
			serve(fd);
		close(fd);
	}
}
