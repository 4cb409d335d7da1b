/*
 * sockets.h - the sockets of another process, as the kernel tells them in /proc.
 */
#ifndef INTAKE_SOCKETS_H
#define INTAKE_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockets_entry {
	uint64_t inode; /* names the socket in all processes that have it */
	uint32_t fd;
};

struct sockets {
	struct sockets_entry *at; /* by inode, then by descriptor */
	size_t count, room;
	bool has_io_uring;
};

/* Reads /proc/PID/fd. 0, or -errno: -EACCES not ours to see, -ENOENT it ended, -E2BIG more than
 * LIMIT_LOOK_DESCRIPTORS, -ENOMEM. *s is to be released in any case. */
int sockets_read(struct sockets *s, uint32_t pid);
void sockets_release(struct sockets *s);

/*
 * Which of the inodes (ascending) are established TCP connections on a port that one of the process's
 * sockets listens on: reads /proc/PID/net/tcp and tcp6, of the process's network namespace.
 * inbound[i] is set or left. 0 or -errno as above, -E2BIG past LIMIT_LOOK_TABLE_BYTES.
 */
int sockets_find_inbound(const struct sockets *s, uint32_t pid, const uint64_t *inodes,
			 size_t count, bool *inbound);

#endif
