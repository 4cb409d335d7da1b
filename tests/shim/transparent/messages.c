/*
 * Calls with message headers, and those where the kernel moves bytes by itself.
 */
#define _GNU_SOURCE
#include "tests/shim/transparent/row.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <time.h>
#include <unistd.h>

/* A header of its own for each row: recvmsg writes to it. */
static struct msghdr *message(struct iovec *iov, size_t count)
{
	static struct msghdr m;
	m = (struct msghdr){.msg_iov = iov, .msg_iovlen = count};
	return &m;
}

static struct msghdr *named(struct iovec *iov, void *name, socklen_t len)
{
	struct msghdr *m = message(iov, 1);
	m->msg_name = name;
	m->msg_namelen = len;
	return m;
}

static struct msghdr *with_control(struct iovec *iov, void *control, size_t len)
{
	struct msghdr *m = message(iov, 1);
	m->msg_control = control;
	m->msg_controllen = len;
	return m;
}

/* Descriptors that are sent along. */
static struct msghdr *with_descriptor(struct iovec *iov, int fd)
{
	static union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	control.align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
					 .cmsg_level = SOL_SOCKET,
					 .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	return with_control(iov, control.bytes, sizeof(control.bytes));
}

/* The header of a row is shown: recvmsg says there what it did. */
static long shown(long result, const struct msghdr *m)
{
	int error = errno;
	int n = (int)(m->msg_flags & 0xffff);
	memcpy(room + 100, &n, sizeof(n));
	room[104] = (char)('0' + m->msg_namelen % 10);
	room[105] = (char)('0' + m->msg_controllen % 10);
	errno = error;
	return result;
}

/* Messages whose parts lie where their bytes go. */
static struct msghdr *header_in_its_buffer(void)
{
	static struct iovec whole[1] = {{aside, sizeof(aside)}};
	struct msghdr *m = (struct msghdr *)aside;
	*m = (struct msghdr){.msg_iov = whole, .msg_iovlen = 1};
	return m;
}

static struct msghdr *list_in_its_buffer(size_t count)
{
	struct iovec *list = (struct iovec *)aside;
	for (size_t i = 0; i < count; i++)
		list[i] = (struct iovec){aside + 64 * i, 64};
	return message(list, count);
}

static struct mmsghdr *headers_in_a_buffer(void)
{
	static struct iovec first[1] = {{aside, 2}}, all[1] = {{aside, sizeof(aside)}};
	struct mmsghdr *list = (struct mmsghdr *)aside;
	memset(list, 0, 2 * sizeof(*list));
	list[0].msg_hdr = (struct msghdr){.msg_iov = first, .msg_iovlen = 1};
	list[1].msg_hdr = (struct msghdr){.msg_iov = all, .msg_iovlen = 1};
	return list;
}

static struct mmsghdr *list_in_anothers_buffer(void)
{
	static struct mmsghdr two[2];
	static struct iovec over[1];
	struct iovec *list = (struct iovec *)aside;
	memset(two, 0, sizeof(two));
	list[0] = (struct iovec){room, 3};
	over[0] = (struct iovec){aside, sizeof(aside)};
	two[0].msg_hdr = (struct msghdr){.msg_iov = list, .msg_iovlen = 1};
	two[1].msg_hdr = (struct msghdr){.msg_iov = over, .msg_iovlen = 1};
	return two;
}

static void rows_of_messages_in_themselves(enum kind kind)
{
	R(recvmsg(fd, header_in_its_buffer(), 0));
	R(recvmsg(fd, list_in_its_buffer(1), 0));
	R(recvmsg(fd, list_in_its_buffer(3), 0));
	R(recvmsg(fd, list_in_its_buffer(1), MSG_PEEK));
	R(recvmmsg(fd, headers_in_a_buffer(), 1, 0, NULL));
	R_NATIVE(recvmmsg(fd, headers_in_a_buffer(), 2, 0, NULL));
	R(recvmmsg(fd, list_in_anothers_buffer(), 2, 0, NULL));
}

#define RECVMSG(m, flags) (e.peer2 = -1, shown(recvmsg(fd, last = (m), flags), last))

