/*
 * A process's states. They live in memory that the kernel wipes in forked children, so that a child
 * starts at NONE and makes a ring of its own when it accepts; it never writes to its parent's.
 *
 *   NONE --- listen or accept ---> MAKING ---> ACTIVE
 *                                     |
 *                                     +------> FAILED   (no space, no permission: inert for good)
 */
#include "shim/boot.h"

#include "shim/agent_start.h"
#include "shim/settings.h"
#include "shim/conn.h"
#include "shim/real.h"
#include "shim/ring_file.h"
#include "shim/sys.h"

#include <sys/mman.h>
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
	};
	uint8_t pages[CONN_PAGE_BYTES];
} life __attribute__((aligned(CONN_PAGE_BYTES)));

bool boot_enabled;

struct ring boot_ring;
bool boot_wipe_missing;

extern char **environ __attribute__((weak));
/* In glibc alone, which hands constructors the program's arguments and environment. */
extern const char *gnu_get_libc_version(void) __attribute__((weak));
/* Told apart by tools and by a second copy of this object in one process. */
__attribute__((visibility("default"))) extern const char inferwire_version[];
const char inferwire_version[] = INFERWIRE_VERSION;

bool boot_own_process(void)
{
	return life.pid == sys_getpid();
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

void boot_count_unwatched(void)
{
	struct wire_header *h = (struct wire_header *)boot_ring.map;
	__atomic_fetch_add(&h->unwatched, 1, __ATOMIC_RELAXED);
}

static bool make(void)
{
	if (!conn_prepare() || !ring_file_make(&boot_ring, settings_directory()))
		return false;
	life.pid = sys_getpid();
	return true;
}

void boot_activate(void)
{
	uint32_t state = __atomic_load_n(&life.state, __ATOMIC_ACQUIRE);
	if (state == BOOT_ACTIVE && boot_wipe_missing && !boot_own_process())
		__atomic_store_n(&life.state, state = BOOT_NONE, __ATOMIC_RELAXED);
	if (!boot_enabled || state != BOOT_NONE)
		return;
	if (!__atomic_compare_exchange_n(&life.state, &state, BOOT_MAKING, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return; /* another thread is at it: this connection is not watched */
	bool made = make();
	__atomic_store_n(&life.state, made ? BOOT_ACTIVE : BOOT_FAILED, __ATOMIC_RELEASE);
	/* The ring first, then the question for the lock: an agent that is about to end for want of
	 * rings looks once more after it let the lock go. */
	if (made && !settings.agent_external && !ring_file_agent_runs(settings_directory()))
		agent_start(environ);
}

/* The states that are wiped in forked children. */
static void wipe_on_fork(void)
{
	long a = sys3(SYS_madvise, &life, sizeof(life), MADV_WIPEONFORK);
	long b = sys3(SYS_madvise, conn_watches, sizeof(conn_watches), MADV_WIPEONFORK);
	boot_wipe_missing = a < 0 || b < 0;
}

/*
 * The environment, wherever this libc has it by now: constructors of an object without dependencies
 * may run before libc's own.
 */
static char *const *find_environment(char **from_libc)
{
	if (environ)
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
	boot_enabled = true;
}
