#include "agent/intake/liveness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct proc_stat {
	char state;	  /* field 3 */
	uint64_t threads; /* field 20 */
	uint64_t ticks;	  /* field 22 */
};

/* Of /proc/PID/stat. The name in field 2 may hold anything, so count from the last parenthesis. */
static bool read_stat(uint32_t pid, struct proc_stat *s)
{
	char path[32], text[1024];
	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	const char *p = strrchr(text, ')');
	for (int field = 3; p && field <= 22; field++) {
		p = strchr(p + 1, ' ');
		if (p && field == 3)
			s->state = p[1];
		else if (p && field == 20)
			s->threads = strtoull(p + 1, NULL, 10);
	}
	if (!p)
		return false;
	s->ticks = strtoull(p + 1, NULL, 10);
	return true;
}

/* A main thread that ended before the others is a zombie, too; its process lives. */
static bool is_dead(const struct proc_stat *s)
{
	return s->state == 'X' || (s->state == 'Z' && s->threads <= 1);
}

bool liveness_of_pid(uint32_t pid, uint64_t start_ticks)
{
	struct proc_stat s = {0};
	if (!pid || pid > INT32_MAX)
		return false;
	if (read_stat(pid, &s))
		return !is_dead(&s) && (!start_ticks || s.ticks == start_ticks);
	/* /proc may be hidden from us (hidepid) or absent. */
	return kill((pid_t)pid, 0) == 0 || errno == EPERM;
}

bool liveness_has_entry(const struct process *p)
{
	struct proc_stat s = {0};
	return liveness_is_visible(p) && read_stat(p->pid, &s) && s.ticks == p->start_ticks;
}

static uint64_t own_namespace(void)
{
	static uint64_t inode; /* never changes; two threads would store the same */
	struct stat st;
	if (!inode && stat("/proc/self/ns/pid", &st) == 0)
		inode = st.st_ino;
	return inode;
}

bool liveness_is_visible(const struct process *p)
{
	return !p->pid_ns || p->pid_ns == own_namespace();
}

bool liveness_of(const struct process *p)
{
	return !liveness_is_visible(p) || liveness_of_pid(p->pid, p->start_ticks);
}

int liveness_open(const struct process *p)
{
	if (!liveness_is_visible(p))
		return -1;
	int fd = (int)syscall(SYS_pidfd_open, (pid_t)p->pid, 0u);
	/* The pid may be another's by now. */
	if (fd >= 0 && !liveness_of_pid(p->pid, p->start_ticks)) {
		close(fd);
		fd = -1;
	}
	return fd;
}
