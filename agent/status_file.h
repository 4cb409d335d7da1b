/*
 * status_file.h - DIRECTORY/status.json: what `inferwire status` shows. Replaced whole.
 *
 *   {"agent": {"pid", "version", "uptime_seconds"},
 *    "export": {"exported_points", "failed_points", "requests", "retries", "last_error"},
 *    "processes": [{"pid", "program", "service", "connections", "connections_total", "http", "tls",
 *                   "encrypted", "opaque", "unseen", "unseen_io_uring", "unwatched", "records",
 *                   "dropped", "dropped_bytes", "calls", "calls_started", "calls_lost"}]}
 *
 * From "http" to "unwatched": connections so far, as in inferwire.connections (agent/metrics/metrics.h).
 */
#ifndef AGENT_STATUS_FILE_H
#define AGENT_STATUS_FILE_H

#include "agent/export/exporter.h"
#include "agent/watch.h"

#define STATUS_FILE_NAME "status.json"

/* exporter may be NULL. */
void status_file_write(int dir_fd, uint64_t uptime_ns, struct exporter *exporter,
		       struct watch *const *watches, size_t count);

#endif
