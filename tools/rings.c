#include "tools/rings.h"

#include "shim/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void rings_directory(char *path, size_t room)
{
	const char *told = getenv("INFERWIRE_DIR");
	if (told && told[0])
		snprintf(path, room, "%s", told);
	else
		snprintf(path, room, "/dev/shm/inferwire-%u", (unsigned int)geteuid());
}

static uint64_t own_pid_namespace(void)
{
	struct stat st;
	return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

/* State and start time (fields 3 and 22) from /proc/PID/stat. The name in field 2 may hold anything, so
 * fields are counted from the last ')'. */
static bool read_stat(long pid, char *state, uint64_t *start_ticks)
{
	char path[64], text[1024];
	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	char *p = strrchr(text, ')');
	if (!p || p[1] != ' ')
		return false;
	*state = p[2];
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return false;
	*start_ticks = strtoull(p + 1, NULL, 10);
	return true;
}

static bool is_alive(long pid, uint64_t start_ticks)
{
	char state;
	uint64_t started;
	if (kill((pid_t)pid, 0) != 0 && errno == ESRCH)
		return false;
	/* It is there, and nothing more can be learnt (hidepid): it may well be the one. */
	if (!read_stat(pid, &state, &started))
		return true;
	return state != 'Z' && state != 'X' && started == start_ticks;
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
static bool read_name(const char *name, long *pid, uint64_t *start_ticks)
{
	unsigned long long ticks;
	unsigned int sequence;
	int end = 0;
	if (sscanf(name, "%ld-%llu-%u" WIRE_SUFFIX "%n", pid, &ticks, &sequence, &end) != 3)
		return false;
	*start_ticks = ticks;
	return end > 0 && name[end] == '\0' && *pid > 0;
}

void rings_count(const char *directory, struct rings *r)
{
	uint64_t own_ns = own_pid_namespace();
	memset(r, 0, sizeof(*r));
	DIR *d = opendir(directory);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		long pid;
		uint64_t start_ticks, ns;
		if (!read_name(e->d_name, &pid, &start_ticks) ||
		    !read_pid_namespace(dirfd(d), e->d_name, &ns))
			continue;
		if (ns != own_ns && ns != 0)
			r->foreign++;
		else if (is_alive(pid, start_ticks))
			r->living++;
		else
			r->dead++;
	}
	closedir(d);
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
