/*
 * The hooks that tell which descriptors stand for which connections.
 */
#include "shim/hook.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

HOOK(int, listen, (int fd, int backlog))
{
	int result = shim_real.listen(fd, backlog);
	if (result == 0 && boot_enabled)
		boot_listens(fd);
	return result;
}

HOOK(int, accept, (int fd, struct sockaddr *addr, socklen_t *len))
{
	if (!boot_enabled)
		return shim_real.accept(fd, addr, len);
	int result = shim_real.accept(fd, addr, len);
	if (result >= 0)
		conn_accepted(result);
	return result;
}

HOOK(int, accept4, (int fd, struct sockaddr *addr, socklen_t *len, int flags))
{
	if (!boot_enabled)
		return shim_real.accept4(fd, addr, len, flags);
	int result = shim_real.accept4(fd, addr, len, flags);
	if (result >= 0)
		conn_accepted(result);
	return result;
}

HOOK_WATCHED(int, shutdown, (int fd, int how), (fd, how))
{
	struct stream_mark mark = stream_before_write(fd);
	stream_before_farewell(mark.id, fd);
	int result = shim_real.shutdown(fd, how);
	if (result == 0)
		stream_shut(mark, how);
	return result;
}

HOOK(int, close, (int fd))
{
	if (conn_watched(fd))
		conn_closing(fd);
	return shim_real.close(fd);
}

/* libuv, and so uvloop and node, closes by syscall(SYS_close, fd). The arguments that a call did not
 * pass are read and passed on as they are found, as libc's own function does; so it is no function to be
 * put into its caller where a program is linked as a whole. */
__attribute__((noinline))
HOOK(long, syscall, (long n, long a, long b, long c, long d, long e, long f))
{
	if (n == SYS_close && conn_watched((int)a))
		conn_closing((int)a);
	if (n != SYS_seccomp || !boot_enabled)
		return shim_real.syscall(n, a, b, c, d, e, f);
	/* libc has no function of its own for it. */
	boot_before_door();
	uint64_t now_ns = boot_now_ns();
	long result = shim_real.syscall(n, a, b, c, d, e, f);
	if (result == 0 && a == SECCOMP_SET_MODE_STRICT)
		boot_without_clock(now_ns);
	else if (result == 0 && a == SECCOMP_SET_MODE_FILTER)
		boot_behind_filter(now_ns);
	return result;
}

HOOK(int, close_range, (unsigned first, unsigned last, int flags))
{
	if (boot_enabled && !(flags & (int)CLOSE_RANGE_CLOEXEC))
		conn_closing_range(first, last);
	return shim_real.close_range(first, last, flags);
}

HOOK(void, closefrom, (int first))
{
	if (boot_enabled)
		conn_closing_range(first < 0 ? 0 : (unsigned)first, CONN_MAX - 1);
	shim_real.closefrom(first);
}

/* A call made `result` of `fd`, by whatever name. */
static int duplicated(int fd, int result)
{
	if (result >= 0 && (conn_watched(fd) || conn_watched(result)))
		conn_duplicated(fd, result);
	return result;
}

HOOK(int, dup, (int fd))
{
	if (!boot_enabled)
		return shim_real.dup(fd);
	return duplicated(fd, shim_real.dup(fd));
}

HOOK(int, dup2, (int fd, int to))
{
	if (!boot_enabled)
		return shim_real.dup2(fd, to);
	return duplicated(fd, shim_real.dup2(fd, to));
}

HOOK(int, dup3, (int fd, int to, int flags))
{
	if (!boot_enabled)
		return shim_real.dup3(fd, to, flags);
	return duplicated(fd, shim_real.dup3(fd, to, flags));
}

/* The third argument, if there is one, is an int, a long or a pointer: a register of either kind is
 * passed on whole. fcntl64 is what glibc 2.28 and later make of fcntl under large-file support. */
HOOK(int, fcntl, (int fd, int command, long argument))
{
	if (!boot_enabled || (command != F_DUPFD && command != F_DUPFD_CLOEXEC))
		return shim_real.fcntl(fd, command, argument);
	return duplicated(fd, shim_real.fcntl(fd, command, argument));
}

HOOK(int, fcntl64, (int fd, int command, long argument))
{
	if (!boot_enabled || (command != F_DUPFD && command != F_DUPFD_CLOEXEC))
		return shim_real.fcntl64(fd, command, argument);
	return duplicated(fd, shim_real.fcntl64(fd, command, argument));
}
