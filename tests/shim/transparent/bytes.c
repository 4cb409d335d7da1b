/*
 * Calls with one buffer or a list of them.
 */
#define _GNU_SOURCE
#include "tests/shim/transparent/row.h"

#include <limits.h>
#include <netinet/in.h>
#include <unistd.h>

#define HUGE ((size_t)SSIZE_MAX + 7)
#ifndef MSG_FASTOPEN /* glibc 2.18 */
#define MSG_FASTOPEN 0x20000000
#endif

/* Buffers, and what is none. CALL(p, n) is the call. */
#define R_BUFFERS(CALL, eight, none)                                                               \
	do {                                                                                       \
		R(CALL(eight, 8));                                                                 \
		R(CALL(none, 0));                                                                  \
		R(CALL(room, sizeof(room)));                                                       \
		R(CALL(NULL, 0));                                                                  \
		R(CALL(NULL, 8));                                                                  \
		R(CALL(unmapped, 8));                                                              \
		R(CALL(unmapped - 3, 8));                                                          \
		R(CALL(unmapped - 8, 8));                                                          \
		R(CALL(read_only, 8));                                                             \
		R(CALL((char *)-4096, 8));                                                         \
		R(CALL(room, HUGE));                                                               \
		R(CALL(unmapped - 8, SSIZE_MAX));                                                  \
		R(CALL(room, (size_t)-1));                                                         \
	} while (0)

#define R_READ_BUFFERS(CALL)  R_BUFFERS(CALL, room, room)
#define R_WRITE_BUFFERS(CALL) R_BUFFERS(CALL, "HTTP/1.1", "HTTP")

/* Lists, and what is none. */
#define R_VECTORS(CALL)                                                                            \
	do {                                                                                       \
		struct iovec two[2] = {{room, 3}, {room + 10, 4}};                                 \
		struct iovec none[2] = {{room, 0}, {NULL, 0}};                                     \
		struct iovec bad[1] = {{unmapped, 8}};                                             \
		struct iovec half[3] = {{room, 3}, {unmapped, 8}, {room, 1}};                      \
		struct iovec gaps[4] = {{room, 0}, {room, 2}, {unmapped, 0}, {room + 5, 3}};       \
		struct iovec large[2] = {{room, SSIZE_MAX}, {room, SSIZE_MAX}};                    \
		struct iovec negative[2] = {{room, 2}, {room, (size_t)-1}};                        \
		R(CALL(two, 2));                                                                   \
		R(CALL(two, 1));                                                                   \
		R(CALL(two, 0));                                                                   \
		R(CALL(two, -1));                                                                  \
		R(CALL(none, 2));                                                                  \
		R(CALL(gaps, 4));                                                                  \
		R(CALL(bad, 1));                                                                   \
		R(CALL(half, 3));                                                                  \
		R(CALL(large, 2));                                                                 \
		R(CALL(negative, 2));                                                              \
		R(CALL(many, 1024));                                                               \
		R(CALL(many, 1025));                                                               \
		R(CALL(many, INT_MAX));                                                            \
		R(CALL(NULL, 0));                                                                  \
		R(CALL(NULL, 1));                                                                  \
		R(CALL((struct iovec *)unmapped, 1));                                              \
		R(CALL((struct iovec *)(unmapped - 16), 2));                                       \
	} while (0)

/* Addresses of a peer, asked for. FROM(addr, len) is the call. */
#define R_PEERS(FROM)                                                                              \
	do {                                                                                       \
		struct sockaddr_storage at;                                                        \
		struct sockaddr *to = (struct sockaddr *)&at;                                      \
		socklen_t len = sizeof(at), none = 0, one = 1, negative = (socklen_t)-1;           \
		R(FROM(to, &len));                                                                 \
		R(FROM(NULL, NULL));                                                               \
		R(FROM(NULL, &len));                                                               \
		R(FROM(to, NULL));                                                                 \
		R(FROM(to, &none));                                                                \
		R(FROM(to, &one));                                                                 \
		R_NATIVE(FROM(to, &negative));                                                     \
		R(FROM((struct sockaddr *)unmapped, &len));                                        \
		R(FROM(to, (socklen_t *)unmapped));                                                \
		R_NATIVE(FROM((struct sockaddr *)read_only, (socklen_t *)read_only));              \
	} while (0)

/* ---- reading ------------------------------------------------------------------------------------ */

static const int read_flags[] = {
	0,
	MSG_PEEK,
	MSG_TRUNC,
	MSG_PEEK | MSG_TRUNC,
	MSG_OOB,
	MSG_WAITALL,
	MSG_DONTWAIT,
	MSG_ERRQUEUE,
	MSG_ERRQUEUE | MSG_PEEK,
	MSG_CMSG_CLOEXEC,
	MSG_WAITFORONE,
	1 << 28,
	-1,
};
#define READ_FLAGS ((int)(sizeof(read_flags) / sizeof(read_flags[0])))

static void rows_of_read_flags(enum kind kind)
{
	for (int i = 0; i < READ_FLAGS; i++) {
		R(recv(fd, room, 8, read_flags[i]));
		R(recv(fd, room, 8000, read_flags[i]));
		R(recvfrom(fd, room, 8, read_flags[i], NULL, NULL));
		R(recv(fd, NULL, 0, read_flags[i]));
	}
	/* Thrown away without a buffer: tcp(7). */
	R(recv(fd, NULL, 5, MSG_TRUNC));
	R(recv(fd, unmapped, 5, MSG_TRUNC));
}

