/*
 * Calls that make descriptors, duplicate them, end them; and system calls by number.
 */
#define _GNU_SOURCE
#include "tests/shim/transparent/row.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HIGH 300 /* descriptors from here on are free */

#ifndef F_OFD_GETLK /* glibc 2.20 */
#define F_OFD_GETLK 36
#endif
#ifndef F_GET_SEALS /* glibc 2.27 */
#define F_GET_SEALS 1034
#endif

/* Which descriptors there are by now, as bytes in the memory that is printed. */
static long seen(long result)
{
	int error = errno;
	for (int fd = 0; fd < 40; fd++) {
		int flags = fcntl(fd, F_GETFD);
		room[fd] = flags < 0 ? '.' : flags ? 'c' : 'o';
	}
	for (int fd = HIGH; fd < HIGH + 8; fd++)
		room[40 + fd - HIGH] = fcntl(fd, F_GETFD) < 0 ? '.' : 'o';
	errno = error;
	return result;
}

#define R_SEEN(call)	R(seen(call))
#define R_SEEN_FD(call) R(e.result = (int)seen(call))

static void rows_of_duplicates(enum kind kind)
{
	R_SEEN_FD(dup(fd));
	R_SEEN_FD(dup2(fd, HIGH));
	R_SEEN(dup2(fd, fd));
	R_SEEN(dup2(fd, -1));
	R_SEEN(dup2(fd, 1 << 29));
	R_SEEN(dup2(-1, fd));
	R_SEEN(dup2(1 << 29, fd));
	R_SEEN(fd < 0 || fd > 1000 ? -7 : dup2(a_file, fd));
	R_SEEN_FD(dup3(fd, HIGH, 0));
	R_SEEN_FD(dup3(fd, HIGH, O_CLOEXEC));
	R_SEEN(dup3(fd, HIGH, 12345));
	R_SEEN(dup3(fd, fd, 0));
	R_SEEN(dup3(fd, -1, 0));
	R_SEEN(fd < 0 || fd > 1000 ? -7 : dup3(a_file, fd, O_CLOEXEC));
	R_SEEN_FD(fcntl(fd, F_DUPFD, HIGH));
	R_SEEN_FD(fcntl(fd, F_DUPFD, 0));
	R_SEEN(fcntl(fd, F_DUPFD, -1));
	R_SEEN(fcntl(fd, F_DUPFD, 1 << 29));
	R_SEEN_FD(fcntl(fd, F_DUPFD_CLOEXEC, HIGH));
	R_SEEN(fcntl(fd, F_DUPFD_CLOEXEC, -1));
}

static void rows_of_fcntl(enum kind kind)
{
	struct flock lock = {.l_type = F_WRLCK};
	struct f_owner_ex owner = {F_OWNER_PID, 0};
	R(fcntl(fd, F_GETFD));
	R_SEEN(fcntl(fd, F_SETFD, FD_CLOEXEC));
	R_SEEN(fcntl(fd, F_SETFD, 0));
	R(fcntl(fd, F_GETFL));
	R(fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND));
	R(fcntl(fd, F_GETLK, &lock));
	R(fcntl(fd, F_SETLK, &lock));
	R(fcntl(fd, F_OFD_GETLK, &lock));
	R(fcntl(fd, F_GETLK, unmapped));
	R(fcntl(fd, F_SETOWN_EX, &owner));
	R(fcntl(fd, F_GETOWN_EX, &owner));
	R(fcntl(fd, F_GETOWN_EX, unmapped));
	R(fcntl(fd, F_GETOWN));
	R(fcntl(fd, F_GETPIPE_SZ));
	R(fcntl(fd, F_SETPIPE_SZ, 4096));
	R(fcntl(fd, F_GET_SEALS));
	R(fcntl(fd, 12345, unmapped));
	R(fcntl(fd, -1));
}

