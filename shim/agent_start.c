/*
 *   server thread                 middle                        agent
 *     clone(VM|VFORK) ------------> setsid
 *     (waits)                       clone(VM|VFORK) -------------> close all descriptors
 *     (waits)                       (waits)                        default signals, empty mask
 *     (waits)                       exit <------------------------ execve inferwire-agent
 *     reaps the middle                                             (its parent is init now)
 *
 * CLONE_VM | CLONE_VFORK, as posix_spawn does it: no page table of a process with 100 GB mapped is
 * copied. Both children run on stacks of their own and make system calls only. The exit signal is 0:
 * the server gets no SIGCHLD, and a wait for any child does not see the middle (wait(2), __WCLONE).
 * All signals are blocked around it, so no handler of the server runs in a child that shares its
 * memory. Every inherited descriptor is closed, or the agent would keep the server's port open.
 */
#include "shim/agent_start.h"

#include "shim/settings.h"
#include "shim/sys.h"
#include "shim/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>

#ifndef __WCLONE
#define __WCLONE 0x80000000
#endif

#define STACK_BYTES	 16384u
#define KERNEL_SIGSET	 8 /* bytes of the kernel's signal set */
#define KERNEL_SIGNALS	 64
#define ENVIRONMENT_VARS 4096u

/* What both children need; one at a time, so static. */
static struct {
	char path[3][600];
	char *const *environment;
	char *arguments[4];
	char directory[300];  /* "INFERWIRE_DIR=..." */
	char instead_of[300]; /* "--instead-of=..." */
	uint32_t owner;	      /* pid of the process that is at it; 0 = none */
} plan;
static uint8_t middle_stack[STACK_BYTES] __attribute__((aligned(16)));
static uint8_t agent_stack[STACK_BYTES] __attribute__((aligned(16)));

/* Runs entry() in a child that shares our memory and holds us until it execs or exits. Returns the
 * child's pid or a negative errno. */
static long spawn(uint8_t *stack, int (*entry)(void))
{
	const unsigned long flags = CLONE_VM | CLONE_VFORK;
#if defined(__x86_64__)
	long ret;
	register long r10 __asm__("r10") = 0;
	register long r8 __asm__("r8") = 0;
	register int (*r12)(void) __asm__("r12") = entry;
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "call *%%r12\n\t"
			 "mov %%eax, %%edi\n\t"
			 "mov %[exit], %%eax\n\t"
			 "syscall\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(ret)
			 : "a"((long)SYS_clone), "D"(flags), "S"(stack + STACK_BYTES), "d"(0L),
			   "r"(r10), "r"(r8), "r"(r12), [exit] "i"(SYS_exit)
			 : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = SYS_clone;
	register long x0 __asm__("x0") = (long)flags;
	register uint8_t *x1 __asm__("x1") = stack + STACK_BYTES;
	register long x2 __asm__("x2") = 0;
	register long x3 __asm__("x3") = 0;
	register long x4 __asm__("x4") = 0;
	register int (*x20)(void) __asm__("x20") = entry;
	__asm__ volatile("svc 0\n\t"
			 "cbnz x0, 1f\n\t"
			 "mov x29, xzr\n\t"
			 "blr x20\n\t"
			 "mov x8, %[exit]\n\t"
			 "svc 0\n"
			 "1:"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4),
			   "r"(x20), [exit] "i"(SYS_exit)
			 : "x30", "memory");
	return x0;
#endif
}

/* Kernels before 5.9: by the list in /proc. Closing changes the list, so read it from the start until
 * nothing but the list's own descriptor is left. */
static void close_by_list(void)
{
	static uint8_t entries[4096];
	long dir =
		sys4(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir < 0)
		return;
	bool closed;
	do {
		closed = false;
		sys3(SYS_lseek, dir, 0, 0);
		long n = sys3(SYS_getdents64, dir, entries, sizeof(entries));
		for (long at = 0; at < n;) {
			/* struct linux_dirent64: u64 ino, s64 off, u16 length, u8 type, name */
			uint16_t length = *(uint16_t *)(void *)(entries + at + 16);
			uint64_t fd;
			const char *end;
			if (text_number((const char *)entries + at + 19, &fd, &end) &&
			    (long)fd != dir && sys1(SYS_close, fd) == 0)
				closed = true;
			at += length;
		}
	} while (closed);
	sys1(SYS_close, dir);
}

