/*
 * stream.h - what moved over a watched connection, put into the ring.
 *
 * The first bytes of a connection decide whether it is worth watching: an HTTP method, or not.
 */
#ifndef SHIM_STREAM_H
#define SHIM_STREAM_H

#include "shim/conn.h"
#include "shim/stamp.h"

#include <sys/types.h>
#include <sys/uio.h>

#pragma GCC visibility push(hidden) /* reached without the global offset table */

/* What a hook remembers of a watched connection across the real call. */
struct stream_mark {
	struct conn_id id;
	/* Of a write or a shutdown: before the call, which the peer sees at once. As in wire.h. */
	uint64_t time;
};

/* Before the real call on a watched descriptor. */
static inline struct stream_mark stream_before_read(int fd)
{
	struct stream_mark mark = {.id = conn_of(fd)};
	if (__builtin_expect(!mark.id.generation, 0))
		mark.id = conn_adopt(fd);
	return mark;
}

static inline struct stream_mark stream_before_write(int fd)
{
	struct stream_mark mark = stream_before_read(fd);
	if (__builtin_expect(mark.id.generation != 0, 1))
		mark.time = stamp_now();
	return mark;
}

/* After it. `moved` is its result; `asked` whether more than 0 bytes were asked for. */
void stream_after_read(struct stream_mark mark, const struct iovec *iov, ssize_t moved, bool asked,
		       int flags);
void stream_after_write(struct stream_mark mark, const struct iovec *iov, ssize_t moved, int flags);

/* The same for calls with one buffer of n bytes. They return `moved`. */
ssize_t stream_read_into(struct stream_mark mark, void *buf, size_t n, ssize_t moved, int flags);
ssize_t stream_written_from(struct stream_mark mark, const void *buf, size_t n, ssize_t moved,
			    int flags);

/* Plain text of a TLS connection, as the program read or wrote it. mark.time: before the call. */
void stream_plain_read(struct stream_mark mark, void *buf, size_t moved);
void stream_plain_written(struct stream_mark mark, const void *buf, size_t moved);

/* The client said over TLS that it sends no more; the server is about to say so. */
void stream_plain_eof(struct conn_id id);
void stream_plain_shut(struct conn_id id);

/* A library whose plain text we see has the connection's TLS object. */
void stream_has_object(struct conn_id id);

/* Bytes that the kernel moved without showing them to the process (sendfile, splice): a gap. */
void stream_read_unseen(struct stream_mark mark, ssize_t moved);
void stream_written_unseen(struct stream_mark mark, ssize_t moved);

/* From now on its bytes move past every hook. */
void stream_hidden(int fd);
/* The connection was given to another process, which may go on with it. Where bytes of it have moved, an
 * answer may come from there. */
void stream_handed_over(struct conn_id id);

/* The server is about to end the connection by this descriptor, in one direction or both. One that waits
 * with epoll (nginx, haproxy) may know from the event alone that its client left, and not read the end
 * of the stream: tells that end, if the kernel has it. */
void stream_before_farewell(struct conn_id id, int fd);
void stream_opened(struct conn_id id);
void stream_given_up(struct conn_id id, uint64_t now_ns);
void stream_closed(struct conn_id id);
/* shutdown(2) succeeded; `mark` is of stream_before_write. */
void stream_shut(struct stream_mark mark, int how);

#pragma GCC visibility pop

#endif
