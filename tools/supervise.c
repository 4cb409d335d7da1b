/*
 * The command stays in our process group and session: a terminal's Ctrl-C, Ctrl-Z and hang-up reach it
 * from the kernel, exactly as they would without us, so those are not passed on (si_code SI_KERNEL);
 * what a process sends to us alone, is. All of these signals are blocked here and taken one by one
 * with sigtimedwait(2), which is also the clock:
 *
 *    fork, exec                      command ends                rings of the dead are gone, or
 *   ------------> RUNNING --------------------------> EXPORTING ------------------------------> end
 *                  | signal: pass on                   | signal that ends: stop waiting
 *                  | SIGCHLD: reap                     | SIGCHLD: reap
 *                  | every second: is there an agent?  | every 20 ms: is there an agent?
 *
 * As process 1 of a container we get everybody's orphans and reap them. Elsewhere we do not ask for
 * them (PR_SET_CHILD_SUBREAPER): programs tell by getppid() == 1 that their parent died.
 */
#include "tools/supervise.h"

#include "tools/agent_start.h"
#include "tools/other_users.h"
#include "tools/rings.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNNING_TICK_MS	  1000
#define EXPORTING_TICK_MS 20
/* Rings without an agent for this long: the one that the shim starts would have the lock by now. */
#define AGENT_GRACE_MS 1500
/* Between two starts of an agent; doubles with each, so that a broken one is not started for ever. */
#define AGENT_RETRY_MS	   1000
#define AGENT_RETRY_MAX_MS 60000

enum state {
	RUNNING,
	EXPORTING,
};

