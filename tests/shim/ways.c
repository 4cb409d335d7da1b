/*
 * A server with a connection for each way in which a request is read, messages are written, a descriptor
 * is duplicated and a connection is ended; each way is a hooked function or a use of it. What was recorded
 * must be what was sent (tests/shim/recorded.c). Prints what it did.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MESSAGE	 14 /* bytes */
#define MESSAGES 3  /* on a connection */
#define MANY	 20000
#define HIGH	 400 /* descriptors from here on are free */

/* Not in every libc. The shim has them all: so they are looked for, and done otherwise where they are not. */
int close_range(unsigned first, unsigned last, int flags) __attribute__((weak));
void closefrom(int first) __attribute__((weak));
int fcntl64(int fd, int command, ...) __attribute__((weak));
ssize_t sendfile64(int fd, int from, off_t *offset, size_t n) __attribute__((weak));

static struct sockaddr_in at = {.sin_family = AF_INET};
static int listener;
static unsigned connections, unseen, shut;

static void must(bool held, const char *what)
{
	if (held)
		return;
	fprintf(stderr, "ways: %s: %s\n", what, strerror(errno));
	exit(1);
}

struct connection {
	unsigned id, messages, written;
	int server, client;
};

/* ---- reading ------------------------------------------------------------------------------------ */

typedef ssize_t read_way(int fd, char *to, size_t n);

static ssize_t by_recv(int fd, char *to, size_t n)
{
	return recv(fd, to, n, 0);
}

static ssize_t by_recvfrom(int fd, char *to, size_t n)
{
	return recvfrom(fd, to, n, 0, NULL, NULL);
}

static ssize_t by_readv(int fd, char *to, size_t n)
{
	struct iovec parts[3] = {{to, 5}, {NULL, 0}, {to + 5, n - 5}};
	return readv(fd, parts, 3);
}

static ssize_t by_recvmsg(int fd, char *to, size_t n)
{
	struct iovec parts[2] = {{to, 7}, {to + 7, n - 7}};
	return recvmsg(fd, &(struct msghdr){.msg_iov = parts, .msg_iovlen = 2}, 0);
}

static ssize_t some_messages(int fd, char *to, size_t n, int flags)
{
	struct iovec parts[2] = {{to, 9}, {to + 9, n - 9}};
	struct mmsghdr m = {.msg_hdr = {.msg_iov = parts, .msg_iovlen = 2}};
	return recvmmsg(fd, &m, 1, flags, NULL) == 1 ? (ssize_t)m.msg_len : -1;
}

static ssize_t by_recvmmsg(int fd, char *to, size_t n)
{
	return some_messages(fd, to, n, 0);
}

static ssize_t byte_by_byte(int fd, char *to, size_t n)
{
	return n ? read(fd, to, 1) : 0;
}

/* What is looked at is read again. */
static ssize_t after_looks(int fd, char *to, size_t n)
{
	struct iovec part = {to, n};
	must(recv(fd, to, n, MSG_PEEK) == (ssize_t)n, "recv");
	must(recvfrom(fd, to, n, MSG_PEEK, NULL, NULL) == (ssize_t)n, "recvfrom");
	must(recvmsg(fd, &(struct msghdr){.msg_iov = &part, .msg_iovlen = 1}, MSG_PEEK) ==
		     (ssize_t)n,
	     "recvmsg");
	must(some_messages(fd, to, n, MSG_PEEK) == (ssize_t)n, "recvmmsg");
	return read(fd, to, n);
}

#ifdef __GLIBC__
ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags, struct sockaddr *addr,
		       socklen_t *len);

/* What -D_FORTIFY_SOURCE makes of the calls. */
static ssize_t by_read_chk(int fd, char *to, size_t n)
{
	return __read_chk(fd, to, n, n);
}

static ssize_t by_recv_chk(int fd, char *to, size_t n)
{
	must(__recv_chk(fd, to, n, n, MSG_PEEK) == (ssize_t)n, "__recv_chk");
	return __recv_chk(fd, to, n, n, 0);
}

