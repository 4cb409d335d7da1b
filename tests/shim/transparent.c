/*
 * Every hooked function with good, bad, huge, zero and hostile arguments, on an accepted connection
 * (which the shim watches) and on descriptors it does not watch. Prints result, errno and bytes of
 * each call; the output is to be the same raw, under the inert shim and under the working one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char *unmapped; /* an address that faults; readable bytes stand right before it */

static void say(const char *what, long result, const void *bytes)
{
	int error = errno;
	printf("%s = %ld errno %d", what, result, result < 0 ? error : 0);
	if (bytes && result > 0)
		printf(" \"%.*s\"", (int)(result > 40 ? 40 : result), (const char *)bytes);
	printf("\n");
	errno = 0;
}

#define TRY(call)	    say(#call, (long)(call), NULL)
#define TRY_BYTES(call, to) say(#call, (long)(call), (to))

struct pair {
	int listener, server, client;
};

static struct pair connected(void)
{
	struct pair p;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	p.listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(p.listener, (struct sockaddr *)&at, len) || listen(p.listener, 4) ||
	    getsockname(p.listener, (struct sockaddr *)&at, &len))
		exit(1);
	p.client = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(p.client, (struct sockaddr *)&at, len))
		exit(1);
	p.server = accept4(p.listener, NULL, NULL, SOCK_CLOEXEC);
	return p;
}

static void client_says(struct pair p, const char *text)
{
	if (write(p.client, text, strlen(text)) < 0)
		exit(1);
	usleep(20000);
}

static void reads(struct pair p)
{
	char a[64] = "", b[64] = "";
	struct iovec two[2] = {{a, 3}, {b, 4}}, none[2] = {{a, 0}, {b, 0}};
	struct iovec bad = {unmapped, 4};
	struct msghdr m = {.msg_iov = two, .msg_iovlen = 2},
		      mbad = {.msg_iov = &bad, .msg_iovlen = 1};
	client_says(p, "GET / HTTP/1.1\r\nhost: one\r\n\r\n0123456789abcdefghijklmnopqrstuvwxyz");
	TRY_BYTES(recv(p.server, a, 8, MSG_PEEK), a);
	TRY_BYTES(read(p.server, a, 4), a);
	TRY(read(p.server, a, 0));
	TRY(read(p.server, unmapped, 4));
	TRY(recv(p.server, unmapped, 4, 0));
	TRY(recvmsg(p.server, &mbad, 0));
#ifdef __GLIBC__ /* musl's own wrapper looks into the struct */
	TRY(recvmsg(p.server, (struct msghdr *)unmapped, 0));
#endif
	TRY(readv(p.server, (struct iovec *)unmapped, 1));
	TRY(readv(p.server, two, -1));
	TRY(readv(p.server, two, 100000));
	TRY(readv(p.server, none, 2));
	TRY_BYTES(readv(p.server, two, 2), a);
	TRY_BYTES(recvmsg(p.server, &m, 0), b);
	TRY_BYTES(recvfrom(p.server, a, 5, 0, NULL, NULL), a);
	TRY(recvfrom(p.server, a, 5, 0, (struct sockaddr *)unmapped, (socklen_t *)unmapped));
	TRY(recv(p.server, a, 3, MSG_TRUNC));
	TRY(recv(p.server, a, 1, MSG_OOB));
	TRY(recv(p.server, a, 1, MSG_ERRQUEUE | MSG_DONTWAIT));
	TRY_BYTES(recv(p.server, unmapped - 30, 30, MSG_DONTWAIT), unmapped - 30);
	TRY(recv(p.server, a, 30, MSG_DONTWAIT));
	TRY(recv(p.server, a, 30, MSG_DONTWAIT));
}

