/*
 * Answers completions with a short stream, and says when it had read each request and when it wrote the
 * first token: a line "received_ns first_token_ns" (CLOCK_MONOTONIC) for each, at its end.
 * usage: stamping_server PORT CALLS
 */
#include "tests/servers/listening.h"

#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HEAD                                                                                       \
	"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
#define EVENT "25\r\ndata: {\"choices\":[{\"text\":\"abcd\"}]}\n\n\r\n"
#define END   "0\r\n\r\n"

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void put(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		exit(1);
}

/* The client sends a request whole and waits for its answer. */
static void serve(int fd, uint64_t *received_ns, uint64_t *first_ns)
{
	char request[4096];
	ssize_t n = read(fd, request, sizeof(request));
	*received_ns = now_ns();
	if (n <= 0)
		exit(1);
	put(fd, HEAD);
	usleep((useconds_t)(rand() % 1500));
	*first_ns = now_ns();
	put(fd, EVENT);
	put(fd, EVENT);
	put(fd, END);
}

int main(int argc, char **argv)
{
	size_t calls = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	uint64_t *stamps = calloc(calls, 2 * sizeof(*stamps));
	int listening = argc > 1 ? listening_on(argv[1]) : -1, one = 1;
	if (!stamps || listening < 0)
		return 1;
	/* The first connection only asks whether it listens. */
	close(accept(listening, NULL, NULL));
	int fd = accept(listening, NULL, NULL);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (size_t i = 0; i < calls; i++)
		serve(fd, &stamps[2 * i], &stamps[2 * i + 1]);
	close(fd);
	for (size_t i = 0; i < calls; i++)
		printf("%" PRIu64 " %" PRIu64 "\n", stamps[2 * i], stamps[2 * i + 1]);
	return 0;
}