static ssize_t by_recvfrom_chk(int fd, char *to, size_t n)
{
	must(__recvfrom_chk(fd, to, n, n, MSG_PEEK, NULL, NULL) == (ssize_t)n, "__recvfrom_chk");
	return __recvfrom_chk(fd, to, n, n, 0, NULL, NULL);
}
#endif

static ssize_t by_read(int fd, char *to, size_t n)
{
	return read(fd, to, n);
}

static read_way *const reads[] = {
	by_read,     by_recv,	  by_recvfrom,	   by_readv,
	by_recvmsg,  by_recvmmsg, byte_by_byte,	   after_looks,
#ifdef __GLIBC__
	by_read_chk, by_recv_chk, by_recvfrom_chk,
#endif
};

/* Before anything came, a read finds nothing; and of no byte, nothing either. */
static struct connection connected(read_way *way, unsigned messages)
{
	struct connection c = {.id = ++connections, .messages = messages};
	char head[64], got[64];
	int n = snprintf(head, sizeof(head), "GET /%06u/%06u HTTP/1.1\r\n\r\n", c.id, messages);
	c.client = socket(AF_INET, SOCK_STREAM, 0);
	must(connect(c.client, (struct sockaddr *)&at, sizeof(at)) == 0, "connect");
	c.server = accept(listener, NULL, NULL);
	must(c.server >= 0, "accept");
	must(recv(c.server, got, sizeof(got), MSG_DONTWAIT) == -1 && errno == EAGAIN, "recv");
	must(send(c.client, head, (size_t)n, 0) == n, "send");
	must(read(c.server, got, 0) == 0, "read");
	for (int have = 0; have < n;) {
		ssize_t more = way(c.server, got + have, (size_t)(n - have));
		must(more > 0, "the request");
		have += (int)more;
	}
	must(memcmp(head, got, (size_t)n) == 0, "the request's bytes");
	return c;
}

/* ---- writing ------------------------------------------------------------------------------------ */

/* All of the bytes. */
typedef bool write_way(int fd, const char *text, size_t n);

static bool by_write(int fd, const char *text, size_t n)
{
	return write(fd, text, n) == (ssize_t)n;
}

