/*
 * Calls that wait: cut short by a signal, by a timeout, by the peer; and children, of which the
 * program must see its own and no other.
 */
#define _GNU_SOURCE
#include "tests/shim/transparent/row.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int alarms, sigchlds;
static volatile int speaker = -1; /* the alarm's handler writes here */

static void on_alarm(int sig)
{
	int error = errno;
	(void)sig;
	alarms++;
	if (speaker >= 0 && write(speaker, "by the handler", 14) < 0)
		_exit(3);
	errno = error;
}

static void on_sigchld(int sig)
{
	(void)sig;
	sigchlds++;
}

static void handle(int sig, void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
	if (sigaction(sig, &action, NULL))
		exit(1);
}

/* Again and again, lest one comes before the call waits. */
static void alarms_come(bool on)
{
	struct itimerval every = {{0, on ? 20000 : 0}, {0, on ? 20000 : 0}};
	if (setitimer(ITIMER_REAL, &every, NULL))
		exit(1);
}

static void say(const char *what, long result, int error)
{
	printf("%s = %ld errno %d \"%.20s\"\n", what, result, error, room);
	memset(room, 0, 64);
}

#define INTERRUPTED(call)                                                                          \
	do {                                                                                       \
		alarms_come(true);                                                                 \
		errno = 0;                                                                         \
		long result_ = (long)(call);                                                       \
		int error_ = errno;                                                                \
		alarms_come(false);                                                                \
		say(#call, result_, error_);                                                       \
	} while (0)

static void reads(int fd)
{
	struct iovec iov = {room, 16};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct mmsghdr mm = {.msg_hdr = m};
	struct timespec long_time = {10, 0};
	INTERRUPTED(read(fd, room, 16));
	INTERRUPTED(readv(fd, &iov, 1));
	INTERRUPTED(recv(fd, room, 16, 0));
	INTERRUPTED(recv(fd, room, 16, MSG_WAITALL));
	INTERRUPTED(recv(fd, room, 16, MSG_PEEK));
	INTERRUPTED(recvfrom(fd, room, 16, 0, NULL, NULL));
	INTERRUPTED(recvmsg(fd, &m, 0));
	INTERRUPTED(recvmmsg(fd, &mm, 1, 0, NULL));
	INTERRUPTED(recvmmsg(fd, &mm, 1, 0, &long_time));
	INTERRUPTED(splice(fd, NULL, a_pipe[1], NULL, 16, 0));
}

/* A descriptor of which no byte more can be written. */
static void fill(struct end *e)
{
	int little = 4096, n = 0;
	setsockopt(e->fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
	setsockopt(e->peer, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
	while (n < 20) {
		if (send(e->fd, room + 1024, 4096, MSG_DONTWAIT) > 0)
			n = 0;
		else
			usleep(1000), n++;
	}
}

static void writes(int fd)
{
	struct iovec iov = {room + 64, 30000};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct mmsghdr mm = {.msg_hdr = m};
	INTERRUPTED(write(fd, room + 64, 30000));
	INTERRUPTED(writev(fd, &iov, 1));
	INTERRUPTED(send(fd, room + 64, 30000, 0));
	INTERRUPTED(sendto(fd, room + 64, 30000, 0, NULL, 0));
	INTERRUPTED(sendmsg(fd, &m, 0));
	INTERRUPTED(sendmmsg(fd, &mm, 1, 0));
	INTERRUPTED(sendfile(fd, a_file, NULL, 16));
	INTERRUPTED(splice(a_pipe[0], NULL, fd, NULL, 5, 0));
}

static void accepts(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1))
		exit(1);
	INTERRUPTED(accept(fd, NULL, NULL));
	INTERRUPTED(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
	struct timeval soon = {0, 20000};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	long result = accept(fd, NULL, NULL);
	say("accept with a timeout", result, errno);
	close(fd);
}

static void with_timeout(struct end *e)
{
	struct timeval soon = {0, 20000};
	setsockopt(e->fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	setsockopt(e->fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
	long result = recv(e->fd, room, 16, 0);
	say("recv with a timeout", result, errno);
	result = read(e->fd, room, 16);
	say("read with a timeout", result, errno);
	fill(e);
	result = send(e->fd, room + 64, 30000, 0);
	say("send with a timeout", result, errno);
}

/* The handler makes the peer speak, and the call goes on by itself. */
static void restarted(struct end *e)
{
	handle(SIGALRM, on_alarm, SA_RESTART);
	speaker = e->peer;
	alarms_come(true);
	long result = recv(e->fd, room, 14, MSG_WAITALL);
	int error = errno;
	alarms_come(false);
	speaker = -1;
	say("recv that a handler answers", result, error);
	handle(SIGALRM, on_alarm, 0);
}

void waiting(void)
{
	char old[64];
	while (read(a_pipe[0], old, sizeof(old)) > 0)
		;
	memset(room, 0, sizeof(room));
	handle(SIGALRM, on_alarm, 0);
	struct end e = connected();
	reads(e.fd);
	restarted(&e);
	close(e.fd);
	close(e.peer);
	e = connected();
	fill(&e);
	if (write(a_pipe[1], "piped", 5) != 5)
		exit(1);
	writes(e.fd);
	close(e.fd);
	close(e.peer);
	e = connected();
	with_timeout(&e);
	close(e.fd);
	close(e.peer);
	accepts();
	handle(SIGALRM, SIG_DFL, 0);
}

/* ---- children ----------------------------------------------------------------------------------- */

#ifdef __GLIBC__
ssize_t __read_chk(int fd, void *buf, size_t n, size_t room_there);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room_there, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room_there, int flags,
		       struct sockaddr *addr, socklen_t *len);

/* More is asked for than there is room: the program is ended, with a word on the terminal or stderr. */
static void overflows(int way)
{
	struct end e = connected();
	int none = open("/dev/null", O_RDWR);
	setenv("LIBC_FATAL_STDERR_", "1", 1);
	dup2(none, 2);
	if (way == 0)
		__read_chk(e.fd, room, 9, 8);
	else if (way == 1)
		__recv_chk(e.fd, room, 9, 8, 0);
	else
		__recvfrom_chk(e.fd, room, 9, 8, 0, NULL, NULL);
	_exit(0);
}
#else
static void overflows(int way)
{
	_exit(way);
}
#endif

static void child_result(const char *what, pid_t child)
{
	int status = 0;
	pid_t ended = waitpid(child, &status, 0);
	printf("%s: waited %d status %#x\n", what, ended == child, (unsigned)status);
}

/* A forked child has no part in its parent's ring: it makes its own. */
static void accepts_in_child(void)
{
	struct end e = connected();
	if (write(e.peer, "more", 4) != 4 || read(e.fd, room, 16) != 4)
		_exit(8);
	_exit(write(e.fd, "ok", 2) == 2 && read(e.peer, room, 16) == 2 ? 7 : 9);
}

void children(void)
{
	handle(SIGCHLD, on_sigchld, 0);
	printf("a child before: %d/%d\n", (int)waitpid(-1, NULL, WNOHANG), errno);
	fflush(stdout);
	struct end e = connected();
	pid_t child = fork();
	if (child == 0)
		accepts_in_child();
	child_result("a child that accepts", child);
	fflush(stdout);
	child = fork();
	if (child == 0) /* the parent's connection, inherited */
		_exit(write(e.fd, "by the child", 12) == 12 && close(e.fd) == 0 ? 7 : 8);
	child_result("a child that writes", child);
	memset(room, 0, 64);
	long n = read(e.peer, room, 64);
	say("what the client had of it", n, 0);
	n = write(e.fd, "by the parent", 13);
	say("then its parent writes", n, errno);
	fflush(stdout);
	child = vfork();
	if (child == 0) {
		close(e.fd);
		_exit(5);
	}
	child_result("a vfork child that closes", child);
	n = write(e.fd, "by the parent", 13);
	say("then its parent writes", n, errno);
	for (int way = 0; way < 3; way++) {
		fflush(stdout);
		child = fork();
		if (child == 0)
			overflows(way);
		child_result("a buffer that is too small", child);
	}
	printf("children after: %d/%d, SIGCHLD %d\n", (int)waitpid(-1, NULL, WNOHANG), errno,
	       sigchlds);
	close(e.fd);
	close(e.peer);
	handle(SIGCHLD, SIG_DFL, 0);
}
