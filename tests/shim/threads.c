/*
 * A server that does all at once: threads with connections of their own and two that share one, a timer
 * whose handler writes to a connection too, threads that are cancelled where they wait, forks, and accepts
 * and closes that race. Every message says which connection it belongs to, so that what was recorded can be told
 * right from wrong (tests/shim/recorded.c). Prints what it did.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define WRITERS	 100
#define MESSAGES 200
#define SHARED	 4000
#define CHURNERS 4
#define CHURNS	 1500 /* each */
#define FORKS	 60

static struct sockaddr_in at = {.sin_family = AF_INET};
static int listener;
static unsigned next_id; /* atomic; of connections, from 1 */

static void must(bool held, const char *what)
{
	if (held)
		return;
	fprintf(stderr, "threads: %s: %s\n", what, strerror(errno));
	_exit(1);
}

struct connection {
	unsigned id;
	int server, client;
};

static pthread_mutex_t accepting = PTHREAD_MUTEX_INITIALIZER;

/* The request says how many messages will come. Together, so that the connection accepted is the one connected; the closes of others race. */
static struct connection connected(unsigned messages)
{
	struct linger off = {1, 0};
	struct connection c;
	char head[64], got[64];
	pthread_mutex_lock(&accepting);
	c.client = socket(AF_INET, SOCK_STREAM, 0);
	must(connect(c.client, (struct sockaddr *)&at, sizeof(at)) == 0, "connect");
	c.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	pthread_mutex_unlock(&accepting);
	must(c.server >= 0, "accept4");
	c.id = __atomic_add_fetch(&next_id, 1, __ATOMIC_RELAXED);
	setsockopt(c.client, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
	int n = snprintf(head, sizeof(head), "GET /%06u/%06u HTTP/1.1\r\n\r\n", c.id, messages);
	must(write(c.client, head, (size_t)n) == n, "write");
	must(recv(c.server, got, sizeof(got), 0) == n, "recv");
	return c;
}

/* 14 bytes. Called in the signal's handler too. */
static void message(int fd, unsigned id, unsigned n)
{
	char text[14];
	text[6] = ' ';
	text[13] = '\n';
	for (int i = 5; i >= 0; i--, id /= 10)
		text[i] = (char)('0' + id % 10);
	for (int i = 12; i >= 7; i--, n /= 10)
		text[i] = (char)('0' + n % 10);
	if (write(fd, text, sizeof(text)) != sizeof(text))
		_exit(2);
}

/* ---- writers ------------------------------------------------------------------------------------ */

static void *write_own(void *user)
{
	char got[4096];
	struct connection c = connected(MESSAGES);
	(void)user;
	for (unsigned n = 0; n < MESSAGES; n++) {
		message(c.server, c.id, n);
		must(recv(c.client, got, sizeof(got), 0) > 0, "recv");
	}
	close(c.server);
	close(c.client);
	return NULL;
}

/* ---- two that write to one ---------------------------------------------------------------------- */

static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;
static struct connection shared;
static unsigned shared_messages;

/* In turns, as a lock of the program's has it: so they were sent, and so they are recorded. */
static void *write_shared(void *user)
{
	char got[64];
	(void)user;
	for (;;) {
		pthread_mutex_lock(&writing);
		unsigned n = shared_messages < SHARED ? shared_messages++ : SHARED;
		if (n < SHARED) {
			message(shared.server, shared.id, n);
			must(recv(shared.client, got, sizeof(got), 0) > 0, "recv");
		}
		pthread_mutex_unlock(&writing);
		if (n == SHARED)
			return NULL;
	}
}

/* ---- the timer ---------------------------------------------------------------------------------- */

static struct connection told;
static unsigned told_messages; /* atomic */
static bool telling;	       /* atomic */

/* Of two threads at once, where it takes longer than the timer's turn, the order would be nobody's. */
static void on_timer(int sig)
{
	char got[64];
	int error = errno;
	(void)sig;
	if (__atomic_exchange_n(&telling, true, __ATOMIC_ACQUIRE))
		return;
	message(told.server, told.id, __atomic_fetch_add(&told_messages, 1, __ATOMIC_RELAXED));
	if (recv(told.client, got, sizeof(got), MSG_DONTWAIT) < 0 && errno != EAGAIN)
		_exit(3);
	__atomic_store_n(&telling, false, __ATOMIC_RELEASE);
	errno = error;
}

static void tick(int every_us)
{
	struct itimerval every = {{0, every_us}, {0, every_us}};
	must(setitimer(ITIMER_REAL, &every, NULL) == 0, "setitimer");
}

/* ---- cancelling --------------------------------------------------------------------------------- */

static int way, waiting_fd, cleanups;
static bool is_waiting; /* atomic: or on its way there */

static void on_cancel(void *user)
{
	(void)user;
	cleanups++;
}

static void *wait_for_ever(void *user)
{
	char room[64];
	struct iovec iov = {room, sizeof(room)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct mmsghdr mm = {.msg_hdr = m};
	(void)user;
	pthread_cleanup_push(on_cancel, NULL);
	__atomic_store_n(&is_waiting, true, __ATOMIC_RELEASE);
	for (;;) {
		switch (way) {
		case 0:
			read(waiting_fd, room, sizeof(room));
			break;
		case 1:
			recv(waiting_fd, room, sizeof(room), 0);
			break;
		case 2:
			recvfrom(waiting_fd, room, sizeof(room), 0, NULL, NULL);
			break;
		case 3:
			readv(waiting_fd, &iov, 1);
			break;
		case 4:
			recvmsg(waiting_fd, &m, 0);
			break;
		case 5:
			recvmmsg(waiting_fd, &mm, 1, 0, NULL);
			break;
		case 6:
			accept(waiting_fd, NULL, NULL);
			break;
		case 7:
			accept4(waiting_fd, NULL, NULL, 0);
			break;
		}
	}
	pthread_cleanup_pop(1);
	return NULL;
}

#define WAYS	8
#define CANCELS 4 /* of each */

static void cancel_all(void)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int nobody = socket(AF_INET, SOCK_STREAM, 0), ended = 0;
	sigset_t timer, before;
	sigemptyset(&timer);
	sigaddset(&timer, SIGALRM);
	must(bind(nobody, (struct sockaddr *)&own, sizeof(own)) == 0 && listen(nobody, 1) == 0,
	     "listen");
	for (int i = 0; i < WAYS * CANCELS; i++) {
		struct connection c = connected(1);
		pthread_t thread;
		void *result;
		way = i % WAYS;
		waiting_fd = way < 6 ? c.server : nobody;
		__atomic_store_n(&is_waiting, false, __ATOMIC_RELEASE);
		/* A handler in a thread that is being cancelled would end in its own write. */
		pthread_sigmask(SIG_BLOCK, &timer, &before);
		must(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0, "pthread_create");
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		while (!__atomic_load_n(&is_waiting, __ATOMIC_ACQUIRE))
			usleep(100);
		usleep(i < WAYS ? 20000 : 0);
		pthread_cancel(thread);
		must(pthread_join(thread, &result) == 0, "pthread_join");
		ended += result == PTHREAD_CANCELED;
		message(c.server, c.id, 0); /* the connection is as it was */
		close(c.server);
		close(c.client);
	}
	close(nobody);
	printf("cancelled %d, cleaned up %d\n", ended, cleanups);
}

/* ---- forks and churn ---------------------------------------------------------------------------- */

static void *fork_often(void *user)
{
	int good = 0;
	for (int i = 0; i < FORKS; i++) {
		pid_t child = fork();
		must(child >= 0, "fork");
		if (child == 0)
			_exit(7);
		int status = 0;
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
		good += WIFEXITED(status) && WEXITSTATUS(status) == 7;
	}
	*(int *)user = good;
	return NULL;
}

static void *churn(void *user)
{
	char got[64];
	(void)user;
	for (unsigned i = 0; i < CHURNS; i++) {
		struct connection c = connected(2);
		message(c.server, c.id, 0);
		if (i % 3 == 0) { /* by another number */
			int other = dup(c.server);
			close(c.server);
			c.server = other;
		}
		message(c.server, c.id, 1);
		must(recv(c.client, got, sizeof(got), 0) > 0, "recv");
		close(c.server);
		close(c.client);
	}
	return NULL;
}

int main(void)
{
	pthread_t writers[WRITERS], sharers[2], churners[CHURNERS], forker;
	struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
	socklen_t len = sizeof(at);
	int forked = 0;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	must(bind(listener, (struct sockaddr *)&at, len) == 0 && listen(listener, 128) == 0 &&
		     getsockname(listener, (struct sockaddr *)&at, &len) == 0,
	     "listen");
	told = connected(0);
	must(sigaction(SIGALRM, &action, NULL) == 0, "sigaction");
	shared = connected(SHARED);
	tick(2000);
	for (int i = 0; i < 2; i++)
		must(pthread_create(&sharers[i], NULL, write_shared, NULL) == 0, "pthread_create");
	for (int i = 0; i < WRITERS; i++)
		must(pthread_create(&writers[i], NULL, write_own, NULL) == 0, "pthread_create");
	for (int i = 0; i < CHURNERS; i++)
		must(pthread_create(&churners[i], NULL, churn, NULL) == 0, "pthread_create");
	must(pthread_create(&forker, NULL, fork_often, &forked) == 0, "pthread_create");
	cancel_all();
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	for (int i = 0; i < CHURNERS; i++)
		pthread_join(churners[i], NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(sharers[i], NULL);
	close(shared.server);
	close(shared.client);
	pthread_join(forker, NULL);
	tick(0);
	printf("forked %d\nconnections %u\ntold %u\n", forked, next_id, told_messages);
	return 0;
}
