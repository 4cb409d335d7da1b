/*
 * The hooks through which bytes move.
 */
#include "shim/handover.h"
#include "shim/hook.h"
#include "shim/vector.h"

/* ---- reading ------------------------------------------------------------------------------------ */

HOOK_WATCHED(ssize_t, read, (int fd, void *buf, size_t n), (fd, buf, n))
{
	struct stream_mark mark = stream_before_read(fd);
	return stream_read_into(mark, buf, n, shim_real.read(fd, buf, n), 0);
}

HOOK_WATCHED(ssize_t, recv, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags))
{
	struct stream_mark mark = stream_before_read(fd);
	return stream_read_into(mark, buf, n, shim_real.recv(fd, buf, n, flags), flags);
}

HOOK_WATCHED(ssize_t, recvfrom,
	     (int fd, void *buf, size_t n, int flags, struct sockaddr *addr, socklen_t *len),
	     (fd, buf, n, flags, addr, len))
{
	struct stream_mark mark = stream_before_read(fd);
	return stream_read_into(mark, buf, n, shim_real.recvfrom(fd, buf, n, flags, addr, len),
				flags);
}

/* What -D_FORTIFY_SOURCE makes of read, recv and recvfrom. */
HOOK_WATCHED(ssize_t, __read_chk, (int fd, void *buf, size_t n, size_t room), (fd, buf, n, room))
{
	struct stream_mark mark = stream_before_read(fd);
	return stream_read_into(mark, buf, n, shim_real.__read_chk(fd, buf, n, room), 0);
}

HOOK_WATCHED(ssize_t, __recv_chk, (int fd, void *buf, size_t n, size_t room, int flags),
	     (fd, buf, n, room, flags))
{
	struct stream_mark mark = stream_before_read(fd);
	return stream_read_into(mark, buf, n, shim_real.__recv_chk(fd, buf, n, room, flags), flags);
}

HOOK_WATCHED(ssize_t, __recvfrom_chk,
	     (int fd, void *buf, size_t n, size_t room, int flags, struct sockaddr *addr,
	      socklen_t *len),
	     (fd, buf, n, room, flags, addr, len))
{
	struct stream_mark mark = stream_before_read(fd);
	return stream_read_into(
		mark, buf, n, shim_real.__recvfrom_chk(fd, buf, n, room, flags, addr, len), flags);
}

/* Whether a list has room for a byte: a read of 0 bytes that returns 0 is no end of the stream. */
static bool any_room(const struct iovec *iov, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (iov[i].iov_len)
			return true;
	}
	return false;
}

static void read_into_list(struct stream_mark mark, const struct iovec *iov, size_t count,
			   ssize_t moved, int flags)
{
	stream_after_read(mark, iov, moved, moved == 0 && any_room(iov, count), flags);
}

/* The list was written over (vector.h). */
static void read_into_itself(struct stream_mark mark, ssize_t moved, int flags)
{
	if (!(flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE)))
		stream_read_unseen(mark, moved);
}

HOOK_WATCHED(ssize_t, readv, (int fd, const struct iovec *iov, int count), (fd, iov, count))
{
	struct stream_mark mark = stream_before_read(fd);
	bool stays = vector_stays(iov, count);
	ssize_t moved = shim_real.readv(fd, iov, count);
	if (stays)
		read_into_list(mark, iov, (size_t)count, moved, 0);
	else
		read_into_itself(mark, moved, 0);
	return moved;
}

static __attribute__((noinline)) ssize_t watched_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct stream_mark mark = stream_before_read(fd);
	bool stays = vector_of_message_stays(msg);
	ssize_t moved = shim_real.recvmsg(fd, msg, flags);
	if (moved < 0) { /* msg may be no address at all */
		stream_after_read(mark, NULL, moved, false, flags);
	} else if (stays) {
		read_into_list(mark, msg->msg_iov, vector_count(msg), moved, flags);
		handover_received(msg);
	} else {
		read_into_itself(mark, moved, flags);
	}
	return moved;
}

/* Descriptors come and go over sockets of any kind: so these four are not for watched ones alone. Of
 * another one there is nothing else to record. */
HOOK(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags))
{
	if (!boot_enabled)
		return shim_real.recvmsg(fd, msg, flags);
	if (conn_watched(fd))
		return watched_recvmsg(fd, msg, flags);
	ssize_t moved = shim_real.recvmsg(fd, msg, flags);
	if (moved >= 0)
		handover_received(msg);
	return moved;
}

/* ---- writing ------------------------------------------------------------------------------------ */

HOOK_WATCHED(ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n))
{
	struct stream_mark mark = stream_before_write(fd);
	return stream_written_from(mark, buf, n, shim_real.write(fd, buf, n), 0);
}

HOOK_WATCHED(ssize_t, send, (int fd, const void *buf, size_t n, int flags), (fd, buf, n, flags))
{
	struct stream_mark mark = stream_before_write(fd);
	return stream_written_from(mark, buf, n, shim_real.send(fd, buf, n, flags), flags);
}