static void rows_of_recvmsg(enum kind kind)
{
	static char side[256];
	struct msghdr *last;
	struct iovec two[2] = {{room, 3}, {room + 10, 4}}, none[2] = {{room, 0}, {NULL, 0}};
	struct iovec bad[1] = {{unmapped, 8}}, half[2] = {{room, 3}, {unmapped, 8}};
	struct iovec large[2] = {{room, SSIZE_MAX}, {room, SSIZE_MAX}};
	const int flags[] = {0,	     MSG_PEEK, MSG_TRUNC, MSG_OOB, MSG_ERRQUEUE, MSG_CMSG_CLOEXEC,
			     1 << 28};
	for (int i = 0; i < 7; i++) {
		R(RECVMSG(message(two, 2), flags[i]));
		R(RECVMSG(message(none, 2), flags[i]));
	}
	R(RECVMSG(message(two, 0), 0));
	R(RECVMSG(message(NULL, 0), 0));
	R(RECVMSG(message(NULL, 2), 0));
	R(RECVMSG(message(bad, 1), 0));
	R(RECVMSG(message(half, 2), 0));
	R(RECVMSG(message(large, 2), 0));
	R(RECVMSG(message(many, 1024), 0));
	R(RECVMSG(message(many, 1025), 0));
	R(RECVMSG(message(two, (size_t)-1), 0));
	R(RECVMSG(named(two, side, 128), 0));
	R(RECVMSG(named(two, side, 0), 0));
	R(RECVMSG(named(two, side, (socklen_t)-1), 0));
	R(RECVMSG(named(two, unmapped, 128), 0));
	R(RECVMSG(with_control(two, side, sizeof(side)), 0));
	R(RECVMSG(with_control(two, side, 1), 0));
	R(RECVMSG(with_control(two, unmapped, 64), 0));
	R(recvmsg(fd, (struct msghdr *)unmapped, 0));
	R(recvmsg(fd, (struct msghdr *)(unmapped - 8), 0));
	R(recvmsg(fd, NULL, 0));
	R(recvmsg(fd, (struct msghdr *)read_only, 0));
}

static void rows_of_sendmsg(enum kind kind)
{
	static char side[256];
	struct iovec two[3] = {{"HTTP", 4}, {"", 0}, {"/1.1 200", 8}}, none[1] = {{NULL, 0}};
	struct iovec bad[1] = {{unmapped, 8}}, half[2] = {{room, 3}, {unmapped, 8}};
	struct iovec large[2] = {{room, SSIZE_MAX}, {room, SSIZE_MAX}};
	const int flags[] = {0,	       MSG_NOSIGNAL, MSG_DONTWAIT, MSG_OOB,
			     MSG_MORE, MSG_EOR,	     1 << 28,	   -1};
	for (int i = 0; i < 8; i++)
		R(sendmsg(fd, message(two, 3), flags[i]));
	R(sendmsg(fd, message(none, 1), 0));
	R(sendmsg(fd, message(two, 0), 0));
	R(sendmsg(fd, message(NULL, 2), 0));
	R(sendmsg(fd, message(bad, 1), 0));
	R(sendmsg(fd, message(half, 2), 0));
	R(sendmsg(fd, message(large, 2), 0));
	R(sendmsg(fd, message(many, 1024), 0));
	R(sendmsg(fd, message(many, 1025), 0));
	R(sendmsg(fd, message(two, (size_t)-1), 0));
	R(sendmsg(fd, named(two, side, 16), 0));
	R(sendmsg(fd, named(two, side, (socklen_t)-1), 0));
	R(sendmsg(fd, named(two, unmapped, 16), 0));
	R_NATIVE(sendmsg(fd, with_control(two, side, 100), 0));
	R(sendmsg(fd, with_control(two, unmapped, 64), 0));
	R(sendmsg(fd, with_descriptor(two, a_file), 0));
	R(sendmsg(fd, with_descriptor(two, -1), 0));
	R(sendmsg(fd, (struct msghdr *)unmapped, 0));
	R(sendmsg(fd, (struct msghdr *)(unmapped - 8), 0));
	R(sendmsg(fd, NULL, 0));
}

static struct mmsghdr *several(struct iovec *a, struct iovec *b)
{
	static struct mmsghdr list[1030];
	memset(list, 0, sizeof(list));
	for (int i = 0; i < 1030; i++)
		list[i].msg_hdr = (struct msghdr){.msg_iov = i % 2 ? b : a, .msg_iovlen = 1};
	return list;
}

/* How many bytes each of the first two messages had. */
static long lengths(long result, const struct mmsghdr *list)
{
	int error = errno;
	room[100] = (char)('a' + list[0].msg_len % 26);
	room[101] = (char)('a' + list[1].msg_len % 26);
	errno = error;
	return result;
}

#define RECVMMSG(list, n, flags, wait) lengths(recvmmsg(fd, last = (list), n, flags, wait), last)
#define SENDMMSG(list, n, flags)       lengths(sendmmsg(fd, last = (list), n, flags), last)