static bool by_send(int fd, const char *text, size_t n)
{
	return send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static bool by_sendto(int fd, const char *text, size_t n)
{
	return sendto(fd, text, n, 0, NULL, 0) == (ssize_t)n;
}

static struct iovec part_of(const char *text, size_t n)
{
	return (struct iovec){(void *)(size_t)text, n};
}

static bool by_writev(int fd, const char *text, size_t n)
{
	struct iovec parts[4] = {part_of(text, 1), part_of(NULL, 0), part_of(text + 1, 8),
				 part_of(text + 9, n - 9)};
	return writev(fd, parts, 4) == (ssize_t)n;
}

static bool by_sendmsg(int fd, const char *text, size_t n)
{
	struct iovec parts[2] = {part_of(text, 3), part_of(text + 3, n - 3)};
	return sendmsg(fd, &(struct msghdr){.msg_iov = parts, .msg_iovlen = 2}, 0) == (ssize_t)n;
}

static bool by_sendmmsg(int fd, const char *text, size_t n)
{
	struct iovec parts[2] = {part_of(text, 7), part_of(text + 7, n - 7)};
	struct mmsghdr m[2] = {{.msg_hdr = {.msg_iov = &parts[0], .msg_iovlen = 1}},
			       {.msg_hdr = {.msg_iov = &parts[1], .msg_iovlen = 1}}};
	return sendmmsg(fd, m, 2, 0) == 2 && m[0].msg_len + m[1].msg_len == n;
}

static bool in_pieces(int fd, const char *text, size_t n)
{
	bool all = write(fd, text, 0) == 0;
	for (size_t i = 0; i < n; i++)
		all &= send(fd, text + i, 1, MSG_MORE) == 1;
	return all && send(fd, text, 0, 0) == 0;
}

/* ---- what libc and the kernel write by themselves ------------------------------------------------- */

static int file_with(const char *text, size_t n)
{
	static int file = -1;
	if (file < 0) {
		char name[] = "/tmp/ways-XXXXXX";
		file = mkstemp(name);
		must(file >= 0 && unlink(name) == 0, "mkstemp");
	}
	must(pwrite(file, text, n, 0) == (ssize_t)n, "pwrite");
	return file;
}

static bool by_sendfile(int fd, const char *text, size_t n)
{
	off_t from = 0;
	return sendfile(fd, file_with(text, n), &from, n) == (ssize_t)n;
}

static bool by_sendfile64(int fd, const char *text, size_t n)
{
	off_t from = 0;
	return sendfile64 ? sendfile64(fd, file_with(text, n), &from, n) == (ssize_t)n
			  : by_sendfile(fd, text, n);
}

static bool by_splice(int fd, const char *text, size_t n)
{
	int ends[2];
	must(pipe(ends) == 0 && write(ends[1], text, n) == (ssize_t)n, "pipe");
	bool all = splice(ends[0], NULL, fd, NULL, n, 0) == (ssize_t)n;
	close(ends[0]);
	close(ends[1]);
	return all;
}

static bool by_dprintf(int fd, const char *text, size_t n)
{
	return dprintf(fd, "%.*s", (int)n, text) == (int)n;
}

__attribute__((format(printf, 2, 3))) static int printed(int fd, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vdprintf(fd, format, args);
	va_end(args);
	return n;
}

static bool by_vdprintf(int fd, const char *text, size_t n)
{
	return printed(fd, "%.*s", (int)n, text) == (int)n;
}

#ifdef __GLIBC__
int __dprintf_chk(int fd, int flag, const char *format, ...);
int __vdprintf_chk(int fd, int flag, const char *format, va_list args);

static bool by_dprintf_chk(int fd, const char *text, size_t n)
{
	return __dprintf_chk(fd, 1, "%.*s", (int)n, text) == (int)n;
}

static int printed_chk(int fd, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = __vdprintf_chk(fd, 1, format, args);
	va_end(args);
	return n;
}

static bool by_vdprintf_chk(int fd, const char *text, size_t n)
{
	return printed_chk(fd, "%.*s", (int)n, text) == (int)n;
}
#endif

static write_way *const writes[] = {by_write,	by_send,     by_sendto, by_writev,
				    by_sendmsg, by_sendmmsg, in_pieces};
static write_way *const unseen_writes[] = {
	by_sendfile,	by_sendfile64,	 by_splice, by_dprintf, by_vdprintf,
#ifdef __GLIBC__
	by_dprintf_chk, by_vdprintf_chk,
#endif
};

static void message(struct connection *c, write_way *way)
{
	char text[MESSAGE + 1];
	snprintf(text, sizeof(text), "%06u %06u\n", c->id, c->written++);
	must(way(c->server, text, MESSAGE), "a message");
}

/* As much at once as there is room for, again and again. */
static void messages_in_parts(struct connection *c)
{
	size_t n = (size_t)c->messages * MESSAGE, sent = 0;
	char *all = malloc(n + 1), got[4096];
	unsigned parts = 0;
	int little = 8192;
	must(all, "malloc");
	must(setsockopt(c->server, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)) == 0,
	     "setsockopt");
	for (unsigned i = 0; i < c->messages; i++)
		snprintf(all + i * MESSAGE, MESSAGE + 1, "%06u %06u\n", c->id, i);
	for (; sent < n; parts++) {
		ssize_t some = send(c->server, all + sent, n - sent, MSG_DONTWAIT);
		must(some > 0 || errno == EAGAIN, "send");
		sent += some > 0 ? (size_t)some : 0;
		if (sent < n)
			must(read(c->client, got, sizeof(got)) > 0, "read");
	}
	must(parts > 2, "a buffer for all of it");
	free(all);
}

/* ---- duplicating -------------------------------------------------------------------------------- */

typedef int duplicate_way(int fd);

static int by_dup2(int fd)
{
	return dup2(fd, HIGH);
}

static int by_dup3(int fd)
{
	return dup3(fd, HIGH + 1, O_CLOEXEC);
}

static int by_fcntl(int fd)
{
	return fcntl(fd, F_DUPFD, HIGH + 2);
}

static int by_fcntl_cloexec(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, HIGH + 3);
}

static int by_fcntl64(int fd)
{
	return fcntl64 ? fcntl64(fd, F_DUPFD, HIGH + 4) : by_fcntl(fd);
}

