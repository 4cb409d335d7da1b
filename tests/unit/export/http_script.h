/*
 * http_script.h - an HTTP server in a thread that answers from a list and keeps what it was sent.
 *
 * One connection at a time, kept alive: as many as the exporter opens.
 */
#ifndef TESTS_EXPORT_HTTP_SCRIPT_H
#define TESTS_EXPORT_HTTP_SCRIPT_H

#include "agent/export/clock.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HTTP_SCRIPT_REQUESTS 64

/* One answer. A request past the end of the list gets a 500, so that it shows. */
struct http_reply {
	const char *head; /* "503 Unavailable\r\nRetry-After: 1"; with "HTTP/" in front all of the
			     answer, after which the connection is closed; NULL = never answers */
	const char *body;
	size_t body_len;   /* 0 = strlen(body) */
	unsigned delay_ms; /* before the answer */
};

struct http_request {
	char head[4096];
	uint8_t *body;
	size_t body_len;
	uint64_t time_ns; /* CLOCK_MONOTONIC */
};

struct http_script {
	pthread_t thread;
	int listener, stop_read, stop_write;
	unsigned port;
	const struct http_reply *replies;
	size_t reply_count;
	struct http_request requests[HTTP_SCRIPT_REQUESTS];
	_Atomic size_t count;
};

/* False: the script was stopped. */
static inline bool http_script_readable(struct http_script *s, int fd)
{
	struct pollfd p[2] = {{fd, POLLIN, 0}, {s->stop_read, POLLIN, 0}};
	return poll(p, 2, -1) > 0 && !p[1].revents;
}

static inline bool http_script_receive(struct http_script *s, int fd, struct http_request *r)
{
	size_t n = 0, body = 0;
	char *end = NULL;
	memset(r->head, 0, sizeof(r->head));
	while (!end) {
		ssize_t got = http_script_readable(s, fd) && n < sizeof(r->head) - 1
				      ? read(fd, r->head + n, 1)
				      : 0;
		if (got <= 0)
			return false;
		n++;
		end = strstr(r->head, "\r\n\r\n");
	}
	const char *length = strcasestr(r->head, "\r\nContent-Length:");
	body = length ? strtoul(length + 17, NULL, 10) : 0;
	r->body = malloc(body + 1);
	r->body_len = 0;
	while (r->body_len < body) {
		ssize_t got = http_script_readable(s, fd)
				      ? read(fd, r->body + r->body_len, body - r->body_len)
				      : 0;
		if (got <= 0) {
			free(r->body);
			r->body = NULL;
			return false;
		}
		r->body_len += (size_t)got;
	}
	r->time_ns = clock_mono_ns();
	return true;
}

static inline void http_script_send(int fd, const void *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		bytes = (const char *)bytes + n;
		len -= (size_t)n;
	}
}

/* Whether the connection goes on. */
static inline bool http_script_answer(struct http_script *s, int fd, const struct http_reply *r)
{
	char head[1024], rest;
	if (!r->head) {
		while (http_script_readable(s, fd) && read(fd, &rest, 1) > 0)
			;
		return false;
	}
	usleep(r->delay_ms * 1000);
	size_t body_len = r->body && !r->body_len ? strlen(r->body) : r->body_len;
	bool raw = strncmp(r->head, "HTTP/", 5) == 0;
	if (raw)
		snprintf(head, sizeof(head), "%s", r->head);
	else
		snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", r->head,
			 body_len);
	http_script_send(fd, head, strlen(head));
	http_script_send(fd, r->body, body_len);
	return !raw;
}

static inline void http_script_serve(struct http_script *s, int fd)
{
	static const struct http_reply unplanned = {.head = "500 Unplanned"};
	bool on = true;
	while (on) {
		size_t n = atomic_load(&s->count);
		if (n == HTTP_SCRIPT_REQUESTS || !http_script_receive(s, fd, &s->requests[n]))
			return;
		atomic_store(&s->count, n + 1);
		on = http_script_answer(s, fd, n < s->reply_count ? &s->replies[n] : &unplanned);
	}
}

static inline void *http_script_run(void *user)
{
	struct http_script *s = user;
	while (http_script_readable(s, s->listener)) {
		int fd = accept(s->listener, NULL, NULL);
		if (fd < 0)
			continue;
		http_script_serve(s, fd);
		close(fd);
	}
	return NULL;
}

/* Listens on 127.0.0.1; `replies` are borrowed. port 0 = any. */
static inline struct http_script *http_script_start(const struct http_reply *replies, size_t count,
						    unsigned port)
{
	struct http_script *s = calloc(1, sizeof(*s));
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fds[2], yes = 1;
	s->replies = replies;
	s->reply_count = count;
	s->listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(s->listener, (struct sockaddr *)&at, len) != 0 || listen(s->listener, 8) != 0 ||
	    getsockname(s->listener, (struct sockaddr *)&at, &len) != 0 || pipe(fds) != 0)
		abort();
	s->port = ntohs(at.sin_port);
	s->stop_read = fds[0];
	s->stop_write = fds[1];
	if (pthread_create(&s->thread, NULL, http_script_run, s) != 0)
		abort();
	return s;
}

static inline size_t http_script_count(struct http_script *s)
{
	return atomic_load(&s->count);
}

/* Waits for the n-th request (from 0); NULL if it does not come in 20 s. Valid until the stop. */
static inline const struct http_request *http_script_request(struct http_script *s, size_t n)
{
	for (unsigned i = 0; i < 4000; i++) {
		if (atomic_load(&s->count) > n)
			return &s->requests[n];
		usleep(5000);
	}
	return NULL;
}

static inline void http_script_stop(struct http_script *s)
{
	close(s->stop_write);
	pthread_join(s->thread, NULL);
	close(s->stop_read);
	close(s->listener);
	for (size_t i = 0; i < HTTP_SCRIPT_REQUESTS; i++)
		free(s->requests[i].body);
	free(s);
}

/* A port of 127.0.0.1 that nothing listens on: it was free a moment ago. */
static inline unsigned http_script_free_port(void)
{
	struct http_script *s = http_script_start(NULL, 0, 0);
	unsigned port = s->port;
	http_script_stop(s);
	return port;
}

#endif
