/*
 * A process's states. They live in memory that the kernel wipes in forked children, so that a child
 * starts at NONE and makes a ring of its own when it accepts; it never writes to its parent's.
 *
 *   NONE --- listen or accept ---> MAKING ---> ACTIVE
 *    ^  or a door (hooks_door.c)      | |
 *    |                                | +----> FAILED   (no space, no permission: inert for good)
 *    +------- no descriptor ----------+
 */
#include "shim/boot.h"

#include "shim/agent_start.h"
#include "shim/settings.h"
#include "shim/conn.h"
#include "shim/real.h"
#include "shim/ring_file.h"
#include "shim/sys.h"
#include "shim/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

enum boot_state { BOOT_NONE, BOOT_MAKING, BOOT_ACTIVE, BOOT_FAILED };

/* Alone in its pages. */
static union {
	struct {
		uint32_t state; /* enum boot_state */
		uint32_t pid;	/* of the process that made the ring */
		uint32_t
			unwatched; /* connections accepted while the ring was made, to be counted in it */
		uint32_t
			image; /* of the process that this memory is of; 0 = a forked child's, not asked yet */
	};
	uint8_t pages[CONN_PAGE_BYTES];
} life __attribute__((aligned(CONN_PAGE_BYTES)));

bool boot_enabled;

struct ring boot_ring;
bool boot_wipe_missing;

/* Filters are inherited, so this is, too. */
static bool behind_filter;
/* Whether reading the clock is no system call. */
static bool clock_is_free;
/* Attempts that failed for want of descriptors: the next accept may find some. */
static uint32_t attempts;

#define ATTEMPTS_MAX 1000u
/* For a child that was forked to serve one connection: allocating a ring of the usual size would take
 * longer than the fork. */
#define LANE_BYTES_FOR_ONE (256u * 1024)
/* Where listening sockets are looked for: among the first, where those are that are inherited, and up to
 * the highest that this process was seen to listen on. */
#define LISTENERS_END 256
static int listeners_end = LISTENERS_END;

extern char **environ __attribute__((weak));
/* In glibc alone, which hands constructors the program's arguments and environment. */
extern const char *gnu_get_libc_version(void) __attribute__((weak));
/* Told apart by tools and by a second copy of this object in one process. */
__attribute__((visibility("default"))) extern const char inferwire_version[];
const char inferwire_version[] = INFERWIRE_VERSION;

bool boot_own_process(void)
{
	/* Whoever sandboxes itself does not start programs by vfork. */
	if (behind_filter)
		return true;
	uint32_t pid = sys_getpid();
	if (!life.pid)
		life.pid = pid;
	return life.pid == pid;
}

bool boot_may_call(void)
{
	return !behind_filter;
}

void boot_in_child(bool had_ring)
{
	if (behind_filter)
		return;
	if (!boot_wipe_missing)
		life.pid = sys_getpid();
	if (had_ring)
		ring_file_in_child(&boot_ring);
}

bool boot_has_ring(void)
{
	return __atomic_load_n(&life.state, __ATOMIC_ACQUIRE) == BOOT_ACTIVE && boot_own_process();
}

bool boot_is_active(void)
{
	return __atomic_load_n(&life.state, __ATOMIC_ACQUIRE) == BOOT_ACTIVE &&
	       (!boot_wipe_missing || boot_own_process());
}

