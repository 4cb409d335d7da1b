/*
 * A server that reads and writes its connections as C's streams; with "print" it reads them by itself and
 * prints its answers straight to the descriptor.
 * usage: stdio_server PORT [print]
 */
#define _GNU_SOURCE
#include "tests/servers/listening.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANSWER "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

static void *by_streams(void *arg)
{
	char line[4096];
	FILE *in = fdopen((int)(long)arg, "r"), *out = fdopen(dup((int)(long)arg), "w");
	while (in && out && fgets(line, sizeof(line), in)) {
		if (strcmp(line, "\r\n") == 0) {
			fputs(ANSWER, out);
			fflush(out);
		}
	}
	fclose(in);
	fclose(out);
	return NULL;
}

static void *by_printing(void *arg)
{
	char request[4096];
	int fd = (int)(long)arg;
	/* The test's requests come whole. */
	while (read(fd, request, sizeof(request)) > 0)
		dprintf(fd, "%s", ANSWER);
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? listening_on(argv[1]) : -1;
	if (fd < 0)
		return 1;
	for (;;) {
		pthread_t thread;
		int conn = accept(fd, NULL, NULL);
		if (conn >= 0 && pthread_create(&thread, NULL, argc > 2 ? by_printing : by_streams,
						(void *)(long)conn) == 0)
			pthread_detach(thread);
	}
}
