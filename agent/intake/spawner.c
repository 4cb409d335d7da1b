#include "agent/intake/spawner.h"

#include "agent/intake/liveness.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* CPython 3.8 to 3.14: python -c "from multiprocessing.spawn import spawn_main; spawn_main(...)" ... */
static const char spawned[] = "from multiprocessing.spawn import spawn_main";

static size_t read_of(unsigned long pid, const char *name, char *to, size_t room)
{
	char path[48];
	snprintf(path, sizeof(path), "/proc/%lu/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, to, room);
	close(fd);
	return n > 0 ? (size_t)n : 0;
}

static unsigned long parent_of(uint32_t pid)
{
	char status[1024];
	status[read_of(pid, "status", status, sizeof(status) - 1)] = '\0';
	/* A name's newlines are escaped there. */
	const char *line = strstr(status, "\nPPid:");
	return line ? strtoul(line + strlen("\nPPid:"), NULL, 10) : 0;
}

struct span spawner_arguments(const struct process *p, char *to, size_t room)
{
	struct span own = span_of(p->command_line, p->command_line_len);
	if (!own.len || !memmem(own.at, own.len, spawned, strlen(spawned)) ||
	    !liveness_is_visible(p))
		return own;
	unsigned long parent = parent_of(p->pid);
	size_t n = parent > 1 ? read_of(parent, "cmdline", to, room) : 0;
	return n ? span_of(to, n) : own;
}