uint64_t boot_now_ns(void)
{
	struct timespec t = {0, 0};
	if (shim_real.clock_gettime)
		shim_real.clock_gettime(CLOCK_MONOTONIC, &t);
	else
		sys2(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* NULL: there is no ring, or not yet. */
static struct wire_header *header(void)
{
	struct wire_header *h =
		(struct wire_header *)__atomic_load_n(&boot_ring.map, __ATOMIC_ACQUIRE);
	return h && (ring_file_header_is_inherited || boot_has_ring()) ? h : NULL;
}

static void count_in_ring(uint32_t connections)
{
	struct wire_header *h = header();
	if (h && connections)
		__atomic_fetch_add(&h->unwatched, connections, __ATOMIC_RELAXED);
}

/* What came before the ring. Both who makes it and who counts call this last, so nothing stays. */
static void count_early(void)
{
	if (header())
		count_in_ring(__atomic_exchange_n(&life.unwatched, 0, __ATOMIC_SEQ_CST));
}

void boot_count_unwatched(void)
{
	if (__atomic_load_n(&life.state, __ATOMIC_ACQUIRE) != BOOT_MAKING) {
		count_in_ring(1);
		return;
	}
	__atomic_fetch_add(&life.unwatched, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&life.state, __ATOMIC_SEQ_CST) != BOOT_MAKING)
		count_early();
}

/* By the name of what the kernel reads: these have a reader in the vDSO. */
static bool find_free_clock(void)
{
	static const char *const names[] = {"tsc\n", "kvm-clock\n", "hyperv_clocksource_tsc_page\n",
					    "arch_sys_counter\n"};
	char text[64];
	long fd = sys_open(AT_FDCWD,
			   "/sys/devices/system/clocksource/clocksource0/current_clocksource",
			   O_RDONLY, 0);
	if (fd < 0 || !shim_real.clock_gettime)
		return false;
	long n = sys3(SYS_read, fd, text, sizeof(text) - 1);
	sys1(SYS_close, fd);
	text[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (text_equal(text, names[i]))
			return true;
	}
	return false;
}

/* A directory that the environment names may be closed to the user that a server became. Its rings are
 * better there where an agent of this user finds them than nowhere; but one that is started by others
 * would not look there. */
static bool may_go_elsewhere(int error)
{
	return settings.directory[0] && !settings.agent_external &&
	       (error == -EACCES || error == -EPERM || error == -EROFS || error == -ENOENT);
}

/* 0 with the directory that it became, or a negative errno. */
static int make(const char **directory, uint32_t lane_bytes)
{
	if (!conn_prepare())
		return -ENOMEM;
	clock_is_free = find_free_clock();
	*directory = settings_directory();
	int error = ring_file_make(&boot_ring, *directory, lane_bytes);
	if (error && may_go_elsewhere(error)) {
		*directory = settings_default_directory();
		error = ring_file_make(&boot_ring, *directory, lane_bytes);
	}
	if (!error && boot_wipe_missing)
		life.pid = sys_getpid();
	return error;
}

static enum boot_state state_after(int error)
{
	bool may_pass = error == -EMFILE || error == -ENFILE;
	if (!error)
		return BOOT_ACTIVE;
	return may_pass && ++attempts < ATTEMPTS_MAX ? BOOT_NONE : BOOT_FAILED;
}

static void activate(uint32_t lane_bytes)
{
	uint32_t state = __atomic_load_n(&life.state, __ATOMIC_ACQUIRE);
	if (state == BOOT_ACTIVE && boot_wipe_missing && !boot_own_process())
		__atomic_store_n(&life.state, state = BOOT_NONE, __ATOMIC_RELAXED);
	/* A vfork child would make a ring in its parent's name. Where the kernel cannot wipe, a forked
	 * child looks the same; it may. */
	if (!boot_enabled || state != BOOT_NONE || behind_filter ||
	    (!boot_own_process() && !boot_wipe_missing))
		return;
	if (!__atomic_compare_exchange_n(&life.state, &state, BOOT_MAKING, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return; /* another thread is at it: this connection is not watched */
	const char *directory;
	int error = make(&directory, lane_bytes);
	__atomic_store_n(&life.state, state_after(error), __ATOMIC_SEQ_CST);
	count_early();
	/* The ring first, then the question for the lock: an agent that is about to end for want of
	 * rings looks once more after it let the lock go. */
	if (!error && !settings.agent_external && !ring_file_agent_runs(directory))
		agent_start(environ, directory);
}

void boot_serve(void)
{
	activate(settings.lane_bytes);
	if (ring_file_header_is_inherited && !behind_filter && boot_has_ring())
		ring_file_keep_from_children(&boot_ring);
}

void boot_activate_for_one(void)
{
	activate(settings.lane_bytes < LANE_BYTES_FOR_ONE ? settings.lane_bytes
							  : LANE_BYTES_FOR_ONE);
}

void boot_listens(int fd)
{
	/* Of two threads at once one may be forgotten: both make the ring, which is what it is for. */
	if (fd >= listeners_end)
		listeners_end = fd + 1;
	activate(settings.lane_bytes);
}

static bool has_listening_socket(void)
{
	for (int fd = 0; fd < listeners_end; fd++) {
		int listens = 0;
		uint32_t bytes = sizeof(listens);
		if (sys6(SYS_getsockopt, fd, SOL_SOCKET, SO_ACCEPTCONN, (long)&listens,
			 (long)&bytes, 0) == 0 &&
		    listens)
			return true;
	}
	return false;
}

void boot_before_door(void)
{
	if (__atomic_load_n(&life.state, __ATOMIC_ACQUIRE) == BOOT_NONE && !behind_filter &&
	    has_listening_socket())
		activate(settings.lane_bytes);
}

void boot_before_user(uid_t user)
{
	if (!behind_filter && user != (uid_t)sys0(SYS_geteuid))
		boot_before_door();
}

void boot_without_clock(uint64_t now_ns)
{
	behind_filter = true;
	if (__atomic_load_n(&life.state, __ATOMIC_ACQUIRE) == BOOT_ACTIVE)
		conn_give_up_all(now_ns);
	__atomic_store_n(&life.state, BOOT_FAILED, __ATOMIC_RELEASE);
}

void boot_behind_filter(uint64_t now_ns)
{
	behind_filter = true;
	if (!clock_is_free)
		boot_without_clock(now_ns);
}

/* The states that are wiped in forked children. */
static void wipe_on_fork(void)
{
	long a = sys3(SYS_madvise, &life, sizeof(life), MADV_WIPEONFORK);
	long b = sys3(SYS_madvise, conn_watches, sizeof(conn_watches), MADV_WIPEONFORK);
	boot_wipe_missing |= a < 0 || b < 0;
}

/*
 * The environment, wherever this libc has it by now: constructors of an object without dependencies
 * may run before libc's own.
 */
static char *const *find_environment(char **from_libc)
{
	if (&environ && environ) /* a process without a libc has no such variable at all */
		return environ;
	return gnu_get_libc_version ? from_libc : NULL;
}

__attribute__((constructor)) static void boot(int argc, char **argv, char **environment)
{
	(void)argc;
	(void)argv;
	real_resolve();
	if (!settings_read(find_environment(environment)))
		return;
	/* A second copy (another path of the same file): the last in load order works, the others
	 * pass everything on to it. */
	if (real_find("inferwire_version"))
		return;
	wipe_on_fork();
	life.pid = sys_getpid();
	boot_enabled = true;
}
