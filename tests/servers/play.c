/*
 * Plays the answers of a playbook (playbook.py) over plain sockets, a thread a connection: for C
 * libraries other than the one that everything else here runs on, and for none that is shared.
 *   play PORT PLAYBOOK
 */
#include "tests/servers/listening.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const char *playbook;

struct peer {
	int fd;
	size_t at, filled; /* what was read and not yet used is bytes at .. filled - 1 */
	char bytes[4096];
};

static int next_byte(struct peer *p)
{
	if (p->at == p->filled) {
		ssize_t n = recv(p->fd, p->bytes, sizeof(p->bytes), 0);
		if (n <= 0)
			return -1;
		p->at = 0;
		p->filled = (size_t)n;
	}
	return (unsigned char)p->bytes[p->at++];
}

/* A line without its end; false at the end of the connection. */
static bool next_line(struct peer *p, char *line, size_t room)
{
	size_t n = 0;
	for (int c; (c = next_byte(p)) != '\n';) {
		if (c < 0)
			return false;
		if (c != '\r' && n + 1 < room)
			line[n++] = (char)c;
	}
	line[n] = 0;
	return true;
}

static bool skip(struct peer *p, long n)
{
	while (n-- > 0)
		if (next_byte(p) < 0)
			return false;
	return true;
}

/* Reads a request; the length of its body, or -1. */
static long request(struct peer *p, bool *is_post, bool *last)
{
	char line[1024];
	if (!next_line(p, line, sizeof(line)))
		return -1;
	*is_post = !strncmp(line, "POST ", 5);
	long length = 0;
	bool chunked = false;
	*last = false;
	while (next_line(p, line, sizeof(line)) && line[0]) {
		if (!strncasecmp(line, "content-length:", 15))
			length = strtol(line + 15, NULL, 10);
		if (!strncasecmp(line, "transfer-encoding: chunked", 26))
			chunked = true;
		if (!strcasecmp(line, "connection: close"))
			*last = true;
	}
	if (!chunked)
		return skip(p, length) ? length : -1;
	while (next_line(p, line, sizeof(line))) {
		long chunk = strtol(line, NULL, 16);
		length += chunk;
		if (!skip(p, chunk) || !next_line(p, line, sizeof(line)))
			return -1;
		if (!chunk)
			return length;
	}
	return -1;
}

static bool send_all(int fd, const char *bytes, size_t n)
{
	for (ssize_t sent; n; bytes += sent, n -= (size_t)sent)
		if ((sent = send(fd, bytes, n, 0)) <= 0)
			return false;
	return true;
}

/* A piece as a chunk, of three parts. */
static bool send_chunk(int fd, char *bytes, size_t n)
{
	char size[32];
	struct iovec iov[3] = {{size, (size_t)snprintf(size, sizeof(size), "%zx\r\n", n)},
			       {bytes, n},
			       {(char[]){'\r', '\n'}, 2}};
	for (int i = 0; i < 3;) {
		ssize_t sent = writev(fd, iov + i, 3 - i);
		if (sent <= 0)
			return false;
		for (; i < 3 && (size_t)sent >= iov[i].iov_len; i++)
			sent -= (ssize_t)iov[i].iov_len;
		if (i < 3) {
			iov[i].iov_base = (char *)iov[i].iov_base + sent;
			iov[i].iov_len -= (size_t)sent;
		}
	}
	return true;
}

static void pause_for(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* False where the connection is to be closed. */
static bool play(int fd, FILE *answer)
{
	static const char chunked[] = "transfer-encoding: chunked";
	char type[256], head[512], words[64];
	int status;
	long length, wait;
	if (fscanf(answer, "%ld %d %ld %255[^\n]\n", &wait, &status, &length, type) != 4)
		return false;
	pause_for(wait);
	char framing[64];
	snprintf(framing, sizeof(framing), length < 0 ? chunked : "content-length: %ld", length);
	int n = snprintf(head, sizeof(head), "HTTP/1.1 %d Played\r\ncontent-type: %s\r\n%s\r\n\r\n",
			 status, type, framing);
	bool good = send_all(fd, head, (size_t)n);
	while (good && fgets(words, sizeof(words), answer)) {
		char *what;
		long ms = strtol(words, &what, 10);
		pause_for(ms);
		if (!strcmp(what, " end\n"))
			return length >= 0 || send_all(fd, "0\r\n\r\n", 5);
		size_t size = strtoul(what, NULL, 10);
		if (!size)
			return false;
		char *piece = malloc(size);
		good = piece && fread(piece, 1, size, answer) == size &&
		       (length < 0 ? send_chunk(fd, piece, size) : send_all(fd, piece, size));
		free(piece);
	}
	return false;
}

static bool serve_one(struct peer *p)
{
	static const char ok[] =
		"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{\"status\": \"ok\"}";
	bool is_post, last;
	long length = request(p, &is_post, &last);
	if (length < 0)
		return false;
	if (!is_post)
		return send_all(p->fd, ok, sizeof(ok) - 1) && !last;
	char path[4096];
	snprintf(path, sizeof(path), "%s/%ld", playbook, length);
	FILE *answer = fopen(path, "r");
	if (!answer)
		return false;
	bool good = play(p->fd, answer);
	fclose(answer);
	return good && !last;
}

static void *serve(void *arg)
{
	struct peer *p = arg;
	while (serve_one(p))
		;
	close(p->fd);
	free(p);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	playbook = argv[2];
	signal(SIGPIPE, SIG_IGN);
	int listener = listening_on(argv[1]);
	if (listener < 0) {
		perror("play");
		return 1;
	}
	for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) {
		struct peer *p = calloc(1, sizeof(*p));
		pthread_t thread;
		p->fd = fd;
		pthread_create(&thread, NULL, serve, p);
		pthread_detach(thread);
	}
	return 0;
}
