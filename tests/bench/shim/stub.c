/* Stands behind the shim in place of libc: the calls cost nothing, so that only the shim is measured.
 * Descriptors from 900 on are "accepted"; a read gives the first bytes of a request. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	static int next = 900;
	(void)fd, (void)addr, (void)len, (void)flags;
	return next++;
}

ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	(void)fd, (void)flags;
	memcpy(buf, "GET / HTTP/1.1\r\n", 16);
	return n < 16 ? (ssize_t)n : 16;
}

ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	(void)fd, (void)buf, (void)flags;
	return (ssize_t)n;
}
