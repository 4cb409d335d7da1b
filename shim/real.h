/*
 * real.h - the next definition of everything that is hooked, and the few libc functions we use.
 *
 * The shim has no DT_NEEDED and no strong import. It finds the next definition in the loaded
 * objects behind itself, as dlsym(RTLD_NEXT) would: dlsym itself is not in every process (glibc
 * before 2.34 keeps it in libdl) and its version would tie the shim to one libc.
 */
#ifndef SHIM_REAL_H
#define SHIM_REAL_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#pragma GCC visibility push(hidden) /* reached without the global offset table */

/* X(result, name, parameters, arguments): one row a hook. `syscall` is hooked for libuv, which
 * closes its descriptors by syscall(SYS_close, fd) (src/unix/core.c, uv__close_nocancel). */
#define SHIM_HOOKS(X)                                                                              \
	X(int, listen, (int fd, int backlog), (fd, backlog))                                       \
	X(int, accept, (int fd, struct sockaddr *addr, socklen_t *len), (fd, addr, len))           \
	X(int, accept4, (int fd, struct sockaddr *addr, socklen_t *len, int flags),                \
	  (fd, addr, len, flags))                                                                  \
	X(ssize_t, read, (int fd, void *buf, size_t n), (fd, buf, n))                              \
	X(ssize_t, recv, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags))            \
	X(ssize_t, recvfrom,                                                                       \
	  (int fd, void *buf, size_t n, int flags, struct sockaddr *addr, socklen_t *len),         \
	  (fd, buf, n, flags, addr, len))                                                          \
	X(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags), (fd, msg, flags))             \
	X(ssize_t, readv, (int fd, const struct iovec *iov, int count), (fd, iov, count))          \
	X(ssize_t, __read_chk, (int fd, void *buf, size_t n, size_t room), (fd, buf, n, room))     \
	X(ssize_t, __recv_chk, (int fd, void *buf, size_t n, size_t room, int flags),              \
	  (fd, buf, n, room, flags))                                                               \
	X(ssize_t, __recvfrom_chk,                                                                 \
	  (int fd, void *buf, size_t n, size_t room, int flags, struct sockaddr *addr,             \
	   socklen_t *len),                                                                        \
	  (fd, buf, n, room, flags, addr, len))                                                    \
	X(ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n))                       \
	X(ssize_t, send, (int fd, const void *buf, size_t n, int flags), (fd, buf, n, flags))      \
	X(ssize_t, sendto,                                                                         \
	  (int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr,              \
	   socklen_t len),                                                                         \
	  (fd, buf, n, flags, addr, len))                                                          \
	X(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags))       \
	X(ssize_t, writev, (int fd, const struct iovec *iov, int count), (fd, iov, count))         \
	X(int, recvmmsg,                                                                           \
	  (int fd, struct mmsghdr *msgs, unsigned count, int flags, struct timespec *wait),        \
	  (fd, msgs, count, flags, wait))                                                          \
	X(int, sendmmsg, (int fd, struct mmsghdr *msgs, unsigned count, int flags),                \
	  (fd, msgs, count, flags))                                                                \
	X(ssize_t, sendfile, (int fd, int from, off_t *offset, size_t n), (fd, from, offset, n))   \
	X(ssize_t, sendfile64, (int fd, int from, off_t *offset, size_t n), (fd, from, offset, n)) \
	X(ssize_t, splice,                                                                         \
	  (int from, off_t *from_offset, int fd, off_t *offset, size_t n, unsigned flags),         \
	  (from, from_offset, fd, offset, n, flags))                                               \
	X(void *, fdopen, (int fd, const char *mode), (fd, mode))                                  \
	X(int, vdprintf, (int fd, const char *format, __builtin_va_list args), (fd, format, args)) \
	X(int, __vdprintf_chk, (int fd, int flag, const char *format, __builtin_va_list args),     \
	  (fd, flag, format, args))                                                                \
	X(int, dup, (int fd), (fd))                                                                \
	X(int, dup2, (int fd, int to), (fd, to))                                                   \
	X(int, dup3, (int fd, int to, int flags), (fd, to, flags))                                 \
	X(int, fcntl, (int fd, int command, long argument), (fd, command, argument))               \
	X(int, fcntl64, (int fd, int command, long argument), (fd, command, argument))             \
	X(int, close_range, (unsigned first, unsigned last, int flags), (first, last, flags))      \
	X(void, closefrom, (int first), (first))                                                   \
	X(int, shutdown, (int fd, int how), (fd, how))                                             \
	X(int, close, (int fd), (fd))                                                              \
	X(pid_t, fork, (void), ())                                                                 \
	X(int, setuid, (uid_t user), (user))                                                       \
	X(int, seteuid, (uid_t user), (user))                                                      \
	X(int, setreuid, (uid_t real, uid_t user), (real, user))                                   \
	X(int, setresuid, (uid_t real, uid_t user, uid_t saved), (real, user, saved))              \
	X(int, chroot, (const char *path), (path))                                                 \
	X(int, prctl, (int option, long a, long b, long c, long d), (option, a, b, c, d))          \
	X(long, syscall, (long n, long a, long b, long c, long d, long e, long f),                 \
	  (n, a, b, c, d, e, f))

struct shim_real {
#define X(result, name, parameters, arguments) result(*name) parameters;
	SHIM_HOOKS(X)
#undef X
	int (*clock_gettime)(clockid_t clock, struct timespec *t); /* NULL: use the system call */
	int *(*errno_location)(void);
};

/* Callable at any time: before real_resolve each entry resolves all and goes on to the real one. An
 * entry that the process has no definition of does by system calls what newer libcs have, or fails with
 * ENOSYS. */
extern struct shim_real shim_real;

/* Idempotent; makes no system call. */
void real_resolve(void);

/* The name of `symbol` in another loaded object behind this one; NULL if there is none. */
void *real_find(const char *symbol);

/* As real_find, but first in the libraries that the object with the code at `caller` needs. Holds the
 * loader's lock (dl_iterate_phdr): not for every call. */
void *real_find_for(const void *caller, const char *symbol);

/* Path of this shared object as the loader knows it; NULL if unknown. */
const char *real_own_path(void);

#pragma GCC visibility pop

#endif
