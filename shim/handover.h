/*
 * handover.h - descriptors that come and go in messages (SCM_RIGHTS, unix(7)).
 *
 * A process that accepts may give connections to another one, which serves them: the other one never
 * calls accept. There, a connected stream socket that arrives is taken for a new connection; its first
 * bytes tell, as everywhere, whether the process is an HTTP server on it.
 *
 * A descriptor that arrives is new, whatever its number stood for before: so what a number still
 * stands for was closed behind our back.
 */
#ifndef SHIM_HANDOVER_H
#define SHIM_HANDOVER_H

#include <stdint.h>
#include <sys/socket.h>

#pragma GCC visibility push(hidden) /* reached without the global offset table */

/* Bytes of its control data. musl's lengths are 32 bits wide, and what is beside them may be
 * anything; the kernel takes no larger ones. */
static inline uint32_t handover_bytes(const struct msghdr *msg)
{
	return (uint32_t)msg->msg_controllen;
}

/* A message was received or sent. After a successful call only: `msg` may be no address before. */
void handover_received(const struct msghdr *msg);
void handover_sent(const struct msghdr *msg);

#pragma GCC visibility pop

#endif
