/*
 * conn.h - which descriptors are watched, and what is known of each.
 *
 * A descriptor's state here is advisory: programs close descriptors behind our back, so an accept
 * that returns a live descriptor implies the close nobody saw, and each accepted connection has a
 * generation by which the agent tells it from its predecessor.
 *
 * The first bytes of a connection decide whether it is worth watching: an HTTP method, or not.
 */
#ifndef SHIM_CONN_H
#define SHIM_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

/* The largest page size of the architecture: what the kernel is to wipe must have its pages alone. */
#if defined(__aarch64__)
#define CONN_PAGE_BYTES 65536
#else
#define CONN_PAGE_BYTES 4096
#endif

#define CONN_MAX (1u << 20) /* descriptors at and above are not watched, and counted */

enum conn_state {
	CONN_UNWATCHED = 0,
	CONN_NEW = 1,  /* accepted; no byte seen yet */
	CONN_HTTP = 2, /* its first bytes begin like an HTTP request */
};

/* enum conn_state of each descriptor. Zero in a forked child (MADV_WIPEONFORK). */
extern uint8_t conn_states[CONN_MAX];

/* The one test on the hot path. */
static inline bool conn_watched(int fd)
{
	return __builtin_expect((uint32_t)fd < CONN_MAX && conn_states[(uint32_t)fd], 0);
}

/* Makes the descriptor table usable; false without memory. Called before anything is watched. */
bool conn_prepare(void);

/* What a hook remembers of a watched connection across the real call. */
struct conn_mark {
	uint32_t fd;
	uint32_t generation;
	uint64_t time_ns; /* of a write: before the call */
};

/* Before the real call on a watched descriptor. */
struct conn_mark conn_before_read(int fd);
struct conn_mark conn_before_write(int fd);

/* After it. `moved` is its result; `asked` whether more than 0 bytes were asked for. */
void conn_after_read(struct conn_mark mark, const struct iovec *iov, ssize_t moved, bool asked,
		     int flags);
void conn_after_write(struct conn_mark mark, const struct iovec *iov, ssize_t moved, int flags);

/* accept returned `fd`. What it told of the peer is not looked at: how large the server's buffer for it
 * is could only be read before the call, when the pointer may still be a bad one. */
void conn_accepted(int fd);
/* shutdown(fd, how) succeeded on a watched descriptor. */
void conn_shut(int fd, int how);
/* close(fd) is about to be called on a watched descriptor. */
void conn_closing(int fd);

#endif
