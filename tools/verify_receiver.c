/*
 * One request a connection (every answer closes it), so one thread is enough and an idle connection of
 * the agent's holds up nothing.
 */
#include "tools/verify_receiver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_BYTES (4u * 1024 * 1024)

static void complain(struct receiver *r, const char *what)
{
	pthread_mutex_lock(&r->lock);
	if (!r->complaint[0])
		snprintf(r->complaint, sizeof(r->complaint), "%s", what);
	pthread_mutex_unlock(&r->lock);
}

/* Head and body into `text`; the body's span, with at = NULL where the connection failed. */
static struct span read_request(int fd, char *text, size_t room)
{
	size_t len = 0;
	bool continued = false;
	while (len < room - 1) {
		ssize_t n = recv(fd, text + len, room - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
		text[len] = '\0';
		/* The head is text; the first NUL can only be in the body. */
		char *body = strstr(text, "\r\n\r\n");
		if (!body)
			continue;
		const char *length = strcasestr(text, "\ncontent-length:");
		size_t body_len = length && length < body ? strtoul(length + 16, NULL, 10) : 0;
		if (len - (size_t)(body + 4 - text) >= body_len)
			return span_of(body + 4, body_len);
		if (!continued && strcasestr(text, "\nexpect: 100-continue")) {
			send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
			continued = true;
		}
	}
	return span_of(NULL, 0);
}

static void check_head(struct receiver *r, const char *text)
{
	if (strncmp(text, "POST /v1/metrics HTTP/1.1\r\n", 27) != 0)
		complain(r, "a request is not POST /v1/metrics");
	else if (!strcasestr(text, "\r\ncontent-type: application/x-protobuf\r\n"))
		complain(r, "a request's Content-Type is not application/x-protobuf");
}

static void serve(struct receiver *r, int fd, char *text)
{
	static const char accepted[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
				       "Content-Length: 0\r\nConnection: close\r\n\r\n";
	struct span body = read_request(fd, text, BODY_BYTES);
	if (!body.at)
		return;
	check_head(r, text);
	pthread_mutex_lock(&r->lock);
	otlp_tally_add(&r->tally, body);
	bool bad = r->tally.bad != 0;
	pthread_mutex_unlock(&r->lock);
	if (bad)
		complain(r, "a request is not an OTLP metrics request");
	send(fd, accepted, sizeof(accepted) - 1, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
}

static void *receive(void *user)
{
	struct receiver *r = user;
	struct timeval limit = {.tv_sec = 2};
	char *text = malloc(BODY_BYTES);
	for (int fd; text && (fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		serve(r, fd, text);
		close(fd);
	}
	free(text);
	return NULL;
}

int receiver_start(struct receiver *r)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	memset(r, 0, sizeof(*r));
	pthread_mutex_init(&r->lock, NULL);
	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (r->listener < 0)
		return -errno;
	int error = 0;
	if (bind(r->listener, (struct sockaddr *)&at, sizeof(at)) != 0 ||
	    listen(r->listener, 8) != 0 ||
	    getsockname(r->listener, (struct sockaddr *)&at, &size) != 0)
		error = errno;
	if (!error)
		error = pthread_create(&r->thread, NULL, receive, r);
	if (error)
		close(r->listener);
	r->port = ntohs(at.sin_port);
	return -error;
}

void receiver_read(struct receiver *r, struct otlp_tally *tally, char *complaint, size_t room)
{
	pthread_mutex_lock(&r->lock);
	*tally = r->tally;
	snprintf(complaint, room, "%s", r->complaint);
	pthread_mutex_unlock(&r->lock);
}

void receiver_stop(struct receiver *r)
{
	shutdown(r->listener, SHUT_RDWR); /* wakes accept */
	pthread_join(r->thread, NULL);
	close(r->listener);
}
