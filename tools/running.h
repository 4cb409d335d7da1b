/*
 * running.h - what /proc tells of a running process that matters for its being observed. Facts; the
 * verdict is check_pid.c's.
 */
#ifndef TOOLS_RUNNING_H
#define TOOLS_RUNNING_H

#include "tools/places.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct running {
	uint32_t pid;
	uid_t euid;
	char exe[PLACES_PATH_BYTES]; /* as its mount namespace has it; empty: a kernel thread, a zombie */
	char shim[PLACES_PATH_BYTES]; /* libinferwire.so, as it is mapped; empty: it is not */
	char ring[PLACES_PATH_BYTES]; /* its ring file, as it is mapped; empty: it has none */
	bool ring_removed;	      /* mapped, and no longer in its directory */
	bool secure;		      /* started in secure execution (AT_SECURE) */
	bool io_uring;		      /* has a descriptor of one */
	bool listens;		      /* has a listening stream socket */
	char *environment; /* NUL-separated, as it was started; ends in a NUL. Never NULL */
	size_t environment_len;
	char command_line[4096]; /* NUL-separated arguments, cut; ends in NUL NUL */
};

/* 0; -ESRCH no such process; -EACCES no permission; -ENOMEM. */
int running_read(uint32_t pid, struct running *r);
void running_release(struct running *r);

/* A variable of its environment; NULL if it is unset or empty. */
const char *running_variable(const struct running *r, const char *name);

/* Each file that is mapped executable, once for each map: as the process knows it, and where it can be
 * read from here. */
void running_files(const struct running *r,
		   void (*found)(void *user, const char *name, const char *path), void *user);

#endif
