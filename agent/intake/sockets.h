/*
 * sockets.h - the sockets of another process, as the kernel tells them in /proc.
 *
 * Both of its lists may be long; they are read a piece at a time.
 */
#ifndef INTAKE_SOCKETS_H
#define INTAKE_SOCKETS_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockets_entry {
	uint64_t inode; /* names the socket in all processes that have it */
	uint32_t fd;
	uint32_t note; /* the caller's, from when it was read */
};

struct sockets {
	DIR *dir;
	size_t descriptors;
	struct sockets_entry *at;
	size_t count, room;
	bool has_io_uring;
};

/* Opens /proc/PID/fd. 0, or -errno: -EACCES not ours to see, -ENOENT it ended. *s is to be released. */
int sockets_open(struct sockets *s, uint32_t pid);
/* Appends the next ones to s->at. 1: there are more; 0: that was all, s->at is sorted by inode, then by
 * descriptor; -E2BIG more than LIMIT_LOOK_DESCRIPTORS, -EACCES, -ENOMEM. */
int sockets_read(struct sockets *s);
/* Also of a zeroed one. */
void sockets_release(struct sockets *s);

/*
 * Which of some sockets are established TCP connections on a port that one of the process's sockets
 * listens on: from /proc/PID/net/tcp and tcp6, of the process's network namespace.
 */
struct inbound;

/* The sockets are borrowed, in order of their inodes. NULL without memory. */
struct inbound *inbound_new(const struct sockets *s, uint32_t pid, const uint64_t *inodes,
			    size_t count);
void inbound_free(struct inbound *q);
/* 1: there is more to read; 0: that was all; -errno, -E2BIG past LIMIT_LOOK_TABLE_BYTES. */
int inbound_read(struct inbound *q);
/* When all was read: of the nth inode. */
bool inbound_is(const struct inbound *q, size_t n);

#endif
