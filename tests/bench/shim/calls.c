/* calls FD BYTES COUNT: accepts, reads a request, then sends BYTES to FD, COUNT times. Prints the
 * nanoseconds of a call. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
	static char buf[65536];
	int fd = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
	size_t bytes = argc > 2 ? strtoul(argv[2], NULL, 10) : 250;
	long count = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
	int conn = accept4(3, NULL, NULL, 0);
	if (recv(conn, buf, sizeof(buf), 0) < 0)
		return 1;
	double start = now_ns();
	for (long i = 0; i < count; i++) {
		if (send(fd, buf, bytes, 0) < 0)
			return 1;
	}
	if (count)
		printf("%.2f\n", (now_ns() - start) / (double)count);
	return 0;
}
