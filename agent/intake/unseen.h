/*
 * unseen.h - which inbound connections of a process the kernel knows and its ring does not: those that
 * were accepted past the shim (raw system calls, io_uring) or handed over by another process.
 *
 * It samples: a connection counts when two successive looks find it, each connection once. One that
 * is shorter than that is missed, one that the shim saw is never counted.
 */
#ifndef INTAKE_UNSEEN_H
#define INTAKE_UNSEEN_H

#include "agent/intake/flow.h"

struct unseen;

struct unseen *unseen_new(void); /* NULL without memory */
void unseen_free(struct unseen *u);

/* What is known from elsewhere at the time of a look. */
struct unseen_known {
	struct flow *flow;
	/* False: records of opening may be missing; what is new is nobody's and never counted. */
	bool complete;
	/* Whether another watched process has the socket and can say what it is. */
	bool (*elsewhere)(void *user, uint64_t inode);
	void *user;
};

/*
 * A look at the process, which is of our PID namespace, a piece at a time, each of them right after what
 * the ring holds was taken into the flow. 1: there is more of it; 0: it is done; -errno: it failed (the
 * process ended, its /proc is not ours to read, it has too many descriptors) and changed nothing.
 */
int unseen_look(struct unseen *u, const struct process *p, const struct unseen_known *known);

/* Whether the last look found that socket, and it is one that was told of or counted. */
bool unseen_has(const struct unseen *u, uint64_t inode);

/* Connections that were counted so far, by whether the process had an io_uring then. */
struct unseen_total {
	uint64_t not_seen;
	uint64_t io_uring;
};
struct unseen_total unseen_total(const struct unseen *u);

#endif
