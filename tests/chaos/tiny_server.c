/*
 * The smallest server that is measured: it is there in milliseconds, and made to be killed.
 *
 *   tiny_server [listen]     answers every request on descriptor 0 with the same completion
 *
 * That is a listening socket; listen: it says so itself, as who made it would.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS 4

static const char head[] =
	"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 134\r\n\r\n";
static const char body[] =
	"{\"model\":\"tiny-a\",\"choices\":[{\"message\":{\"content\":\"yes\"},"
	"\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n";
_Static_assert(sizeof(body) - 1 == 134, "content-length");

/* A request whose body begins with '{' and ends with "}\n", in however many reads. */
static int read_request(int fd)
{
	char buffer[4096], last = 0;
	for (;;) {
		ssize_t n = read(fd, buffer, sizeof(buffer));
		if (n <= 0)
			return 0;
		char before = n > 1 ? buffer[n - 2] : last;
		last = buffer[n - 1];
		if (before == '}' && last == '\n')
			return 1;
	}
}

static void *serve(void *nothing)
{
	for (;;) {
		int fd = accept(0, NULL, NULL);
		if (fd < 0)
			exit(1);
		while (read_request(fd)) {
			if (write(fd, head, sizeof(head) - 1) < 0 ||
			    write(fd, body, sizeof(body) - 1) < 0)
				break;
		}
		close(fd);
	}
	return nothing;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	if (argc > 1 && strcmp(argv[1], "listen") == 0 && listen(0, 64) != 0)
		return 1;
	for (int n = 1; n < THREADS; n++) {
		if (pthread_create(&thread, NULL, serve, NULL) != 0)
			return 1;
	}
	serve(NULL);
	return 0;
}
