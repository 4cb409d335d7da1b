/*
 * call_log.h - INFERWIRE_CALL_LOG: one JSON line for each finished call, written off the draining
 * thread. Numbers and names only.
 */
#ifndef EXPORT_CALL_LOG_H
#define EXPORT_CALL_LOG_H

#include "agent/call/call.h"
#include "agent/intake/process.h"

struct call_log;

/* Opens (O_APPEND | O_CREAT, 0600) and starts the writer's thread. NULL with errno set. */
struct call_log *call_log_open(const char *path);
/* Copies and queues; never waits. Past LIMIT_CALL_LOG_QUEUE the line is lost and counted. */
void call_log_put(struct call_log *l, const struct process *p, const struct call *c);
/* Opens the path anew before the next line (log rotation). Async-signal-safe is not promised. */
void call_log_reopen(struct call_log *l);
/* Waits until what was queued is in the file. */
void call_log_flush(struct call_log *l);
/* Lines so far: past the queue, or not written whole. */
uint64_t call_log_lost(struct call_log *l);
void call_log_close(struct call_log *l);

#endif
