/*
 * The exported functions. Each asks: is the descriptor watched? No: jump to the real function. Yes:
 * remember, call it, record what it says it moved.
 *
 * The C names carry a prefix and the exported ones are given by asm labels: so no libc header's
 * prototype (fortified, transparent unions) stands in the way.
 *
 * Results and errno are the real function's: what runs after it makes no libc call but
 * clock_gettime(CLOCK_MONOTONIC), which does not fail.
 */
#include "shim/boot.h"
#include "shim/conn.h"
#include "shim/real.h"

#include <sys/syscall.h>

#define HOOK(result, name, parameters)                                                             \
	__attribute__((visibility("default"))) result hook_##name parameters __asm__(#name);       \
	__attribute__((visibility("default"))) result hook_##name parameters

/* A hook that looks at `fd` only; the body that follows is for a watched one. That body is a function
 * of its own: its stack frame would otherwise be set up before the question is asked. */
#define HOOK_WATCHED(result, name, parameters, arguments)                                          \
	static __attribute__((noinline)) result watched_##name parameters;                         \
	HOOK(result, name, parameters)                                                             \
	{                                                                                          \
		if (!conn_watched(fd))                                                             \
			return shim_real.name arguments;                                           \
		return watched_##name arguments;                                                   \
	}                                                                                          \
	static result watched_##name parameters

/* ---- a connection's ends ------------------------------------------------------------------------ */

HOOK(int, listen, (int fd, int backlog))
{
	int result = shim_real.listen(fd, backlog);
	if (result == 0 && boot_enabled)
		boot_activate();
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
	int result = shim_real.shutdown(fd, how);
	if (result == 0)
		conn_shut(fd, how);
	return result;
}

HOOK(int, close, (int fd))
{
	if (conn_watched(fd))
		conn_closing(fd);
	return shim_real.close(fd);
}

/* libuv, and so uvloop and node, closes by syscall(SYS_close, fd). The arguments that a call did not
 * pass are read and passed on as they are found, as libc's own function does. */
HOOK(long, syscall, (long n, long a, long b, long c, long d, long e, long f))
{
	if (n == SYS_close && conn_watched((int)a))
		conn_closing((int)a);
	return shim_real.syscall(n, a, b, c, d, e, f);
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* What a call that read into one buffer moved. */
static ssize_t read_into(struct conn_mark mark, void *buf, size_t n, ssize_t moved, int flags)
{
	struct iovec iov = {buf, n};
	conn_after_read(mark, &iov, moved, n > 0, flags);
	return moved;
}

HOOK_WATCHED(ssize_t, read, (int fd, void *buf, size_t n), (fd, buf, n))
{
	struct conn_mark mark = conn_before_read(fd);
	return read_into(mark, buf, n, shim_real.read(fd, buf, n), 0);
}

HOOK_WATCHED(ssize_t, recv, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags))
{
	struct conn_mark mark = conn_before_read(fd);
	return read_into(mark, buf, n, shim_real.recv(fd, buf, n, flags), flags);
}

HOOK_WATCHED(ssize_t, recvfrom,
	     (int fd, void *buf, size_t n, int flags, struct sockaddr *addr, socklen_t *len),
	     (fd, buf, n, flags, addr, len))
{
	struct conn_mark mark = conn_before_read(fd);
	return read_into(mark, buf, n, shim_real.recvfrom(fd, buf, n, flags, addr, len), flags);
}

/* What -D_FORTIFY_SOURCE makes of read, recv and recvfrom. */
HOOK_WATCHED(ssize_t, __read_chk, (int fd, void *buf, size_t n, size_t room), (fd, buf, n, room))
{
	struct conn_mark mark = conn_before_read(fd);
	return read_into(mark, buf, n, shim_real.__read_chk(fd, buf, n, room), 0);
}

HOOK_WATCHED(ssize_t, __recv_chk, (int fd, void *buf, size_t n, size_t room, int flags),
	     (fd, buf, n, room, flags))
{
	struct conn_mark mark = conn_before_read(fd);
	return read_into(mark, buf, n, shim_real.__recv_chk(fd, buf, n, room, flags), flags);
}

HOOK_WATCHED(ssize_t, __recvfrom_chk,
	     (int fd, void *buf, size_t n, size_t room, int flags, struct sockaddr *addr,
	      socklen_t *len),
	     (fd, buf, n, room, flags, addr, len))
{
	struct conn_mark mark = conn_before_read(fd);
	return read_into(mark, buf, n, shim_real.__recvfrom_chk(fd, buf, n, room, flags, addr, len),
			 flags);
}

/* Whether a vector has room for a byte: a read of 0 bytes that returns 0 is no end of the stream. */
static bool any_room(const struct iovec *iov, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (iov[i].iov_len)
			return true;
	}
	return false;
}

HOOK_WATCHED(ssize_t, readv, (int fd, const struct iovec *iov, int count), (fd, iov, count))
{
	struct conn_mark mark = conn_before_read(fd);
	ssize_t moved = shim_real.readv(fd, iov, count);
	conn_after_read(mark, iov, moved, moved == 0 && any_room(iov, (size_t)count), 0);
	return moved;
}

HOOK_WATCHED(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags), (fd, msg, flags))
{
	struct conn_mark mark = conn_before_read(fd);
	ssize_t moved = shim_real.recvmsg(fd, msg, flags);
	if (moved < 0) /* msg may be no address at all */
		conn_after_read(mark, NULL, moved, false, flags);
	else
		conn_after_read(mark, msg->msg_iov, moved,
				moved == 0 && any_room(msg->msg_iov, msg->msg_iovlen), flags);
	return moved;
}

/* ---- writing ------------------------------------------------------------------------------------ */

/* What a call that wrote from one buffer moved. */
static ssize_t written_from(struct conn_mark mark, const void *buf, size_t n, ssize_t moved,
			    int flags)
{
	struct iovec iov = {(void *)(uintptr_t)buf, n};
	conn_after_write(mark, &iov, moved, flags);
	return moved;
}

HOOK_WATCHED(ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n))
{
	struct conn_mark mark = conn_before_write(fd);
	return written_from(mark, buf, n, shim_real.write(fd, buf, n), 0);
}

HOOK_WATCHED(ssize_t, send, (int fd, const void *buf, size_t n, int flags), (fd, buf, n, flags))
{
	struct conn_mark mark = conn_before_write(fd);
	return written_from(mark, buf, n, shim_real.send(fd, buf, n, flags), flags);
}

HOOK_WATCHED(ssize_t, sendto,
	     (int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr,
	      socklen_t len),
	     (fd, buf, n, flags, addr, len))
{
	struct conn_mark mark = conn_before_write(fd);
	return written_from(mark, buf, n, shim_real.sendto(fd, buf, n, flags, addr, len), flags);
}

HOOK_WATCHED(ssize_t, writev, (int fd, const struct iovec *iov, int count), (fd, iov, count))
{
	struct conn_mark mark = conn_before_write(fd);
	ssize_t moved = shim_real.writev(fd, iov, count);
	conn_after_write(mark, iov, moved, 0);
	return moved;
}

HOOK_WATCHED(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags))
{
	struct conn_mark mark = conn_before_write(fd);
	ssize_t moved = shim_real.sendmsg(fd, msg, flags);
	conn_after_write(mark, moved < 0 ? NULL : msg->msg_iov, moved, flags);
	return moved;
}