static void writes(struct pair p)
{
	static char big[1 << 20];
	char got[64] = "";
	struct iovec two[3] = {{"HT", 2}, {"", 0}, {"TP/1.1 200 OK\r\n\r\n", 17}};
	struct iovec bad = {unmapped, 9};
	struct msghdr m = {.msg_iov = two, .msg_iovlen = 3},
		      mbad = {.msg_iov = &bad, .msg_iovlen = 1};
	TRY(write(p.server, "abc", 3));
	TRY(write(p.server, "abc", 0));
	TRY(write(p.server, unmapped, 3));
	TRY(write(p.server, unmapped - 2, 5));
	TRY(send(p.server, "def", 3, MSG_NOSIGNAL));
	TRY(send(p.server, "x", 1, 0x40000000));
	TRY(sendto(p.server, "ghi", 3, 0, NULL, 0));
	TRY(sendto(p.server, "ghi", 3, 0, (struct sockaddr *)unmapped, 16));
	TRY(writev(p.server, two, 3));
	TRY(writev(p.server, two, -1));
	TRY(writev(p.server, &bad, 1));
	TRY(sendmsg(p.server, &m, 0));
	TRY(sendmsg(p.server, &mbad, 0));
#ifdef __GLIBC__
	TRY(sendmsg(p.server, (struct msghdr *)unmapped, 0));
#endif
	usleep(20000);
	TRY_BYTES(recv(p.client, got, sizeof(got), MSG_DONTWAIT), got);
	memset(big, 'z', sizeof(big));
	long moved = 0, n;
	while ((n = send(p.server, big, sizeof(big), MSG_DONTWAIT)) > 0)
		moved += n;
	say("send until full", moved > 0 ? -1 : -2, NULL);
	for (long left = moved; left > 0; left -= n) {
		n = recv(p.client, big, sizeof(big), 0);
		if (n <= 0)
			exit(1);
	}
}

static void ends(struct pair p)
{
	char a[8];
	TRY(shutdown(p.server, 77));
	TRY(shutdown(p.client, SHUT_WR));
	usleep(20000);
	TRY(read(p.server, a, sizeof(a)));
	TRY(recv(p.server, a, sizeof(a), MSG_PEEK));
	TRY(write(p.server, "late", 4));
	usleep(20000);
	TRY_BYTES(read(p.client, a, 4), a);
	TRY(shutdown(p.server, SHUT_WR));
	TRY(write(p.server, "x", 1));
	TRY(close(p.client));
	usleep(20000);
	TRY(close(p.server));
	TRY(close(p.server));
	TRY(read(p.server, a, 1));
	TRY(close(p.listener));
}

static void not_watched(void)
{
	char a[8] = "";
	int pipes[2], files[2];
	if (pipe(pipes) || socketpair(AF_UNIX, SOCK_STREAM, 0, files))
		exit(1);
	TRY(write(pipes[1], "pipe", 4));
	TRY_BYTES(read(pipes[0], a, 8), a);
	TRY(send(pipes[1], "x", 1, 0));
	TRY(send(files[0], "unix", 4, 0));
	TRY_BYTES(recv(files[1], a, 8, 0), a);
	TRY(close(pipes[0]));
	TRY(write(pipes[1], "x", 1));
	TRY(syscall(SYS_close, files[0]));
	TRY(syscall(SYS_close, files[0]));
	TRY(read(files[1], a, 1));
	for (int fd = -2; fd < 0; fd++) {
		TRY(read(fd, a, 1));
		TRY(write(fd, a, 1));
		TRY(close(fd));
		TRY(listen(fd, 1));
		TRY(accept(fd, NULL, NULL));
		TRY(accept4(fd, NULL, NULL, 0));
		TRY(shutdown(fd, 0));
	}
	TRY(read(1 << 29, a, 1));
	TRY(listen(pipes[1], 1));
	TRY(accept4(files[1], NULL, NULL, 1 << 30));
	/* The mapping call has six arguments, the last on no list of five. */
	void *at = (void *)syscall(SYS_mmap, NULL, 4096L, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0L);
	say("mmap by syscall", at == MAP_FAILED ? -1 : 0, NULL);
	TRY(syscall(SYS_getpid) == getpid());
	TRY(syscall(100000));
}

