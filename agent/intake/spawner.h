/*
 * spawner.h - what started a process that says nothing of itself: /proc/PID/status, /proc/PID/cmdline.
 */
#ifndef INTAKE_SPAWNER_H
#define INTAKE_SPAWNER_H

#include "agent/base/span.h"
#include "agent/intake/process.h"

/* The process's arguments, separated by NUL; those of its parent, held in `room` bytes at `to`, where it is a
 * worker of Python's multiprocessing (uvicorn's --workers): its own are the module's. */
struct span spawner_arguments(const struct process *p, char *to, size_t room);

#endif
