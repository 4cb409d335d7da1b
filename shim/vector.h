/*
 * vector.h - whether a list of buffers will still be there when a read into it has returned.
 *
 * What a read moved is found by the program's own list, and so is looked at after the call. A program may
 * keep the list where its buffers are, and the read writes over it: nobody knows then where the bytes
 * went, and what stands in the list's place was chosen by the client. Such bytes are not looked at, they
 * are a gap of known length.
 *
 * Called before the read, for watched descriptors. The list may be no address at all, which is the
 * kernel's to say: so the page is asked for first, by a system call, unless it is one that our own stack
 * frame lies in. Where none may be made, a list elsewhere counts as one that is written over.
 */
#ifndef SHIM_VECTOR_H
#define SHIM_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#pragma GCC visibility push(hidden) /* reached without the global offset table */

/* How many buffers a message has. musl's number is 32 bits wide, and what is beside it may be anything. */
static inline uint32_t vector_count(const struct msghdr *msg)
{
	return (uint32_t)msg->msg_iovlen;
}

/* As the calls take them: true also for what the kernel will refuse unread. */
bool vector_stays(const struct iovec *iov, int count);
bool vector_of_message_stays(const struct msghdr *msg);
/* Of several messages at once, which no server reads a connection by, the first few are looked at: false
 * where there are more. */
bool vector_of_messages_stays(const struct mmsghdr *msgs, unsigned count);

#pragma GCC visibility pop

#endif
