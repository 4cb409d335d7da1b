/*
 * A server that locks itself in before it serves: what it does not need any more kills it.
 *
 *   sandboxed_server PORT process|worker-prctl|worker-seccomp|strict
 *
 *   process         the process that listened installs a filter, then accepts
 *   worker-prctl    a forked worker does, by prctl
 *   worker-seccomp  a forked worker does, by seccomp(2), which libc has no function for
 *   strict          a forked child for each connection enters the strict mode (read, write, exit) after
 *                   it accepted
 *
 * Every answer is one and the same chat completion.
 */
#define _GNU_SOURCE
#include "tests/servers/listening.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char answer[] =
	"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 187\r\n\r\n"
	"{\"object\":\"chat.completion\",\"model\":\"tiny-a\",\"choices\":[{\"index\":0,"
	"\"message\":"
	"{\"content\":\"hi\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,"
	"\"completion_tokens\":2,\"total_tokens\":3}}\n";

#define ALLOW(name)                                                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                                     \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void lock_in(int by_prctl)
{
	static struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(read),
		ALLOW(write),
		ALLOW(accept),
		ALLOW(accept4),
		ALLOW(close),
		ALLOW(exit_group),
		ALLOW(rt_sigreturn),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	static struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		exit(3);
	if (by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0
		     : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
		exit(4);
}

/* One request, to the end of its head and as many bytes more as it says. */
static int take_request(int fd)
{
	char request[8192];
	size_t have = 0;
	for (;;) {
		ssize_t n = read(fd, request + have, sizeof(request) - 1 - have);
		if (n <= 0)
			return 0;
		have += (size_t)n;
		request[have] = '\0';
		char *body = strstr(request, "\r\n\r\n");
		char *length = strstr(request, "content-length: ");
		if (body && have >= (size_t)(body + 4 - request) +
					    (length ? strtoul(length + 16, NULL, 10) : 0))
			return 1;
	}
}

static void serve(int listener)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			_exit(5);
		while (take_request(fd) && write(fd, answer, sizeof(answer) - 1) > 0)
			;
		close(fd);
	}
}

static void serve_strictly(int listener)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL), status = 0;
		pid_t child = fork();
		if (child == 0) {
			/* The parent closes it before anything is read from it. */
			char first;
			if (recv(fd, &first, 1, MSG_PEEK) != 1 ||
			    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) != 0)
				_exit(4);
			while (take_request(fd) && write(fd, answer, sizeof(answer) - 1) > 0)
				;
			syscall(SYS_exit, 0);
		}
		close(fd);
		if (waitpid(child, &status, 0) != child || status != 0)
			exit(6);
	}
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	int listener = listening_on(argv[1]), status = 0;
	if (listener < 0)
		return 1;
	if (strcmp(argv[2], "strict") == 0)
		serve_strictly(listener);
	pid_t worker = strcmp(argv[2], "process") == 0 ? 0 : fork();
	if (worker == 0) {
		prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0);
		lock_in(strcmp(argv[2], "worker-seccomp") != 0);
		serve(listener);
	}
	/* A worker that is killed is a failure that its clients see. */
	close(listener);
	waitpid(worker, &status, 0);
	return 7;
}
