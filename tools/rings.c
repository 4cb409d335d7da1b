#include "tools/rings.h"

#include "agent/intake/liveness.h"
#include "shim/wire.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void rings_directory(char *path, size_t room)
{
	const char *told = getenv("INFERWIRE_DIR");
	if (told && told[0])
		snprintf(path, room, "%s", told);
	else
		snprintf(path, room, "/dev/shm/inferwire-%u", (unsigned int)geteuid());
}

/* The PID namespace that the ring's header names; 0 if it could not be read there. */
static bool read_pid_namespace(int directory, const char *name, uint64_t *pid_ns)
{
	struct wire_header header;
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	ssize_t n = pread(fd, &header, sizeof(header), 0);
	close(fd);
	if (n != (ssize_t)sizeof(header) || header.magic != WIRE_MAGIC)
		return false;
	*pid_ns = header.pid_ns;
	return true;
}

/* PID-STARTTICKS-SEQUENCE.ring */
static bool read_name(const char *name, struct process *p)
{
	int end = 0;
	if (sscanf(name, "%" SCNu32 "-%" SCNu64 "-%" SCNu32 WIRE_SUFFIX "%n", &p->pid,
		   &p->start_ticks, &p->sequence, &end) != 3)
		return false;
	return end > 0 && name[end] == '\0' && p->pid > 0;
}

static void each_ring(const char *directory, void (*take)(const struct process *p, void *user),
		      void *user)
{
	static struct process p;
	DIR *d = opendir(directory);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		if (read_name(e->d_name, &p) && read_pid_namespace(dirfd(d), e->d_name, &p.pid_ns))
			take(&p, user);
	}
	closedir(d);
}

static void count(const struct process *p, void *user)
{
	struct rings *r = user;
	if (!liveness_is_visible(p))
		r->foreign++;
	else if (liveness_of(p))
		r->living++;
	else
		r->dead++;
}

void rings_count(const char *directory, struct rings *r)
{
	memset(r, 0, sizeof(*r));
	each_ring(directory, count, r);
}

struct search {
	bool (*is_wanted)(uint32_t pid);
	bool found;
};

static void look(const struct process *p, void *user)
{
	struct search *s = user;
	if (!s->found && liveness_has_entry(p))
		s->found = s->is_wanted(p->pid);
}

bool rings_have_process(const char *directory, bool (*is_wanted)(uint32_t pid))
{
	struct search s = {.is_wanted = is_wanted};
	each_ring(directory, look, &s);
	return s.found;
}

bool rings_agent_runs(const char *directory)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", directory, WIRE_LOCK_NAME);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	bool held = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	close(fd);
	return held;
}