HOOK_WATCHED(ssize_t, sendto,
	     (int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr,
	      socklen_t len),
	     (fd, buf, n, flags, addr, len))
{
	struct stream_mark mark = stream_before_write(fd);
	return stream_written_from(mark, buf, n, shim_real.sendto(fd, buf, n, flags, addr, len),
				   flags);
}

HOOK_WATCHED(ssize_t, writev, (int fd, const struct iovec *iov, int count), (fd, iov, count))
{
	struct stream_mark mark = stream_before_write(fd);
	ssize_t moved = shim_real.writev(fd, iov, count);
	stream_after_write(mark, iov, moved, 0);
	return moved;
}

HOOK(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags))
{
	if (!boot_enabled)
		return shim_real.sendmsg(fd, msg, flags);
	struct stream_mark mark = {0};
	if (conn_watched(fd))
		mark = stream_before_write(fd);
	ssize_t moved = shim_real.sendmsg(fd, msg, flags);
	stream_after_write(mark, moved < 0 ? NULL : msg->msg_iov, moved, flags);
	if (moved >= 0)
		handover_sent(msg);
	return moved;
}

/* ---- several messages, and bytes that the kernel moves by itself ---------------------------------- */

static __attribute__((noinline)) int watched_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count,
						      int flags, struct timespec *wait)
{
	struct stream_mark mark = stream_before_read(fd);
	bool stays = vector_of_messages_stays(msgs, count);
	int messages = shim_real.recvmmsg(fd, msgs, count, flags, wait);
	if (messages < 0)
		stream_after_read(mark, NULL, messages, false, flags);
	else if (messages > 0 && !stays) /* nor does anybody know how many bytes */
		stream_hidden(fd);
	for (int i = 0; stays && i < messages; i++) {
		const struct msghdr *m = &msgs[i].msg_hdr;
		read_into_list(mark, m->msg_iov, vector_count(m), (ssize_t)msgs[i].msg_len, flags);
		handover_received(m);
	}
	return messages;
}

HOOK(int, recvmmsg,
     (int fd, struct mmsghdr *msgs, unsigned count, int flags, struct timespec *wait))
{
	if (!boot_enabled)
		return shim_real.recvmmsg(fd, msgs, count, flags, wait);
	if (conn_watched(fd))
		return watched_recvmmsg(fd, msgs, count, flags, wait);
	int messages = shim_real.recvmmsg(fd, msgs, count, flags, wait);
	for (int i = 0; i < messages; i++)
		handover_received(&msgs[i].msg_hdr);
	return messages;
}

HOOK(int, sendmmsg, (int fd, struct mmsghdr *msgs, unsigned count, int flags))
{
	if (!boot_enabled)
		return shim_real.sendmmsg(fd, msgs, count, flags);
	struct stream_mark mark = {0};
	if (conn_watched(fd))
		mark = stream_before_write(fd);
	int messages = shim_real.sendmmsg(fd, msgs, count, flags);
	if (messages < 0)
		stream_after_write(mark, NULL, messages, flags);
	for (int i = 0; i < messages; i++) {
		stream_after_write(mark, msgs[i].msg_hdr.msg_iov, (ssize_t)msgs[i].msg_len, flags);
		handover_sent(&msgs[i].msg_hdr);
	}
	return messages;
}

HOOK_WATCHED(ssize_t, sendfile, (int fd, int from, off_t *offset, size_t n), (fd, from, offset, n))
{
	struct stream_mark mark = stream_before_write(fd);
	ssize_t moved = shim_real.sendfile(fd, from, offset, n);
	stream_written_unseen(mark, moved);
	return moved;
}

HOOK_WATCHED(ssize_t, sendfile64, (int fd, int from, off_t *offset, size_t n),
	     (fd, from, offset, n))
{
	struct stream_mark mark = stream_before_write(fd);
	ssize_t moved = shim_real.sendfile64(fd, from, offset, n);
	stream_written_unseen(mark, moved);
	return moved;
}

HOOK(ssize_t, splice,
     (int from, off_t *from_offset, int fd, off_t *offset, size_t n, unsigned flags))
{
	bool in = conn_watched(from), out = conn_watched(fd);
	if (!in && !out)
		return shim_real.splice(from, from_offset, fd, offset, n, flags);
	struct stream_mark read_mark = {0}, write_mark = {0};
	if (in)
		read_mark = stream_before_read(from);
	if (out)
		write_mark = stream_before_write(fd);
	ssize_t moved = shim_real.splice(from, from_offset, fd, offset, n, flags);
	/* A failure may be either end's: only bytes tell. */
	if (in && moved > 0)
		stream_read_unseen(read_mark, moved);
	if (out && moved > 0)
		stream_written_unseen(write_mark, moved);
	return moved;
}
