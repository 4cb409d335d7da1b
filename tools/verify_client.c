#include "tools/verify_client.h"

#include "tools/verify_script.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CALL_SECONDS 5

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int open_connection(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {.tv_sec = CALL_SECONDS};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

static int read_answer(int fd, struct verify_answer *a)
{
	double sent = now_s();
	size_t len = 0;
	for (;;) {
		ssize_t n = recv(fd, a->text + len, sizeof(a->text) - 1 - len, 0);
		if (n < 0)
			return -errno;
		a->whole_s = now_s() - sent;
		if (n == 0)
			break;
		len += (size_t)n;
		a->text[len] = '\0';
		if (a->first_token_s == 0 && strstr(a->text, "\"token"))
			a->first_token_s = a->whole_s;
		if (len == sizeof(a->text) - 1)
			return -EMSGSIZE;
	}
	if (len < 12 || memcmp(a->text, "HTTP/1.1 ", 9) != 0)
		return -EPROTO;
	a->status = (int)strtol(a->text + 9, NULL, 10);
	return 0;
}

int verify_call(int port, const char *body, struct verify_answer *a)
{
	char request[2048];
	memset(a, 0, sizeof(*a));
	int n = snprintf(request, sizeof(request),
			 "POST " SCRIPT_PATH " HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n"
			 "Connection: close\r\n\r\n%s",
			 port, strlen(body), body);
	if (n < 0 || (size_t)n >= sizeof(request))
		return -EMSGSIZE;
	int fd = open_connection(port);
	if (fd < 0)
		return fd;
	int ret = send(fd, request, (size_t)n, MSG_NOSIGNAL) == n ? read_answer(fd, a) : -EIO;
	close(fd);
	return ret;
}
