/*
 * row.h - one call on one descriptor of one kind, and all that can be seen of what it did.
 *
 * Each row opens an end of its kind, makes the call and prints: result, errno, the memory it may have
 * written to, signals, what can still be read and written, what the peer received. Nothing printed
 * depends on time or addresses, so that the output of two runs is the same where nothing interferes.
 */
#ifndef TESTS_TRANSPARENT_ROW_H
#define TESTS_TRANSPARENT_ROW_H

#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What a descriptor stands for. The first ones are watched by a shim at work. */
enum kind {
	KIND_HTTP,	/* accepted; the head of a request was read from it */
	KIND_FRESH,	/* accepted; nothing was read yet */
	KIND_DUPLICATE, /* of an accepted one that is closed */
	KIND_UNIX,	/* accepted from a unix socket */
	KIND_TLS,	/* accepted; begins like TLS */
	KIND_OTHER,	/* accepted; begins like nothing known */
	KIND_EOF,	/* accepted; its client sends no more */
	KIND_RESET,	/* accepted; its client is gone at once */
	KIND_SHUT,	/* accepted; the server has said that it sends no more */
	KIND_FULL,	/* accepted; no byte more can be written */
	KIND_CLIENT,	/* connected */
	KIND_LISTENER,	/* with a connection that waits */
	KIND_PAIR,
	KIND_PACKETS,
	KIND_DATAGRAM,
	KIND_PIPE_OUT,
	KIND_PIPE_IN,
	KIND_FILE,
	KIND_FILE_READ_ONLY,
	KIND_EVENTS,
	KIND_EPOLL,
	KIND_DIRECTORY,
	KIND_CLOSED,
	KIND_NEGATIVE,
	KIND_TOO_LARGE,
	KINDS
};

struct end {
	enum kind kind;
	int fd;
	int peer;   /* -1 = none */
	int peer2;  /* one more to be closed; -1 = none */
	int result; /* of the call, if it is a descriptor to be closed; -1 */
};

/* Memory that calls are pointed at. */
extern char room[65536]; /* for what is read; '.' before each call */
extern char *unmapped;	 /* faults; 4096 bytes that can be read and written stand before it */
extern char *read_only;	 /* 4096 bytes */
extern struct iovec many[1030]; /* each one byte of room */
extern char aside[4096];	/* not looked at afterwards */
extern int a_file;    /* open for reading and writing, "0123456789abcdef", rewound each row */
extern int a_pipe[2]; /* holds "piped" when a row begins */

struct end row_begin(enum kind kind);
/* The call is made between these two; errno is taken in the first. */
void row_end(struct end *e, const char *call, long result, int error);

extern bool row_emulated;
extern sigjmp_buf row_fault;
extern volatile bool row_may_fault;

/* `call` may use fd, e, and what is above. */
#define R(call)                                                                                    \
	do {                                                                                       \
		struct end e = row_begin(kind);                                                    \
		int fd = e.fd;                                                                     \
		(void)fd;                                                                          \
		if (!sigsetjmp(row_fault, 1)) {                                                    \
			row_may_fault = true;                                                      \
			errno = 0;                                                                 \
			long result_ = (long)(call);                                               \
			int error_ = errno;                                                        \
			row_may_fault = false;                                                     \
			row_end(&e, #call, result_, error_);                                       \
		} else {                                                                           \
			row_end(&e, #call " faults", 0, 0);                                        \
		}                                                                                  \
	} while (0)

/* For what an emulator of another processor does not survive itself. */
#define R_NATIVE(call)                                                                             \
	do {                                                                                       \
		if (!row_emulated)                                                                 \
			R(call);                                                                   \
	} while (0)

void rows_of_reading(enum kind kind);
void rows_of_writing(enum kind kind);
void rows_of_messages(enum kind kind);
void rows_of_kernel_copies(enum kind kind);
void rows_of_descriptors(enum kind kind);
void rows_of_accepting(enum kind kind);
void rows_of_syscall(enum kind kind);
void rows_of_stdio(enum kind kind);

/* Without kinds: calls that wait, are interrupted, or have children. */
void waiting(void);
void children(void);
void doors(void);

/* An accepted connection whose calls wait; head read. */
struct end connected(void);

#endif