#if defined(__GLIBC__) && __GLIBC__ * 100 + __GLIBC_MINOR__ >= 234
int fcntl64(int fd, int command, ...);

static void rows_of_glibc(enum kind kind)
{
	struct flock lock = {.l_type = F_RDLCK};
	R(fcntl64(fd, F_GETFD));
	R(fcntl64(fd, F_GETFL));
	R(fcntl64(fd, F_GETLK, &lock));
	R(fcntl64(fd, F_GETLK, unmapped));
	R_SEEN(fcntl64(fd, F_SETFD, FD_CLOEXEC));
	R_SEEN_FD(fcntl64(fd, F_DUPFD, HIGH));
	R_SEEN_FD(fcntl64(fd, F_DUPFD_CLOEXEC, HIGH));
	R_SEEN(fcntl64(fd, F_DUPFD, -1));
	R(fcntl64(fd, 12345, unmapped));
	R_SEEN(fd < 0 ? -7 : close_range((unsigned)fd, (unsigned)fd, 0));
	R_SEEN(fd < 0 ? -7 : close_range((unsigned)fd, (unsigned)fd, 4));
	R_SEEN(fd < 0 ? -7 : close_range((unsigned)fd, (unsigned)fd, 2));
	R_SEEN(fd < 0 ? -7 : close_range((unsigned)fd, (unsigned)fd, 8));
	R_SEEN(fd < 0 ? -7 : close_range((unsigned)fd, (unsigned)fd, -1));
	R_SEEN(fd < 0 ? -7 : close_range((unsigned)fd, ~0u, 0));
	R_SEEN(fd < 0 ? -7 : close_range((unsigned)fd, ~0u, 4));
	R_SEEN(fd < 0 ? -7 : close_range((unsigned)fd + 1, ~0u, 0));
	R_SEEN(fd < 1 ? -7 : close_range((unsigned)fd, (unsigned)fd - 1, 0));
	R_SEEN(close_range(~0u, ~0u, 0));
	R_SEEN(fd < 3 ? -7 : (closefrom(fd), 0));
	R_SEEN(fd < 3 ? -7 : (closefrom(fd + 1), 0));
}
#else
static void rows_of_glibc(enum kind kind)
{
	(void)kind;
}
#endif

static void rows_of_ends(enum kind kind)
{
	const int ways[] = {SHUT_RD, SHUT_WR, SHUT_RDWR, 3, 77, -1};
	for (int i = 0; i < 6; i++)
		R(shutdown(fd, ways[i]));
	R(shutdown(fd, SHUT_WR) * 10 + shutdown(fd, SHUT_RDWR));
	R_SEEN(close(fd));
	R_SEEN(close(fd) * 10 + close(fd));
	R(close(fd) + read(fd, room, 8));
	R(close(fd) + write(fd, "HTTP", 4));
	R(shutdown(fd, SHUT_WR) + write(fd, "HTTP", 4));
	R(shutdown(fd, SHUT_RD) + read(fd, room, 8));
	/* One of two: the connection stays. */
	R((e.result = dup(fd), close(fd)) + write(e.result, "HTTP", 4));
	R((e.result = dup(fd), close(e.result)) + write(fd, "HTTP", 4));
	R((e.result = dup(fd), close(fd)) + read(e.result, room, 8));
}

void rows_of_descriptors(enum kind kind)
{
	rows_of_duplicates(kind);
	rows_of_fcntl(kind);
	rows_of_glibc(kind);
	rows_of_ends(kind);
}

/* ---- accepting ---------------------------------------------------------------------------------- */

/* The result is taken for the row's to close; what the peer's address is depends on the run. */
#define ACCEPTED(call) (e.result = (int)(call)) >= 0 ? 0 : -1

static socklen_t *length(socklen_t value)
{
	static socklen_t len;
	len = value;
	return &len;
}

static long told(long result, const socklen_t *len)
{
	int error = errno;
	room[100] = (char)('a' + (*len & 31));
	errno = error;
	return result;
}

