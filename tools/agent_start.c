#include "tools/agent_start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK_SECONDS 5
#define POLL_NS	      (2 * 1000 * 1000)

/* Between fork and exec of the agent: it is neither watched itself nor given the preloads that are for
 * the server, and signals are as a fresh program expects them. */
static void become_fresh(void)
{
	unsetenv("LD_PRELOAD");
	unsetenv("LD_AUDIT");
	sigset_t none;
	sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int wait_for_verdict(pid_t child)
{
	for (int tries = 0; tries < CHECK_SECONDS * (1000000000 / POLL_NS); tries++) {
		int status;
		if (waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
		nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}

int agent_check_config(const char *agent)
{
	/* Where SIGCHLD is ignored, the kernel throws exit statuses away. */
	struct sigaction by_default = {.sa_handler = SIG_DFL}, before;
	sigaction(SIGCHLD, &by_default, &before);
	int verdict = 0;
	pid_t child = fork();
	if (child == 0) {
		become_fresh();
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl(agent, agent, "--check-config", (char *)NULL);
		_exit(EXIT_SUCCESS);
	}
	if (child > 0)
		verdict = wait_for_verdict(child);
	sigaction(SIGCHLD, &before, NULL);
	return verdict;
}

pid_t agent_start(const char *agent)
{
	pid_t child = fork();
	if (child < 0)
		return -errno;
	if (child > 0)
		return child;
	setsid();
	become_fresh();
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	open("/dev/null", O_RDWR); /* 0, 1 and 2: nothing else shall get these numbers */
	if (dup(0) < 0 || dup(0) < 0)
		_exit(127);
	closefrom(3);
	if (chdir("/") == 0)
		execl(agent, agent, "--started-by-shim", (char *)NULL);
	_exit(127);
}