static int by_fcntl64_cloexec(int fd)
{
	return fcntl64 ? fcntl64(fd, F_DUPFD_CLOEXEC, HIGH + 5) : by_fcntl_cloexec(fd);
}

static duplicate_way *const duplicates[] = {
	dup, by_dup2, by_dup3, by_fcntl, by_fcntl_cloexec, by_fcntl64, by_fcntl64_cloexec};

/* It goes on by the duplicate when the original is closed. */
static void move(struct connection *c, duplicate_way *way)
{
	int other = way(c->server);
	must(other >= 0, "a duplicate");
	message(c, by_write);
	close(c->server);
	c->server = other;
	message(c, by_write);
}

/* ---- ending ------------------------------------------------------------------------------------- */

typedef void end_way(int fd);

static void by_close(int fd)
{
	close(fd);
}

static void by_number(int fd)
{
	syscall(SYS_close, fd);
}

static void by_close_range(int fd)
{
	if (!close_range || close_range((unsigned)fd, (unsigned)fd, 0) != 0)
		close(fd);
}

static void by_dup2_over(int fd)
{
	dup2(listener, fd);
}

static void by_dup3_over(int fd)
{
	dup3(listener, fd, 0);
}

static void by_shutdown(int fd)
{
	shutdown(fd, SHUT_WR);
	shut++;
	close(fd);
}

/* The last: nothing is open behind it. */
static void by_closefrom(int fd)
{
	if (closefrom)
		closefrom(fd);
	else
		close(fd);
}

static end_way *const ends[] = {by_close,     by_number,    by_close_range,
				by_dup2_over, by_dup3_over, by_shutdown};

/* ---- all of them --------------------------------------------------------------------------------- */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct connection all[64];

static struct connection *add(read_way *way, unsigned messages)
{
	must(connections < COUNT(all), "no more connections than places");
	struct connection *c = &all[connections];
	*c = connected(way, messages);
	return c;
}

static void finish(struct connection *c, end_way *way)
{
	while (c->written < c->messages)
		message(c, by_write);
	way(c->server);
}

/* The client got every byte, and the end. */
static void check(const struct connection *c)
{
	char got[64];
	size_t n = 0;
	for (ssize_t some; (some = recv(c->client, got, sizeof(got), 0)) > 0;)
		n += (size_t)some;
	must(c->messages == MANY || n == (size_t)c->messages * MESSAGE, "what the client got");
}

int main(void)
{
	socklen_t len = sizeof(at);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	must(bind(listener, (struct sockaddr *)&at, len) == 0 && listen(listener, 128) == 0 &&
		     getsockname(listener, (struct sockaddr *)&at, &len) == 0,
	     "listen");
	for (size_t i = 0; i < COUNT(reads); i++)
		add(reads[i], MESSAGES);
	for (size_t i = 0; i < COUNT(writes); i++)
		message(add(by_read, MESSAGES), writes[i]);
	for (size_t i = 0; i < COUNT(unseen_writes); i++, unseen++)
		message(add(by_read, MESSAGES), unseen_writes[i]);
	for (size_t i = 0; i < COUNT(duplicates); i++)
		move(add(by_read, MESSAGES), duplicates[i]);
	struct connection *parts = add(by_read, MANY);
	messages_in_parts(parts);
	parts->written = MANY;
	/* What closes with the next program is open until then. */
	if (close_range)
		close_range((unsigned)all[0].server, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
	unsigned others = connections;
	for (size_t i = 0; i < COUNT(ends); i++)
		add(by_read, MESSAGES);
	struct connection *last = add(by_read, MESSAGES);
	int high = fcntl(last->server, F_DUPFD, HIGH + 100);
	close(last->server);
	last->server = high;
	/* None is accepted from here on: it would tell of a close that nobody saw. */
	for (unsigned i = 0; i < others; i++)
		finish(&all[i], by_close);
	for (size_t i = 0; i < COUNT(ends); i++)
		finish(&all[others + i], ends[i]);
	finish(last, by_closefrom);
	for (unsigned i = 0; i < connections; i++)
		check(&all[i]);
	printf("connections %u\nunseen %u\nshut %u\n", connections, unseen, shut);
	return 0;
}
