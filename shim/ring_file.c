/*
 * Everything is checked before it is used: the directory must be a real one, owned by us, closed to
 * others, or another user could have put it there; files are created exclusively and never followed.
 * The space is allocated, not only sized: a page that a full tmpfs cannot give would be a SIGBUS in
 * the server. If there is little space (a container's /dev/shm has 64 MB), a smaller ring is made.
 */
#include "shim/ring_file.h"

#include "shim/boot.h"
#include "shim/limits.h"
#include "shim/settings.h"
#include "shim/sys.h"
#include "shim/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

bool ring_file_header_is_inherited;

#define RING_SEQUENCE_MAX 1000u /* images of one process: exec keeps pid and start time */

static bool directory_is_ours(int fd)
{
	struct stat st; /* the kernel's layout is the libc's on both architectures */
	if (sys2(SYS_fstat, fd, &st) < 0)
		return false;
	return S_ISDIR(st.st_mode) && st.st_uid == (uid_t)sys0(SYS_geteuid) &&
	       (st.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

/* A descriptor of the directory, or a negative errno. */
static int open_directory(const char *path)
{
	sys3(SYS_mkdirat, AT_FDCWD, path, 0700);
	long fd = sys_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return (int)fd;
	if (directory_is_ours((int)fd))
		return (int)fd;
	sys1(SYS_close, fd);
	return -EPERM;
}

/* Field 22 of /proc/self/stat; the name in field 2 may hold anything, so count from the last ')'. */
static uint64_t own_start_ticks(void)
{
	char text[512];
	long fd = sys_open(AT_FDCWD, "/proc/self/stat", O_RDONLY, 0);
	if (fd < 0)
		return 0;
	long n = sys3(SYS_read, fd, text, sizeof(text) - 1);
	sys1(SYS_close, fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	char *p = text + n;
	while (p > text && *p != ')')
		p--;
	for (int field = 2; field < 22; field++) {
		while (*p && *p != ' ')
			p++;
		if (*p)
			p++;
	}
	uint64_t ticks = 0;
	const char *end;
	return text_number(p, &ticks, &end) ? ticks : 0;
}

static uint64_t own_pid_namespace(void)
{
	struct stat st;
	if (sys4(SYS_newfstatat, AT_FDCWD, "/proc/self/ns/pid", &st, 0) < 0)
		return 0;
	return st.st_ino;
}

static uint64_t real_time_ns(void)
{
	struct timespec t = {0, 0};
	sys2(SYS_clock_gettime, CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void file_name(char *name, size_t room, const struct wire_header *h, const char *suffix)
{
	name[0] = '\0';
	text_append_number(name, room, h->pid);
	text_append(name, room, "-");
	text_append_number(name, room, h->start_ticks);
	text_append(name, room, "-");
	text_append_number(name, room, h->sequence);
	text_append(name, room, suffix);
}

/* Creates the first of this process's names that is free, under both suffixes. */
static int create_file(int dir, struct wire_header *id)
{
	char name[96];
	for (id->sequence = 0; id->sequence < RING_SEQUENCE_MAX; id->sequence++) {
		file_name(name, sizeof(name), id, WIRE_SUFFIX);
		if (sys4(SYS_faccessat, dir, name, 0, 0) == 0)
			continue;
		file_name(name, sizeof(name), id, WIRE_SUFFIX_NEW);
		long fd =
			sys_open(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, WIRE_FILE_MODE);
		if (fd != -EEXIST)
			return (int)fd;
	}
	return -EEXIST;
}

/* What a ring may take: an eighth of what is free. The server wants /dev/shm for itself (NCCL, the
 * queues between vLLM's processes), and a container's has 64 MB. */
static uint64_t fair_share(int fd)
{
	struct statfs fs; /* the kernel's layout is the libc's on both architectures */
	if (sys2(SYS_fstatfs, fd, &fs) < 0 || fs.f_bsize <= 0)
		return 0;
	if (fs.f_blocks == 0) /* no limit is set */
		return UINT64_MAX;
	return (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize / 8;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Allocates as much as there is: halves the lanes until they fit. 0 or a negative errno. */
static int allocate(int fd, struct wire_header *id)
{
	long err = -ENOSPC;
	uint64_t share = least(fair_share(fd), limits_file_bytes());
	for (; id->lane_bytes >= WIRE_LANE_BYTES_MIN; id->lane_bytes /= 2) {
		size_t bytes = wire_file_bytes(id->lanes, id->lane_bytes);
		if (bytes > share)
			continue;
		err = sys4(SYS_fallocate, fd, 0, 0, bytes);
		if (err != -ENOSPC && err != -EDQUOT && err != -ENOMEM)
			return (int)err;
		sys2(SYS_ftruncate, fd, 0);
	}
	return (int)err;
}

/* Whether the kernel makes CLOCK_MONOTONIC of the counter: then it found it to run evenly, in sleep
 * too, and to be the same on all processors. */
static bool kernel_counts(void)
{
	char name[sizeof(WIRE_CLOCKSOURCE)];
	long fd = sys4(SYS_openat, AT_FDCWD, WIRE_CLOCKSOURCE_FILE, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	long n = sys3(SYS_read, fd, name, sizeof(name) - 1);
	sys1(SYS_close, fd);
	name[n < 0 ? 0 : n] = '\0';
	return text_equal(name, WIRE_CLOCKSOURCE);
}

/* A pair of both: the counter between two looks at the clock, of a few attempts that with the least
 * between them. One into which somebody came each time tells the agent nothing: it has a rate of its own. */
#define PAIR_ATTEMPTS 8
#define PAIR_WIDE_NS  5000u

static void pair_clocks(struct wire_header *h)
{
	uint64_t least = PAIR_WIDE_NS;
	for (int i = 0; i < PAIR_ATTEMPTS; i++) {
		uint64_t before_ns = boot_now_ns(), counter = wire_counter();
		uint64_t width_ns = boot_now_ns() - before_ns;
		if (width_ns >= least)
			continue;
		least = width_ns;
		h->made_mono_ns = before_ns + width_ns / 2;
		h->made_counter = counter;
	}
}

static void choose_clock(struct wire_header *h)
{
	h->made_mono_ns = boot_now_ns();
	/* Else it is not read at all: prctl(PR_SET_TSC) may have forbidden it. */
	if (!kernel_counts())
		return;
	h->clock = WIRE_CLOCK_COUNTER;
	pair_clocks(h);
}

static void fill_header(struct wire_header *h, const struct wire_header *id)
{
	h->version = WIRE_VERSION;
	h->header_bytes = WIRE_HEADER_BYTES;
	h->lanes = id->lanes;
	h->lane_bytes = id->lane_bytes;
	h->pid = id->pid;
	h->uid = (uint32_t)sys0(SYS_geteuid);
	h->start_ticks = id->start_ticks;
	h->pid_ns = own_pid_namespace();
	choose_clock(h);
	h->made_real_ns = real_time_ns();
	h->sequence = id->sequence;
	text_copy(h->program, sizeof(h->program), settings.program);
	text_copy(h->provider, sizeof(h->provider), settings.provider);
	text_copy(h->endpoints, sizeof(h->endpoints), settings.endpoints);
	text_copy(h->service_name, sizeof(h->service_name), settings.service_name);
	text_copy(h->resource_attributes, sizeof(h->resource_attributes),
		  settings.resource_attributes);
	text_bytes(h->command_line, settings.command_line, sizeof(h->command_line));
	__atomic_store_n(&h->magic, WIRE_MAGIC, __ATOMIC_RELEASE);
}

/* Maps the file, out of core dumps and of forked children; NULL if the kernel will not. Children keep
 * the header alone, where they count what they could not watch. */
static void *map_file(int fd, size_t bytes)
{
	long at = sys6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at < 0 && at > -4096)
		return NULL;
	sys3(SYS_madvise, at, bytes, MADV_DONTDUMP);
	ring_file_header_is_inherited = sys3(SYS_madvise, at + WIRE_HEADER_BYTES,
					     bytes - WIRE_HEADER_BYTES, MADV_DONTFORK) == 0;
	if (!ring_file_header_is_inherited) /* pages larger than it */
		sys3(SYS_madvise, at, bytes, MADV_DONTFORK);
	return (void *)at;
}

/* 0, with the file under its new name, or a negative errno. */
static int make_in(int dir, struct ring *r, struct wire_header *id)
{
	char fresh[96], name[96];
	int fd = create_file(dir, id);
	if (fd < 0)
		return fd;
	file_name(fresh, sizeof(fresh), id, WIRE_SUFFIX_NEW);
	file_name(name, sizeof(name), id, WIRE_SUFFIX);
	int error = allocate(fd, id);
	size_t bytes = wire_file_bytes(id->lanes, id->lane_bytes);
	void *map = error ? NULL : map_file(fd, bytes);
	sys1(SYS_close, fd);
	if (map) {
		fill_header(map, id);
		error = (int)sys4(SYS_renameat, dir, fresh, dir, name);
		if (!error) {
			ring_init(r, map, id->lanes, id->lane_bytes);
			return 0;
		}
		sys2(SYS_munmap, map, bytes);
	}
	sys3(SYS_unlinkat, dir, fresh, 0);
	return error ? error : -ENOMEM;
}

int ring_file_make(struct ring *r, const char *directory, uint32_t lane_bytes)
{
	/* Static: hooks run on small stacks, and only one thread makes the ring. */
	static struct wire_header id;
	uint8_t *parents = ring_file_header_is_inherited ? r->map : NULL;
	int dir = open_directory(directory);
	if (dir < 0)
		return dir;
	id.lanes = WIRE_LANES_DEFAULT;
	id.lane_bytes = lane_bytes;
	id.pid = sys_getpid();
	id.start_ticks = own_start_ticks();
	int error = make_in(dir, r, &id);
	sys1(SYS_close, dir);
	if (!error && parents)
		sys2(SYS_munmap, parents, WIRE_HEADER_BYTES);
	return error;
}

void ring_file_keep_from_children(struct ring *r)
{
	if (ring_file_header_is_inherited &&
	    sys3(SYS_madvise, r->map, WIRE_HEADER_BYTES, MADV_DONTFORK) == 0)
		ring_file_header_is_inherited = false;
}

void ring_file_in_child(const struct ring *r)
{
	/* It stays, for nobody knows how many handlers deep that recording is; none but the pages that
	 * it writes to exist. */
	size_t kept = ring_file_header_is_inherited ? WIRE_HEADER_BYTES : 0;
	size_t bytes = wire_file_bytes(r->lanes, r->lane_bytes);
	sys6(SYS_mmap, (long)(r->map + kept), (long)(bytes - kept), PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

bool ring_file_agent_runs(const char *directory)
{
	int dir = open_directory(directory);
	if (dir < 0)
		return false;
	bool held = false;
	long fd = sys_open(dir, WIRE_LOCK_NAME, O_RDWR | O_NOFOLLOW, 0);
	if (fd >= 0) {
		/* Asks, does not take: an agent that starts at this moment must get it. */
		struct flock lock = {.l_type = F_WRLCK, .l_whence = 0 /* SEEK_SET */};
		held = sys3(SYS_fcntl, fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
		sys1(SYS_close, fd);
	}
	sys1(SYS_close, dir);
	return held;
}
