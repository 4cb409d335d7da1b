/*
 * rings.h - a ring directory seen from outside: who still has to be exported, and does an agent run?
 *
 * Reads names and headers only. A ring is whole when its name ends in ".ring" (shim/wire.h); the agent
 * removes it when everything of its process was exported or given up.
 */
#ifndef TOOLS_RINGS_H
#define TOOLS_RINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rings {
	unsigned int living; /* of processes that run */
	unsigned int
		dead; /* of processes of this PID namespace that are no more: not yet exported */
	unsigned int
		foreign; /* of another PID namespace: whether they live cannot be told from here */
};

/* The directory of this environment: INFERWIRE_DIR or the default of the effective user. */
void rings_directory(char *path, size_t room);

/* Counts. A directory that is not there has none. */
void rings_count(const char *directory, struct rings *r);

/* Whether there is a ring of a process that is wanted and has its entry in our /proc: it lives, or was not waited
 * for yet. */
bool rings_have_process(const char *directory, bool (*is_wanted)(uint32_t pid));

/* Whether an agent holds the directory's lock. */
bool rings_agent_runs(const char *directory);

#endif
