#include "tools/running.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENVIRONMENT_MAX (4u << 20)
#define SOCKETS_MAX	4096 /* listening ones that are compared */
#define DELETED		" (deleted)"

static int open_file(uint32_t pid, const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static FILE *open_lines(uint32_t pid, const char *name)
{
	int fd = open_file(pid, name);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	if (fd >= 0 && !in)
		close(fd);
	return in;
}

/* Reads at most `room` bytes. */
static size_t read_file(uint32_t pid, const char *name, char *to, size_t room)
{
	size_t len = 0;
	int fd = open_file(pid, name);
	if (fd < 0)
		return 0;
	for (ssize_t n; len < room && (n = read(fd, to + len, room - len)) > 0;)
		len += (size_t)n;
	close(fd);
	return len;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n >= m && strcmp(text + n - m, end) == 0;
}

/* PID-STARTTICKS-SEQUENCE.ring */
static bool is_ring(const char *path)
{
	const char *slash = strrchr(path, '/');
	unsigned long long a, b, c;
	int end = 0;
	return slash && sscanf(slash, "/%llu-%llu-%llu.ring%n", &a, &b, &c, &end) == 3 && end &&
	       (!slash[end] || strcmp(slash + end, DELETED) == 0);
}

static void cut_deleted(char *path)
{
	if (ends_with(path, DELETED))
		path[strlen(path) - (sizeof(DELETED) - 1)] = '\0';
}

/* The path of a line "START-END PERMISSIONS OFFSET DEVICE INODE   PATH", and whether it is executable. */
static char *read_map(char *line, bool *executable)
{
	char permissions[8];
	int at = 0;
	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%*s %7s %*s %*s %*s %n", permissions, &at) != 1 || !at || line[at] != '/')
		return NULL;
	*executable = strchr(permissions, 'x') != NULL;
	return line + at;
}

/* 0 or -errno. */
static int read_maps(struct running *r)
{
	char *line = NULL;
	size_t room = 0;
	bool executable;
	int fd = open_file(r->pid, "maps");
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	if (!in)
		return fd < 0 ? fd : -ENOMEM;
	while (getline(&line, &room, in) > 0) {
		char *path = read_map(line, &executable);
		if (!path)
			continue;
		if (is_ring(path)) {
			r->ring_removed = ends_with(path, DELETED);
			cut_deleted(path);
			snprintf(r->ring, sizeof(r->ring), "%s", path);
			continue;
		}
		/* make install renames a new one over it: the old one is then "deleted". */
		cut_deleted(path);
		if (ends_with(path, "/libinferwire.so"))
			snprintf(r->shim, sizeof(r->shim), "%s", path);
	}
	int ret = ferror(in) ? -EACCES : 0;
	free(line);
	fclose(in);
	return ret;
}

static void read_auxv(struct running *r)
{
	Elf64_auxv_t items[64];
	size_t n = read_file(r->pid, "auxv", (char *)items, sizeof(items)) / sizeof(items[0]);
	for (size_t i = 0; i < n; i++) {
		if (items[i].a_type == AT_SECURE && items[i].a_un.a_val)
			r->secure = true;
	}
}

static int read_environment(struct running *r)
{
	size_t room = 64 << 10;
	for (;; room *= 4) {
		char *bytes = realloc(r->environment, room);
		if (!bytes)
			return -ENOMEM;
		r->environment = bytes;
		r->environment_len = read_file(r->pid, "environ", bytes, room - 1);
		bytes[r->environment_len] = '\0';
		if (r->environment_len < room - 1 || room >= ENVIRONMENT_MAX)
			return 0;
	}
}

/* Inodes of the listening stream sockets of its network namespace, from a table of /proc/PID/net. */
static size_t read_listeners(uint32_t pid, const char *name, bool is_unix, uint64_t *inodes,
			     size_t count)
{
	char *line = NULL;
	size_t room = 0;
	FILE *in = open_lines(pid, name);
	while (in && count < SOCKETS_MAX && getline(&line, &room, in) > 0) {
		unsigned int state = 0, flags = 0, type = 0;
		uint64_t inode = 0;
		/* Num: RefCount Protocol Flags Type St Inode: __SO_ACCEPTCON, SOCK_STREAM */
		if (is_unix) {
			if (sscanf(line, "%*s %*s %*s %x %x %*s %" SCNu64, &flags, &type, &inode) ==
				    3 &&
			    (flags & 0x10000) && type == 1)
				inodes[count++] = inode;
		} else if (sscanf(line, "%*s %*s %*s %x %*s %*s %*s %*s %*s %" SCNu64, &state,
				  &inode) == 2 &&
			   state == 0x0a) { /* TCP_LISTEN */
			inodes[count++] = inode;
		}
	}
	free(line);
	if (in)
		fclose(in);
	return count;
}

static bool is_among(const uint64_t *inodes, size_t count, uint64_t inode)
{
	for (size_t i = 0; i < count; i++) {
		if (inodes[i] == inode)
			return true;
	}
	return false;
}

static void read_descriptors(struct running *r)
{
	char path[64], link[64];
	static uint64_t inodes[SOCKETS_MAX];
	size_t count = read_listeners(r->pid, "net/tcp", false, inodes, 0);
	count = read_listeners(r->pid, "net/tcp6", false, inodes, count);
	count = read_listeners(r->pid, "net/unix", true, inodes, count);
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/fd", r->pid);
	DIR *folder = opendir(path);
	if (!folder)
		return;
	for (struct dirent *e; (e = readdir(folder));) {
		uint64_t inode;
		ssize_t n = readlinkat(dirfd(folder), e->d_name, link, sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		if (strcmp(link, "anon_inode:[io_uring]") == 0)
			r->io_uring = true;
		if (sscanf(link, "socket:[%" SCNu64 "]", &inode) == 1 &&
		    is_among(inodes, count, inode))
			r->listens = true;
	}
	closedir(folder);
}

int running_read(uint32_t pid, struct running *r)
{
	char path[64];
	struct stat st;
	memset(r, 0, sizeof(*r));
	r->pid = pid;
	snprintf(path, sizeof(path), "/proc/%" PRIu32, pid);
	if (stat(path, &st) != 0)
		return -ESRCH;
	r->euid = st.st_uid;
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/exe", pid);
	ssize_t n = readlink(path, r->exe, sizeof(r->exe) - 1);
	if (n < 0 && errno != ENOENT)
		return errno == EPERM ? -EACCES : -errno;
	r->exe[n > 0 ? n : 0] = '\0';
	int ret = read_maps(r);
	if (!ret)
		ret = read_environment(r);
	if (ret) {
		running_release(r);
		return ret == -EPERM ? -EACCES : ret;
	}
	read_file(pid, "cmdline", r->command_line, sizeof(r->command_line) - 2);
	read_auxv(r);
	read_descriptors(r);
	return 0;
}

void running_release(struct running *r)
{
	free(r->environment);
	r->environment = NULL;
}

const char *running_variable(const struct running *r, const char *name)
{
	size_t len = strlen(name);
	for (size_t at = 0; at < r->environment_len; at += strlen(r->environment + at) + 1) {
		const char *e = r->environment + at;
		if (strncmp(e, name, len) == 0 && e[len] == '=')
			return e[len + 1] ? e + len + 1 : NULL;
	}
	return NULL;
}

void running_files(const struct running *r,
		   void (*found)(void *user, const char *name, const char *path), void *user)
{
	char *line = NULL, path[PLACES_PATH_BYTES + 32];
	size_t room = 0;
	bool executable;
	FILE *in = open_lines(r->pid, "maps");
	while (in && getline(&line, &room, in) > 0) {
		const char *name = read_map(line, &executable);
		if (!name || !executable)
			continue;
		snprintf(path, sizeof(path), "/proc/%" PRIu32 "/root%s", r->pid, name);
		found(user, name, path);
	}
	free(line);
	if (in)
		fclose(in);
}