static void duplicates(void)
{
	struct pair p = connected();
	char a[32] = "", file[] = "/tmp/transparentXXXXXX";
	int pipes[2], from = mkstemp(file);
	unlink(file);
	if (from < 0 || write(from, "file content", 12) != 12 || pipe(pipes))
		exit(1);
	client_says(p, "GET / HTTP/1.0\r\n\r\n");
	int other = dup(p.server);
	TRY_BYTES(read(other, a, 4), a);
	TRY(dup2(p.server, p.server) == p.server);
	TRY(dup2(-1, 300));
	TRY(dup2(p.server, 300));
	TRY(dup3(p.server, 301, O_CLOEXEC));
	TRY(dup3(p.server, p.server, 0));
	TRY(fcntl(p.server, F_DUPFD, 310));
	TRY(fcntl(p.server, F_DUPFD_CLOEXEC, 311));
	TRY(fcntl(p.server, F_GETFD));
	TRY(fcntl(p.server, F_SETFD, FD_CLOEXEC));
	TRY(fcntl(p.server, 12345, unmapped));
	TRY(close(p.server));
	TRY_BYTES(read(300, a, 4), a);
	off_t offset = 5;
	TRY(sendfile(300, from, &offset, 7));
	TRY(sendfile(300, -1, NULL, 7));
	TRY(write(pipes[1], "spliced", 7));
	TRY(splice(pipes[0], NULL, 301, NULL, 7, 0));
	TRY(splice(-1, NULL, 301, NULL, 7, 0));
	struct iovec one = {"sent", 4}, two = {a, 6};
	struct mmsghdr out[2] = {{.msg_hdr = {.msg_iov = &one, .msg_iovlen = 1}},
				 {.msg_hdr = {.msg_iov = &one, .msg_iovlen = 1}}};
	struct mmsghdr in[1] = {{.msg_hdr = {.msg_iov = &two, .msg_iovlen = 1}}};
	TRY(sendmmsg(310, out, 2, 0));
	TRY(recvmmsg(310, in, 1, 0, NULL));
	say("recvmmsg's bytes", in[0].msg_len, a);
#ifdef __GLIBC__
	TRY(recvmmsg(310, (struct mmsghdr *)unmapped, 1, MSG_DONTWAIT, NULL));
#endif
	usleep(20000);
	TRY_BYTES(recv(p.client, a, sizeof(a), MSG_DONTWAIT), a);
#ifdef __GLIBC__
	TRY(close_range(300, 400, 0));
	TRY(close_range(5, 4, 0));
#endif
	TRY(read(300, a, 1));
}

/* Children have no part in their parent's ring, and see none of the agent's. */
static void children(void)
{
	TRY(waitpid(-1, NULL, WNOHANG));
	pid_t child = fork();
	if (child == 0) {
		struct pair p = connected();
		client_says(p, "GET / HTTP/1.0\r\n\r\n");
		char a[32];
		_exit(read(p.server, a, sizeof(a)) == 18 && write(p.server, "ok", 2) == 2 ? 7 : 8);
	}
	int status = 0;
	TRY(waitpid(child, &status, 0) == child);
	TRY(WEXITSTATUS(status));
	TRY(waitpid(-1, NULL, WNOHANG));
}

static volatile int sigchld_seen;

static void on_sigchld(int sig)
{
	(void)sig;
	sigchld_seen++;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, on_sigchld);
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(pages + 4096, 4096);
	unmapped = pages + 4096;
	struct pair p = connected();
	usleep(50000);
	say("SIGCHLD so far", sigchld_seen, NULL);
	reads(p);
	writes(p);
	ends(p);
	not_watched();
	duplicates();
	children();
	say("SIGCHLD of one child", sigchld_seen, NULL);
	return 0;
}