struct running {
	const struct supervise *plan;
	enum state state;
	pid_t command;
	int wait_status;
	sigset_t taken;	 /* the signals that sigtimedwait takes */
	sigset_t before; /* the mask that we were started with, and the command is */
	uint64_t give_up_ms;
	pid_t agent;		   /* the one we started and have not reaped; 0 = none */
	uint64_t agent_missing_ms; /* since when there are rings without an agent; 0 = not */
	uint64_t agent_next_ms;
	uint32_t agent_pause_ms;
	bool cut_short;
	struct other_users others;
	unsigned int left; /* rings of the dead, when time was up */
};

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Everything but what is about ourselves: faults, a pipe that we write to, our own terminal output. */
static void fill_taken(sigset_t *set)
{
	static const int ours[] = {SIGSEGV, SIGBUS, SIGFPE,  SIGILL,  SIGTRAP,
				   SIGABRT, SIGSYS, SIGPIPE, SIGTTIN, SIGTTOU};
	sigfillset(set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigdelset(set, ours[i]);
}

/* In the child; reports why exec failed through `report`, which exec closes. */
static _Noreturn void become_command(const struct running *r, const struct sigaction *sigchld,
				     int report)
{
	sigaction(SIGCHLD, sigchld, NULL);
	sigprocmask(SIG_SETMASK, &r->before, NULL);
	execvp(r->plan->argv[0], r->plan->argv);
	int error = errno;
	if (write(report, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

/* 0, or the negative errno of exec. */
static int start_command(struct running *r)
{
	struct sigaction by_default = {.sa_handler = SIG_DFL}, before;
	int report[2], error = 0;
	if (pipe2(report, O_CLOEXEC) != 0)
		return -errno;
	/* An ignored SIGCHLD would have the kernel reap the command, and its status be lost. */
	sigaction(SIGCHLD, &by_default, &before);
	fill_taken(&r->taken);
	sigprocmask(SIG_BLOCK, &r->taken, &r->before);
	r->command = fork();
	if (r->command == 0)
		become_command(r, &before, report[1]);
	if (r->command < 0)
		error = errno;
	close(report[1]);
	if (r->command > 0 && read(report[0], &error, sizeof(error)) == (ssize_t)sizeof(error))
		waitpid(r->command, NULL, 0);
	close(report[0]);
	return -error;
}

static void pass_on(const struct running *r, const siginfo_t *info)
{
	/* A terminal's signal went to the whole group, the command with it; and what the command sends to
	 * its own group is not for it to get twice. */
	if (info->si_code == SI_KERNEL || (info->si_code <= 0 && info->si_pid == r->command))
		return;
	if (info->si_code == SI_QUEUE)
		sigqueue(r->command, info->si_signo, info->si_value);
	else
		kill(r->command, info->si_signo);
}

static bool is_ending(int sig)
{
	return sig == SIGTERM || sig == SIGINT || sig == SIGHUP || sig == SIGQUIT;
}

/* Where the command's processes have rings can be told while they have entries in /proc. Many a command lives
 * shorter than from one look around to the next. */
static void find_others(struct running *r)
{
	if (r->plan->directory)
		other_users_find(&r->others, r->plan->directory);
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid;
}

static void reap(struct running *r)
{
	int status;
	if (r->state == RUNNING && has_ended(r->command))
		find_others(r);
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		if (pid == r->agent)
			r->agent = 0;
		if (pid != r->command)
			continue;
		r->wait_status = status;
		r->state = EXPORTING;
		r->give_up_ms = now_ms() + r->plan->export_wait_ms;
	}
}

/* The shell that waits for us shall see the job stopped. With SIGTSTP itself, so that the kernel's
 * exceptions (ignored, orphaned process group: nobody could continue us) hold for us as well. */
static void stop_as_command(void)
{
	sigset_t tstp;
	sigemptyset(&tstp);
	sigaddset(&tstp, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &tstp, NULL);
	sigprocmask(SIG_BLOCK, &tstp, NULL);
}

static void take_signal(struct running *r, const siginfo_t *info)
{
	if (info->si_signo == SIGCHLD) {
		reap(r);
		return;
	}
	if (r->state == RUNNING) {
		if (is_ending(info->si_signo))
			find_others(r);
		pass_on(r, info);
	} else if (is_ending(info->si_signo)) {
		r->cut_short = true;
	}
	if (info->si_signo == SIGTSTP)
		stop_as_command();
}

/* Starts an agent if there are rings and nobody to read them. */
static void keep_agent(struct running *r, const struct rings *rings)
{
	uint64_t now = now_ms();
	if (!r->plan->agent || r->agent || rings->living + rings->dead == 0 ||
	    rings_agent_runs(r->plan->directory)) {
		r->agent_missing_ms = 0;
		return;
	}
	if (!r->agent_missing_ms)
		r->agent_missing_ms = now;
	if (now - r->agent_missing_ms < AGENT_GRACE_MS || now < r->agent_next_ms)
		return;
	pid_t pid = agent_start(r->plan->agent);
	if (pid > 0)
		r->agent = pid;
	if (!r->agent_pause_ms)
		r->agent_pause_ms = AGENT_RETRY_MS;
	r->agent_next_ms = now + r->agent_pause_ms;
	if (r->agent_pause_ms < AGENT_RETRY_MAX_MS)
		r->agent_pause_ms *= 2;
}

/* Whether there is nothing left to do, or no time. */
static bool look_around(struct running *r)
{
	struct rings rings = {0}, all;
	if (r->plan->directory)
		rings_count(r->plan->directory, &rings);
	find_others(r);
	all = rings;
	other_users_count(&r->others, &all);
	if (r->state == EXPORTING) {
		if (all.dead == 0 || r->cut_short)
			return true;
		if (now_ms() >= r->give_up_ms) {
			r->left = all.dead;
			return true;
		}
	}
	if (r->plan->directory)
		keep_agent(r, &rings);
	return false;
}

int supervise_run(const struct supervise *plan, unsigned int *left)
{
	struct running r = {.plan = plan};
	int ret = start_command(&r);
	if (ret < 0) {
		sigprocmask(SIG_SETMASK, &r.before, NULL);
		return ret;
	}
	uint64_t next_look_ms = now_ms();
	for (;;) {
		uint32_t tick_ms = r.state == RUNNING ? RUNNING_TICK_MS : EXPORTING_TICK_MS;
		struct timespec tick = {.tv_sec = tick_ms / 1000,
					.tv_nsec = tick_ms % 1000 * 1000000L};
		siginfo_t info;
		enum state before = r.state;
		if (sigtimedwait(&r.taken, &info, &tick) > 0)
			take_signal(&r, &info);
		if (now_ms() < next_look_ms && r.state == before && !r.cut_short)
			continue;
		if (look_around(&r)) {
			*left = r.left;
			return r.wait_status;
		}
		next_look_ms =
			now_ms() + (r.state == RUNNING ? RUNNING_TICK_MS : EXPORTING_TICK_MS);
	}
}

void supervise_end_as(int wait_status)
{
	if (WIFEXITED(wait_status))
		exit(WEXITSTATUS(wait_status));
	int sig = WTERMSIG(wait_status);
	fflush(NULL);
	/* The same signal, so that a shell reports what it would have reported; but one core is enough. */
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, sig);
	signal(sig, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(sig);
	/* Process 1 does not die of a signal. */
	_exit(128 + sig);
}