#ifdef __GLIBC__
/* What a program that was compiled with -D_FORTIFY_SOURCE calls. */
ssize_t __read_chk(int fd, void *buf, size_t n, size_t room_there);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room_there, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room_there, int flags,
		       struct sockaddr *addr, socklen_t *len);

#define READ_CHK(p, n) __read_chk(fd, p, n, (size_t)-1)
#define RECV_CHK(p, n) __recv_chk(fd, p, n, (size_t)-1, 0)
#define FROM_CHK(p, n) __recvfrom_chk(fd, p, n, (size_t)-1, MSG_DONTWAIT, NULL, NULL)
#define PEER_CHK(a, l) __recvfrom_chk(fd, room, 8, 8, 0, a, l)

static void rows_of_checked_reading(enum kind kind)
{
	R_READ_BUFFERS(READ_CHK);
	R_READ_BUFFERS(RECV_CHK);
	R_READ_BUFFERS(FROM_CHK);
	R_PEERS(PEER_CHK);
	R(__read_chk(fd, room, 8, 8));
	R(__recv_chk(fd, room, 8, 8, MSG_PEEK));
	R(__recv_chk(fd, room, 8, 9, MSG_TRUNC));
	R(__recvfrom_chk(fd, room, 8, 8, MSG_PEEK, NULL, NULL));
}
#else
static void rows_of_checked_reading(enum kind kind)
{
	(void)kind;
}
#endif

/* A list that lies where its first buffer is: a read puts bytes over it that are no list. */
static struct iovec *list_in_itself(int count)
{
	struct iovec *list = (struct iovec *)aside;
	list[0] = (struct iovec){aside, sizeof(aside)};
	for (int i = 1; i < count; i++)
		list[i] = (struct iovec){room + i, 1};
	return list;
}

/* Byte by byte over the last of its entries only. */
static struct iovec *list_in_its_last(int count)
{
	struct iovec *list = (struct iovec *)aside;
	for (int i = 0; i + 1 < count; i++)
		list[i] = (struct iovec){room + i, 1};
	list[count - 1] = (struct iovec){&list[count - 1], sizeof(aside) / 2};
	return list;
}

static void rows_of_lists_in_themselves(enum kind kind)
{
	R(readv(fd, list_in_itself(1), 1));
	R(readv(fd, list_in_itself(2), 2));
	R(readv(fd, list_in_itself(100), 100));
	R(readv(fd, list_in_its_last(1), 1));
	R(readv(fd, list_in_its_last(3), 3));
}

#define READ(p, n)	read(fd, p, n)
#define RECV(p, n)	recv(fd, p, n, 0)
#define RECVFROM(p, n)	recvfrom(fd, p, n, 0, NULL, NULL)
#define READV(iov, n)	readv(fd, iov, n)
#define PEER(addr, len) recvfrom(fd, room, 8, 0, addr, len)

void rows_of_reading(enum kind kind)
{
	R_READ_BUFFERS(READ);
	R_READ_BUFFERS(RECV);
	R_READ_BUFFERS(RECVFROM);
	R_VECTORS(READV);
	rows_of_lists_in_themselves(kind);
	R_PEERS(PEER);
	rows_of_read_flags(kind);
	rows_of_checked_reading(kind);
}

/* ---- writing ------------------------------------------------------------------------------------ */

static const int write_flags[] = {
	0,
	MSG_NOSIGNAL,
	MSG_DONTWAIT,
	MSG_OOB,
	MSG_MORE,
	MSG_EOR,
	MSG_CONFIRM,
	MSG_DONTROUTE,
	0x4000000 /* MSG_ZEROCOPY */,
	MSG_FASTOPEN,
	1 << 28,
	-1,
};
#define WRITE_FLAGS ((int)(sizeof(write_flags) / sizeof(write_flags[0])))

#define WRITE(p, n)    write(fd, p, n)
#define SEND(p, n)     send(fd, p, n, MSG_NOSIGNAL)
#define SENDTO(p, n)   sendto(fd, p, n, 0, NULL, 0)
#define WRITEV(iov, n) writev(fd, iov, n)

void rows_of_writing(enum kind kind)
{
	struct sockaddr_in at = {.sin_family = AF_INET}, wrong = {.sin_family = 77};
	struct sockaddr *to = (struct sockaddr *)&at, *nowhere = (struct sockaddr *)&wrong;
	R_WRITE_BUFFERS(WRITE);
	R_WRITE_BUFFERS(SEND);
	R_WRITE_BUFFERS(SENDTO);
	R_VECTORS(WRITEV);
	for (int i = 0; i < WRITE_FLAGS; i++) {
		R(send(fd, "HTTP/1.1 200", 12, write_flags[i]));
		R(sendto(fd, "HTTP/1.1 200", 12, write_flags[i], NULL, 0));
		R(send(fd, NULL, 0, write_flags[i]));
	}
	R(sendto(fd, "HTTP", 4, 0, to, sizeof(at)));
	R(sendto(fd, "HTTP", 4, 0, to, 0));
	R(sendto(fd, "HTTP", 4, 0, to, 1));
	R(sendto(fd, "HTTP", 4, 0, to, (socklen_t)-1));
	R(sendto(fd, "HTTP", 4, 0, to, 100000));
	R(sendto(fd, "HTTP", 4, 0, NULL, 16));
	R(sendto(fd, "HTTP", 4, 0, nowhere, sizeof(wrong)));
	R(sendto(fd, "HTTP", 4, 0, (struct sockaddr *)unmapped, 16));
}