static void detach_from_files(void)
{
	if (sys3(SYS_close_range, 0, ~0u, 0) < 0)
		close_by_list();
	/* 0, 1 and 2, so that nothing else ever gets these numbers. */
	for (int i = 0; i < 3; i++)
		sys4(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
	sys1(SYS_chdir, "/");
}

static void reset_signals(void)
{
	/* The kernel's struct sigaction: handler, flags, restorer, mask; all zero is SIG_DFL. */
	static const uint64_t by_default[4] = {0};
	static const uint64_t none = 0;
	for (int sig = 1; sig <= KERNEL_SIGNALS; sig++)
		sys4(SYS_rt_sigaction, sig, by_default, 0, KERNEL_SIGSET);
	sys4(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, KERNEL_SIGSET);
}

static int run_agent(void)
{
	detach_from_files();
	reset_signals();
	for (int i = 0; i < 3; i++) {
		if (plan.path[i][0]) {
			plan.arguments[0] = plan.path[i];
			sys3(SYS_execve, plan.path[i], plan.arguments, plan.environment);
		}
	}
	return 127;
}

static int run_middle(void)
{
	sys0(SYS_setsid);
	return spawn(agent_stack, run_agent) < 0;
}

/* Where a build, an installation and a distribution have the agent, seen from the library. */
static bool plan_paths(void)
{
	static const char *const places[3] = {"inferwire-agent", "../bin/inferwire-agent",
					      "../../bin/inferwire-agent"};
	if (!settings.library[0])
		return false;
	size_t folder = (size_t)(text_basename(settings.library) - settings.library);
	for (int i = 0; i < 3; i++) {
		text_copy(plan.path[i], folder + 1, settings.library);
		if (!text_append(plan.path[i], sizeof(plan.path[i]), places[i]))
			plan.path[i][0] = '\0';
	}
	plan.arguments[1] = (char *)(uintptr_t) "--started-by-shim";
	plan.arguments[2] = NULL;
	return true;
}

/* The agent is not to be watched, nor to load what the server preloads or puts in front of the
 * system's libraries. */
static bool is_for_the_server(const char *variable)
{
	return text_starts(variable, "LD_PRELOAD=") || text_starts(variable, "LD_LIBRARY_PATH=") ||
	       text_starts(variable, "LD_AUDIT=") || text_starts(variable, "MALLOC_");
}

/* Whether the list has a variable of the same name. */
static bool has_variable(char *const *list, size_t n, const char *variable)
{
	size_t name = 0;
	while (variable[name] && variable[name] != '=')
		name++;
	for (size_t i = 0; i < n; i++) {
		size_t same = 0;
		while (same < name && list[i][same] == variable[same])
			same++;
		if (same == name && list[i][same] == '=')
			return true;
	}
	return false;
}

/* The directory first, then what the server has now, then what it had when it started. */
static size_t fill_environment(char **list, char *const *from)
{
	size_t n = 0;
	list[n++] = plan.directory;
	for (; from && *from && n < ENVIRONMENT_VARS; from++) {
		if (!is_for_the_server(*from) && !text_starts(*from, "INFERWIRE_DIR="))
			list[n++] = *from;
	}
	for (char *kept = settings.for_agent; *kept && n < ENVIRONMENT_VARS;
	     kept += text_len(kept) + 1) {
		if (!has_variable(list, n, kept))
			list[n++] = kept;
	}
	return n;
}

static char **plan_environment(char *const *from, const char *directory, size_t *bytes)
{
	text_copy(plan.directory, sizeof(plan.directory), "INFERWIRE_DIR=");
	if (!text_append(plan.directory, sizeof(plan.directory), directory))
		return NULL;
	*bytes = (ENVIRONMENT_VARS + 1) * sizeof(char *);
	long at = sys6(SYS_mmap, 0, (long)*bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at < 0 && at > -4096)
		return NULL;
	char **list = (char **)at;
	list[fill_environment(list, from)] = NULL;
	if (settings.directory[0] && !text_equal(directory, settings.directory)) {
		text_copy(plan.instead_of, sizeof(plan.instead_of), "--instead-of=");
		text_append(plan.instead_of, sizeof(plan.instead_of), settings.directory);
		plan.arguments[2] = plan.instead_of;
		plan.arguments[3] = NULL;
	}
	return list;
}

/* A child that was forked while another thread of its parent was at it finds the parent's pid. */
static bool take_turn(void)
{
	uint32_t pid = sys_getpid(), before = __atomic_load_n(&plan.owner, __ATOMIC_RELAXED);
	return before != pid && __atomic_compare_exchange_n(&plan.owner, &before, pid, false,
							    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void agent_start(char *const *environment, const char *directory)
{
	if (!take_turn())
		return;
	size_t bytes = 0;
	char **list = plan_paths() ? plan_environment(environment, directory, &bytes) : NULL;
	if (list) {
		uint64_t all = ~(uint64_t)0, before = 0;
		plan.environment = list;
		sys4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, KERNEL_SIGSET);
		long middle = spawn(middle_stack, run_middle);
		if (middle > 0) {
			while (sys4(SYS_wait4, middle, 0, __WCLONE, 0) == -EINTR)
				;
		}
		sys4(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, KERNEL_SIGSET);
		sys2(SYS_munmap, list, bytes);
	}
	__atomic_store_n(&plan.owner, 0, __ATOMIC_RELEASE);
}
