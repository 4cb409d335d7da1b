/*
 * Doors that a server closes behind itself: it listens as root, forks, and its workers drop to
 * another user, into a root directory or a seccomp filter of their own before they accept (nginx,
 * gunicorn --user, HAProxy). Beyond them the ring directory could not be reached any more, or the
 * attempt would kill the process. So a process that has a listening socket gets its ring before.
 *
 * The calls themselves are passed on as they are.
 */
#include "shim/hook.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Not a door, but a parting of ways: a child may be there to serve what its parent accepted. */
HOOK(pid_t, fork, (void))
{
	struct conn_fresh fresh = {.count = 0};
	if (!boot_enabled)
		return shim_real.fork();
	bool had_ring = boot_has_ring();
	if (had_ring)
		conn_before_fork(&fresh);
	pid_t child = shim_real.fork();
	if (child == 0) {
		boot_in_child(had_ring);
		conn_after_fork(&fresh);
	}
	return child;
}

#define UNCHANGED ((uid_t)-1)

HOOK(int, setuid, (uid_t user))
{
	if (boot_enabled)
		boot_before_user(user);
	return shim_real.setuid(user);
}

HOOK(int, seteuid, (uid_t user))
{
	if (boot_enabled)
		boot_before_user(user);
	return shim_real.seteuid(user);
}

HOOK(int, setreuid, (uid_t real, uid_t user))
{
	if (boot_enabled && user != UNCHANGED)
		boot_before_user(user);
	return shim_real.setreuid(real, user);
}

HOOK(int, setresuid, (uid_t real, uid_t user, uid_t saved))
{
	if (boot_enabled && user != UNCHANGED)
		boot_before_user(user);
	return shim_real.setresuid(real, user, saved);
}

HOOK(int, chroot, (const char *path))
{
	if (boot_enabled)
		boot_before_door();
	return shim_real.chroot(path);
}

/* Five registers, whatever the option takes of them, as libc's own function passes them on. */
HOOK(int, prctl, (int option, long a, long b, long c, long d))
{
	bool filter = option == PR_SET_SECCOMP, no_clock = option == PR_SET_TSC;
	if (!boot_enabled || (!filter && !no_clock))
		return shim_real.prctl(option, a, b, c, d);
	if (filter)
		boot_before_door();
	uint64_t now_ns = boot_now_ns();
	int result = shim_real.prctl(option, a, b, c, d);
	if (result == 0 && (filter ? a == SECCOMP_MODE_STRICT : a == PR_TSC_SIGSEGV))
		boot_without_clock(now_ns);
	else if (result == 0 && filter)
		boot_behind_filter(now_ns);
	return result;
}
