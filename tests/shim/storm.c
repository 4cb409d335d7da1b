/*
 * Everything that may interrupt a hook, at once, on watched connections, for some seconds: a signal
 * handler that writes to one, and now and then forks; a child of its own that comes back into the hook that
 * was interrupted; a fork storm; threads that are cancelled in recv. Ends with 0 if every byte of the stream
 * arrived in order, every child ended well and nothing hung.
 *
 *   storm SECONDS
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct pair {
	int server, client;
};

static atomic_int over;
static struct pair streamed, signalled, silent, interrupted;
static atomic_int beats, cancelled, forked, came_back;

static struct pair connected(int listener, const struct sockaddr_in *at)
{
	struct pair p = {.client = socket(AF_INET, SOCK_STREAM, 0)};
	char request[18];
	if (connect(p.client, (const struct sockaddr *)at, sizeof(*at)) ||
	    (p.server = accept(listener, NULL, NULL)) < 0 ||
	    write(p.client, "GET / HTTP/1.0\r\n\r\n", 18) != 18 ||
	    recv(p.server, request, 18, MSG_WAITALL) != 18)
		exit(2);
	return p;
}

/* Not otherwise than by _exit(0): a signal would have ended it. */
static void ends_well(pid_t child)
{
	int status = 0;
	if (child < 0)
		return;
	while (waitpid(child, &status, 0) < 0)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		_exit(5);
}

static void on_alarm(int sig)
{
	(void)sig;
	if (send(signalled.server, "!", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		beats++;
	if (beats % 8 == 0) {
		pid_t child = fork();
		if (child == 0) {
			send(signalled.server, "", 0, MSG_DONTWAIT);
			_exit(0);
		}
		ends_well(child);
	}
}

/* In the thread that does nothing but read and write: its child goes on where it was. */
static volatile sig_atomic_t in_child;

static void on_user(int sig)
{
	(void)sig;
	pid_t child = fork();
	if (child == 0)
		in_child = 1;
	else
		ends_well(child);
}

static void *interruptible(void *unused)
{
	char bytes[512] = "";
	(void)unused;
	while (!over) {
		send(interrupted.server, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (in_child)
			_exit(0);
		recv(interrupted.client, bytes, sizeof(bytes), MSG_DONTWAIT);
		came_back++;
	}
	return NULL;
}

/* Not in all threads: fork is no function to call in the middle of fork. */
static void mask_alarm(int how)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(how, &set, NULL);
}

static void *stream(void *unused)
{
	uint32_t block[64];
	(void)unused;
	mask_alarm(SIG_UNBLOCK);
	for (uint32_t n = 0; !over; n++) {
		for (int i = 0; i < 64; i++)
			block[i] = n * 64 + (uint32_t)i;
		for (size_t at = 0; at < sizeof(block);) {
			ssize_t sent =
				write(streamed.server, (char *)block + at, sizeof(block) - at);
			if (sent > 0)
				at += (size_t)sent;
		}
	}
	shutdown(streamed.server, SHUT_WR);
	return NULL;
}

static void *check(void *unused)
{
	uint32_t word, expected = 0;
	(void)unused;
	while (recv(streamed.client, &word, sizeof(word), MSG_WAITALL) == sizeof(word)) {
		if (word != expected++)
			exit(3);
	}
	return NULL;
}

static void *storm(void *unused)
{
	(void)unused;
	while (!over) {
		pid_t child = fork();
		if (child == 0) {
			close(streamed.server);
			close(silent.server);
			_exit(0);
		}
		ends_well(child);
		forked++;
	}
	return NULL;
}

static void *blocked(void *unused)
{
	char c;
	(void)unused;
	while (recv(silent.server, &c, 1, 0) >= 0)
		;
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	struct itimerval beat = {{0, 10000}, {0, 10000}};
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	pthread_t threads[4];
	char drained[4096];
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	time_t end = time(NULL) + (argc > 1 ? atol(argv[1]) : 3);
	if (bind(listener, (struct sockaddr *)&at, len) || listen(listener, 8) ||
	    getsockname(listener, (struct sockaddr *)&at, &len))
		return 2;
	streamed = connected(listener, &at);
	signalled = connected(listener, &at);
	silent = connected(listener, &at);
	interrupted = connected(listener, &at);
	mask_alarm(SIG_BLOCK);
	pthread_create(&threads[0], NULL, stream, NULL);
	pthread_create(&threads[1], NULL, check, NULL);
	pthread_create(&threads[2], NULL, storm, NULL);
	pthread_create(&threads[3], NULL, interruptible, NULL);
	sigaction(SIGALRM, &action, NULL);
	action.sa_handler = on_user;
	sigaction(SIGUSR1, &action, NULL);
	setitimer(ITIMER_REAL, &beat, NULL);
	while (time(NULL) < end) {
		pthread_t victim;
		void *how;
		pthread_create(&victim, NULL, blocked, NULL);
		usleep(1000);
		pthread_cancel(victim);
		pthread_join(victim, &how);
		cancelled += how == PTHREAD_CANCELED;
		pthread_kill(threads[3], SIGUSR1);
		while (recv(signalled.client, drained, sizeof(drained), MSG_DONTWAIT) > 0)
			;
	}
	beat = (struct itimerval){0};
	setitimer(ITIMER_REAL, &beat, NULL);
	over = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	return beats > 10 && cancelled > 10 && forked > 10 && came_back > 10 ? 0 : 4;
}
