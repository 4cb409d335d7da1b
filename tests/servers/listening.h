/*
 * listening.h - where the servers of the tests listen.
 */
#ifndef TESTS_LISTENING_H
#define TESTS_LISTENING_H

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

/* A socket that listens on 127.0.0.1; -1 with errno set. `port` is decimal. */
static inline int listening_on(const char *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 128) == 0 ? fd : -1;
}

#endif
