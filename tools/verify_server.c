/*
 * The server that `inferwire verify` has watched: HTTP/1.1, one connection at a time, the answers of
 * verify_script.h. Prints its port, ends when its standard input does, as its parent does or wants.
 */
#include "tools/command.h"

#include "tools/verify_script.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_BYTES 4096

static void pause_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	while (nanosleep(&t, &t) != 0)
		;
}

/* A failed write ends the connection, so nothing else looks at it. */
static void say(int fd, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n > 0 && (size_t)n < sizeof(text))
		send(fd, text, (size_t)n, MSG_NOSIGNAL);
}

static void say_event(int fd, const char *choices, const char *rest)
{
	char event[512];
	int n = snprintf(event, sizeof(event),
			 "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,"
			 "\"model\":\"" SCRIPT_MODEL "\",\"choices\":[%s]%s}\n\n",
			 choices, rest);
	say(fd, "%x\r\n%s\r\n", (unsigned int)n, event);
}

static void answer_stream(int fd)
{
	char usage[128];
	say(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
	say_event(fd, "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}", "");
	for (int i = 0; i < SCRIPT_STREAM_TOKENS; i++) {
		pause_ms(i == 0 ? SCRIPT_STREAM_FIRST_MS : SCRIPT_STREAM_INTERVAL_MS);
		say_event(fd, "{\"index\":0,\"delta\":{\"content\":\"token \"}}", "");
	}
	say_event(fd, "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}", "");
	snprintf(usage, sizeof(usage),
		 ",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":%d,\"total_tokens\":%d}",
		 SCRIPT_STREAM_TOKENS, SCRIPT_STREAM_TOKENS + 3);
	say_event(fd, "", usage);
	say(fd, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
}

static void answer_json(int fd, int status, const char *reason, const char *json)
{
	say(fd,
	    "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
	    "Connection: close\r\n\r\n%s",
	    status, reason, strlen(json), json);
}

static void answer_whole(int fd)
{
	char json[512];
	pause_ms(SCRIPT_WHOLE_PAUSE_MS);
	snprintf(json, sizeof(json),
		 "{\"id\":\"2\",\"object\":\"chat.completion\",\"created\":1,\"model\":"
		 "\"" SCRIPT_MODEL
		 "\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
		 "\"token\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,"
		 "\"completion_tokens\":%d,\"total_tokens\":%d}}",
		 SCRIPT_WHOLE_TOKENS, SCRIPT_WHOLE_TOKENS + 3);
	answer_json(fd, 200, "OK", json);
}

/* The client sends head and body at once, and they fit. */
static bool read_request(int fd, char *request)
{
	size_t len = 0;
	while (len < REQUEST_BYTES - 1) {
		ssize_t n = recv(fd, request + len, REQUEST_BYTES - 1 - len, 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
		request[len] = '\0';
		const char *length = strcasestr(request, "content-length:");
		const char *body = strstr(request, "\r\n\r\n");
		if (length && body && strlen(body + 4) >= strtoul(length + 15, NULL, 10))
			return true;
	}
	return false;
}

static void serve(int fd)
{
	char request[REQUEST_BYTES];
	if (!read_request(fd, request))
		return;
	if (strstr(request, SCRIPT_ERROR_MARK))
		answer_json(fd, SCRIPT_ERROR_STATUS, "Bad Request",
			    "{\"error\":{\"message\":\"no messages\",\"code\":400,"
			    "\"type\":\"invalid_request_error\"}}");
	else if (strstr(request, SCRIPT_STREAM_MARK))
		answer_stream(fd);
	else
		answer_whole(fd);
}

int command_verify_server(int argc, char **argv)
{
	(void)argc, (void)argv;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 ||
	    listen(listener, 8) != 0 || getsockname(listener, (struct sockaddr *)&at, &size) != 0) {
		perror("inferwire verify-server");
		return EXIT_FAILURE;
	}
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	for (;;) {
		struct pollfd wait[2] = {{.fd = listener, .events = POLLIN},
					 {.fd = STDIN_FILENO, .events = POLLIN}};
		if (poll(wait, 2, -1) < 0 || wait[1].revents)
			return EXIT_SUCCESS;
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		serve(fd);
		shutdown(fd, SHUT_WR);
		close(fd);
	}
}
