/*
 * Calls by which a process gives something up, each in a child of its own.
 */
#define _GNU_SOURCE
#include "tests/shim/transparent/row.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Still served after the call: a connection from before it. */
static bool serves(struct end *e)
{
	char some[4];
	return write(e->peer, "more", 4) == 4 && read(e->fd, some, 4) == 4 &&
	       write(e->fd, "HTTP", 4) == 4 && read(e->peer, some, 4) == 4;
}

static const char *ids(void)
{
	static char text[128];
	uid_t r, e, s;
	getresuid(&r, &e, &s);
	snprintf(text, sizeof(text), "%u %u %u", r, e, s);
	return text;
}

/* In a child: the call, then whether the connection is served; all told at once by its end. */
#define IN_CHILD(call)                                                                             \
	do {                                                                                       \
		fflush(stdout);                                                                    \
		pid_t child_ = fork();                                                             \
		if (child_ == 0) {                                                                 \
			struct end e = connected();                                                \
			errno = 0;                                                                 \
			long result_ = (long)(call);                                               \
			int error_ = errno;                                                        \
			printf(#call " = %ld errno %d serves %d ids %s\n", result_, error_,        \
			       serves(&e), ids());                                                 \
			fflush(stdout);                                                            \
			_exit(7);                                                                  \
		}                                                                                  \
		int status_ = 0;                                                                   \
		waitpid(child_, &status_, 0);                                                      \
		printf("its child: %#x\n", (unsigned)status_);                                     \
	} while (0)

static void users(void)
{
	const uid_t none = (uid_t)-1;
	IN_CHILD(setuid(none));
	IN_CHILD(setuid(getuid()));
	IN_CHILD(setuid(65534));
	IN_CHILD(seteuid(none));
	IN_CHILD(seteuid(65534));
	IN_CHILD(seteuid(65534) * 10 + seteuid(getuid()));
	IN_CHILD(setreuid(none, none));
	IN_CHILD(setreuid(65534, none));
	IN_CHILD(setreuid(none, 65534));
	IN_CHILD(setreuid(65534, 65534));
	IN_CHILD(setresuid(none, none, none));
	IN_CHILD(setresuid(none, 65534, none));
	IN_CHILD(setresuid(65534, 65534, 65534));
	IN_CHILD(setresuid(65534, 65534, 65534) * 10 + setuid(0));
}

static void roots(void)
{
	IN_CHILD(chroot(NULL));
	IN_CHILD(chroot(unmapped));
	IN_CHILD(chroot(""));
	IN_CHILD(chroot("/there/is/no/such/folder"));
	IN_CHILD(chroot("/dev/null"));
	IN_CHILD(chroot("/tmp"));
}

/* Lets everything pass but one call, which fails with EPERM. */
static long with_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -2;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return -3;
	return syscall(SYS_getppid);
}

/* From here on the process may read, write and exit, and nothing else. */
static void strict(void)
{
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		struct end e = connected();
		bool served = prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0 && serves(&e);
		syscall(SYS_exit, served ? 7 : 8);
	}
	int status = 0;
	waitpid(child, &status, 0);
	printf("a child that may only read and write: %#x\n", (unsigned)status);
}

static void options(void)
{
	static char name[16];
	int mode;
	IN_CHILD(prctl(PR_GET_NAME, name));
	IN_CHILD(prctl(PR_GET_NAME, unmapped));
	IN_CHILD(prctl(PR_SET_NAME, "another name"));
	IN_CHILD(prctl(PR_SET_DUMPABLE, 0L) * 10 + prctl(PR_GET_DUMPABLE));
	IN_CHILD(prctl(PR_SET_DUMPABLE, 77L));
	IN_CHILD(prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 1L));
	IN_CHILD(prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) * 10 +
		 prctl(PR_GET_NO_NEW_PRIVS, 0L, 0L, 0L, 0L));
	IN_CHILD(prctl(PR_GET_SECCOMP));
	IN_CHILD(prctl(PR_SET_SECCOMP, 77L, NULL));
	IN_CHILD(prctl(PR_SET_SECCOMP, (long)SECCOMP_MODE_FILTER, NULL));
	IN_CHILD(prctl(PR_SET_SECCOMP, (long)SECCOMP_MODE_FILTER, unmapped));
	IN_CHILD(prctl(PR_GET_TSC, &mode));
	IN_CHILD(prctl(PR_SET_TSC, 77L));
	IN_CHILD(prctl(PR_SET_TSC, (long)PR_TSC_ENABLE));
	IN_CHILD(prctl(-1));
	IN_CHILD(prctl(12345, 1L, 2L, 3L, 4L));
}

void doors(void)
{
	users();
	roots();
	options();
	if (row_emulated) /* its own calls would be filtered */
		return;
	IN_CHILD(with_filter());
	strict();
#if defined(__x86_64__)
	/* A call that reads the clock without the kernel would end the process. */
	IN_CHILD(prctl(PR_SET_TSC, (long)PR_TSC_SIGSEGV) * 10 + serves(&e));
#endif
}
