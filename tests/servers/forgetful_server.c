/*
 * A server that forgets what it read: what of it is found in its memory was kept by somebody else.
 *
 *   forgetful_server PORT
 *
 * A request is what comes in one piece.
 */
#define _GNU_SOURCE
#include "tests/servers/listening.h"

#include <string.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
static char request[65536];

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	int listener = listening_on(argv[1]);
	if (listener < 0)
		return 1;
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		while (read(fd, request, sizeof(request)) > 0) {
			explicit_bzero(request, sizeof(request));
			if (write(fd, answer, sizeof(answer) - 1) < 0)
				break;
		}
		close(fd);
	}
}