static void rows_of_several(enum kind kind)
{
	struct mmsghdr *last;
	struct iovec a[1] = {{room, 3}}, b[1] = {{room + 10, 4}}, bad[1] = {{unmapped, 4}};
	struct iovec none[1] = {{room, 0}};
	struct timespec now = {0, 0}, later = {100, 0}, never = {0, -1};
	R(RECVMMSG(several(a, b), 1, 0, NULL));
	R(RECVMMSG(several(a, b), 2, 0, NULL));
	R(RECVMMSG(several(a, b), 7, 0, &now));
	R(RECVMMSG(several(a, b), 7, 0, &later));
	R(RECVMMSG(several(a, b), 7, 0, &never));
	R(RECVMMSG(several(a, b), 7, MSG_WAITFORONE, NULL));
	R(RECVMMSG(several(a, b), 3, MSG_PEEK, NULL));
	R(RECVMMSG(several(a, b), 3, MSG_TRUNC, NULL));
	R(RECVMMSG(several(a, b), 0, 0, NULL));
	R(RECVMMSG(several(a, bad), 2, 0, NULL));
	R(RECVMMSG(several(bad, a), 2, 0, NULL));
	R(RECVMMSG(several(none, none), 2, 0, NULL));
	R(recvmmsg(fd, (struct mmsghdr *)unmapped, 1, 0, NULL));
	R(recvmmsg(fd, several(a, b), 1, 0, (struct timespec *)unmapped));
	R(SENDMMSG(several(a, b), 1, 0));
	R(SENDMMSG(several(a, b), 5, MSG_NOSIGNAL));
	R(SENDMMSG(several(a, b), 1030, 0));
	R(SENDMMSG(several(a, b), 0, 0));
	R(SENDMMSG(several(a, bad), 2, 0));
	R(SENDMMSG(several(bad, a), 2, 0));
	R(SENDMMSG(several(none, a), 2, MSG_MORE));
	R(sendmmsg(fd, (struct mmsghdr *)unmapped, 1, 0));
}

void rows_of_messages(enum kind kind)
{
	rows_of_recvmsg(kind);
	rows_of_sendmsg(kind);
	rows_of_several(kind);
	rows_of_messages_in_themselves(kind);
}

/* ---- by the kernel alone ------------------------------------------------------------------------ */

static off_t *offset_of(off_t value)
{
	static off_t offset;
	offset = value;
	return &offset;
}

static long told(long result, const off_t *offset)
{
	int error = errno;
	room[100] = (char)('a' + (*offset & 15));
	errno = error;
	return result;
}

#define SENDFILE(from, at, n)	told(sendfile(fd, from, offset = offset_of(at), n), offset)
#define SENDFILE64(from, at, n) told(sendfile64(fd, from, offset = offset_of(at), n), offset)

static void rows_of_sendfile(enum kind kind)
{
	off_t *offset;
	R(sendfile(fd, a_file, NULL, 7));
	R(sendfile(fd, a_file, NULL, 0));
	R(sendfile(fd, a_file, NULL, (size_t)-1));
	R(SENDFILE(a_file, 5, 7));
	R(SENDFILE(a_file, 500, 7));
	R(SENDFILE(a_file, -5, 7));
	R(SENDFILE(-1, 5, 7));
	R(SENDFILE(a_pipe[0], 0, 7));
	R(sendfile(fd, a_file, (off_t *)unmapped, 7));
	R(sendfile(fd, fd, NULL, 7));
	R(sendfile(a_file, fd, NULL, 7));
	R(sendfile64(fd, a_file, NULL, 7));
	R(SENDFILE64(a_file, 5, 7));
	R(SENDFILE64(a_file, -5, 7));
	R(sendfile64(fd, a_file, (off_t *)unmapped, 7));
}

void rows_of_kernel_copies(enum kind kind)
{
	loff_t at = 3, *unmapped_offset = (loff_t *)unmapped;
	rows_of_sendfile(kind);
	R(splice(a_pipe[0], NULL, fd, NULL, 5, SPLICE_F_NONBLOCK));
	R(splice(a_pipe[0], NULL, fd, NULL, 3, SPLICE_F_NONBLOCK | SPLICE_F_MORE));
	R(splice(a_pipe[0], NULL, fd, NULL, 0, 0));
	R(splice(a_pipe[0], NULL, fd, &at, 5, SPLICE_F_NONBLOCK));
	R(splice(a_pipe[0], &at, fd, NULL, 5, SPLICE_F_NONBLOCK));
	R(splice(a_pipe[0], NULL, fd, unmapped_offset, 5, SPLICE_F_NONBLOCK));
	R(splice(a_pipe[0], NULL, fd, NULL, 5, 0xffff));
	R(splice(fd, NULL, a_pipe[1], NULL, 5, SPLICE_F_NONBLOCK));
	R(splice(fd, NULL, a_pipe[1], NULL, 5, SPLICE_F_NONBLOCK | SPLICE_F_MOVE));
	R(splice(fd, &at, a_pipe[1], NULL, 5, SPLICE_F_NONBLOCK));
	R(splice(fd, NULL, fd, NULL, 5, SPLICE_F_NONBLOCK));
	R(splice(fd, NULL, -1, NULL, 5, 0));
	R(splice(-1, NULL, fd, NULL, 5, 0));
}
