#include "agent/intake/directory.h"

#include "agent/intake/liveness.h"
#include "shim/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int refuse(char *error, size_t room, const char *path, const char *why, int code)
{
	snprintf(error, room, "%s %s", path, why);
	return -code;
}

/* What another user could have put in our place, or could look into. */
static int check(int fd, const char *path, char *error, size_t room)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return refuse(error, room, path, strerror(errno), errno);
	if (st.st_uid != geteuid())
		return refuse(
			error, room, path,
			"belongs to another user; set INFERWIRE_DIR to a directory of this one",
			EPERM);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return refuse(error, room, path, "is open to other users; chmod 700 it", EPERM);
	return 0;
}

int directory_open(struct directory *d, char *error, size_t room)
{
	const char *wanted = getenv("INFERWIRE_DIR");
	*d = (struct directory){.fd = -1, .lock_fd = -1, .watch_fd = -1};
	int n = wanted && *wanted
			? snprintf(d->path, sizeof(d->path), "%s", wanted)
			: snprintf(d->path, sizeof(d->path), "/dev/shm/inferwire-%u", geteuid());
	if (n < 0 || (size_t)n >= sizeof(d->path))
		return refuse(error, room, "INFERWIRE_DIR", "is longer than 255 bytes",
			      ENAMETOOLONG);
	if (mkdir(d->path, 0700) != 0 && errno != EEXIST)
		return refuse(error, room, d->path, strerror(errno), errno);
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d->fd < 0)
		return refuse(
			error, room, d->path,
			errno == ELOOP || errno == ENOTDIR
				? "is no directory (a link is not followed); set INFERWIRE_DIR"
				: strerror(errno),
			errno);
	int err = check(d->fd, d->path, error, room);
	if (err) {
		directory_close(d);
		return err;
	}
	d->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (d->watch_fd >= 0)
		inotify_add_watch(d->watch_fd, d->path, IN_MOVED_TO | IN_ONLYDIR);
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void directory_close(struct directory *d)
{
	directory_unlock(d);
	close_fd(&d->watch_fd);
	close_fd(&d->fd);
}

int directory_lock(struct directory *d)
{
	int fd = openat(d->fd, WIRE_LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
		int err = errno == EACCES ? EAGAIN : errno;
		close(fd);
		return -err;
	}
	char text[32];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	/* For humans and tools; the lock is what counts. */
	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
		errno = 0;
	d->lock_fd = fd;
	return 0;
}

void directory_unlock(struct directory *d)
{
	close_fd(&d->lock_fd);
}

pid_t directory_holder(const struct directory *d)
{
	char text[32] = "";
	int fd = openat(d->fd, WIRE_LOCK_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

static bool ends_in(const char *name, const char *suffix)
{
	size_t n = strlen(name), s = strlen(suffix);
	return n > s && strcmp(name + n - s, suffix) == 0;
}

/* A ring that was being made when its process died. In another PID namespace its maker may live. */
static void sweep_half_made(struct directory *d, const char *name)
{
	uint32_t pid;
	uint64_t ticks;
	struct stat st;
	if (sscanf(name, "%" SCNu32 "-%" SCNu64 "-", &pid, &ticks) != 2)
		return;
	if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && time(NULL) - st.st_mtime > 60 &&
	    !liveness_of_pid(pid, ticks))
		unlinkat(d->fd, name, 0);
}

void directory_scan(struct directory *d, void (*found)(void *user, const char *name), void *user)
{
	int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		close_fd(&fd);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		if (strlen(e->d_name) >= DIRECTORY_NAME_BYTES)
			continue;
		if (ends_in(e->d_name, WIRE_SUFFIX))
			found(user, e->d_name);
		else if (ends_in(e->d_name, WIRE_SUFFIX_NEW))
			sweep_half_made(d, e->d_name);
	}
	closedir(dir);
}

void directory_drain(struct directory *d)
{
	char events[4096];
	while (d->watch_fd >= 0 && read(d->watch_fd, events, sizeof(events)) > 0)
		;
}
