/*
 * modules.h - the files whose code a process has mapped: /proc/PID/maps (proc_pid_maps(5)).
 */
#ifndef INTAKE_MODULES_H
#define INTAKE_MODULES_H

#include "agent/base/span.h"
#include "agent/intake/process.h"

#include <stdbool.h>

/* The path of a line of it that maps a file's code, or an empty span. `line` without its newline. */
struct span modules_path(struct span line);

/* Each such file once for each of its mappings, until `found` returns false. Nothing where the process
 * cannot be looked at: another PID namespace, no permission, an end. */
void modules_each(const struct process *p, bool (*found)(void *user, struct span path), void *user);

#endif
