/*
 * directory.h - the ring directory: ours alone, the rendezvous of servers and the one agent.
 */
#ifndef INTAKE_DIRECTORY_H
#define INTAKE_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define DIRECTORY_PATH_BYTES 256
#define DIRECTORY_NAME_BYTES 96 /* of a ring file */

struct directory {
	int fd;
	int lock_fd;  /* -1 = not locked */
	int watch_fd; /* inotify: readable when a name appears; -1 = not to be had */
	char path[DIRECTORY_PATH_BYTES];
};

/*
 * Opens INFERWIRE_DIR, or /dev/shm/inferwire-UID; makes it (0700) if it is not there. 0, or -errno
 * with one line in `error`: it is not a directory, not ours, open to others.
 */
int directory_open(struct directory *d, char *error, size_t room);
void directory_close(struct directory *d);

/* Takes the agent's lock and writes our pid into it. 0, -EAGAIN (another agent has it), -errno. */
int directory_lock(struct directory *d);
void directory_unlock(struct directory *d);
/* The pid that the holder of the lock wrote; 0 if unknown. */
pid_t directory_holder(const struct directory *d);

/* Calls found() for each whole ring file; removes half-made ones whose makers are dead. */
void directory_scan(struct directory *d, void (*found)(void *user, const char *name), void *user);

/* Forgets what inotify told; the next change makes watch_fd readable again. */
void directory_drain(struct directory *d);

#endif