#define TOLD(call) told(ACCEPTED(call), len)

void rows_of_accepting(enum kind kind)
{
	static struct sockaddr_storage at;
	struct sockaddr *to = (struct sockaddr *)&at;
	socklen_t *len;
	const int flags[] = {
		0, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_CLOEXEC | SOCK_NONBLOCK, 1, 1 << 30, -1};
	R(listen(fd, 5));
	R(listen(fd, 0));
	R(listen(fd, -1));
	R(ACCEPTED(accept(fd, NULL, NULL)));
	R(TOLD(accept(fd, to, len = length(sizeof(at)))));
	R(TOLD(accept(fd, to, len = length(0))));
	R(TOLD(accept(fd, to, len = length(2))));
	R_NATIVE(TOLD(accept(fd, to, len = length((socklen_t)-1))));
	R(TOLD(accept(fd, NULL, len = length(16))));
	R(ACCEPTED(accept(fd, to, NULL)));
	R(TOLD(accept(fd, (struct sockaddr *)unmapped, len = length(16))));
	R(ACCEPTED(accept(fd, to, (socklen_t *)unmapped)));
	R_NATIVE(ACCEPTED(accept(fd, to, (socklen_t *)read_only)));
	for (int i = 0; i < 7; i++) {
		R(ACCEPTED(accept4(fd, NULL, NULL, flags[i])));
		R(seen(TOLD(accept4(fd, to, len = length(sizeof(at)), flags[i]))));
	}
	R(TOLD(accept4(fd, (struct sockaddr *)unmapped, len = length(16), SOCK_CLOEXEC)));
	R(ACCEPTED(accept4(fd, to, (socklen_t *)unmapped, 0)));
	R(ACCEPTED(accept(fd, NULL, NULL)) + 10 * (ACCEPTED(accept(fd, NULL, NULL))));
}

/* ---- by number ---------------------------------------------------------------------------------- */

void rows_of_syscall(enum kind kind)
{
	struct iovec two[2] = {{room, 3}, {room + 10, 4}};
	/* The mapping call has six arguments, the last on no list of five. */
	R(syscall(SYS_mmap, NULL, 4096L, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L) == -1);
	R(syscall(SYS_mmap, NULL, 4096L, PROT_READ, MAP_PRIVATE, (long)fd, 1L) == -1);
	R(syscall(SYS_mmap, NULL, 4096L, PROT_READ, MAP_PRIVATE, (long)fd, 1L << 40) == -1);
	R(syscall(SYS_recvfrom, (long)fd, room, 8L, 0L, NULL, NULL));
	R(syscall(SYS_sendto, (long)fd, "HTTP", 4L, 0L, NULL, 0L));
	R(syscall(SYS_getpid) == getpid());
	R(syscall(SYS_read, (long)fd, room, 8L));
	R(syscall(SYS_read, (long)fd, unmapped, 8L));
	R(syscall(SYS_write, (long)fd, "HTTP", 4L));
	R(syscall(SYS_writev, (long)fd, two, 2L));
	R(syscall(SYS_pread64, (long)fd, room, 8L, 2L));
	R_SEEN(syscall(SYS_close, (long)fd));
	R_SEEN(syscall(SYS_close, (long)fd) * 10 + syscall(SYS_close, (long)fd));
	R_SEEN(syscall(SYS_close, (long)fd) + write(fd, "HTTP", 4));
	R_SEEN(syscall(SYS_close, -1L));
	R_SEEN(syscall(SYS_close, 1L << 29));
	R_SEEN_FD(syscall(SYS_dup, (long)fd));
	R_SEEN_FD(syscall(SYS_dup3, (long)fd, (long)HIGH, 0L));
	R(syscall(SYS_fcntl, (long)fd, (long)F_GETFD));
	R(syscall(100000L));
	R(syscall(-1L));
}
