/*
 * liveness.h - whether a watched process still lives.
 *
 * A pid alone does not name a process: it is used again. With the start time it does.
 */
#ifndef INTAKE_LIVENESS_H
#define INTAKE_LIVENESS_H

#include "agent/intake/process.h"

#include <stdbool.h>

/* Of a process in our own PID namespace; start_ticks 0 = not known. A zombie is dead. */
bool liveness_of_pid(uint32_t pid, uint64_t start_ticks);

/* Of any watched process. One of another PID namespace cannot be asked about and is taken for alive. */
bool liveness_of(const struct process *p);

/* Whether a process of our PID namespace has its entry in /proc: it lives, or is a zombie whose parent has not
 * waited for it yet. False without /proc. */
bool liveness_has_entry(const struct process *p);

/* Whether the process is in our PID namespace: its /proc entry is its own. */
bool liveness_is_visible(const struct process *p);

/* A descriptor that becomes readable when the process ends; -1 if it is not to be had. */
int liveness_open(const struct process *p);

#endif
