/*
 * exporter.h - the thread that owns libcurl and sends snapshots; and nothing of it is waited for.
 *
 * The draining thread hands over a batch every interval and goes on.
 * One request is under way at a time; after a failure the newest batch is sent, never a queue of
 * stale ones (cumulative temporality).
 */
#ifndef EXPORT_EXPORTER_H
#define EXPORT_EXPORTER_H

#include "agent/export/config.h"
#include "agent/intake/process.h"
#include "agent/metrics/metrics.h"

/* What a batch says of one watched process: a Resource with its metrics. */
struct export_process {
	struct process process;		  /* identity and names; a copy */
	char instance_id[37];		  /* service.instance.id, a UUID, one a process */
	struct metrics_snapshot *metrics; /* owned */
	bool last;		/* the process ended: this is the final state of its series */
	uint64_t keep_until_ns; /* the exporter's: a `last` process failed to be sent, and is given
				   up at this time (CLOCK_MONOTONIC); 0 = it has not failed */
};

struct export_batch {
	struct export_process *processes; /* owned */
	size_t process_count;
	uint64_t time_ns; /* CLOCK_REALTIME of the snapshots */
};

struct export_batch *export_batch_new(size_t processes); /* zeroed; NULL without memory */
void export_batch_free(struct export_batch *b);

struct exporter;

/* Starts the thread (all signals blocked in it). `config` is borrowed and outlives it.
 * NULL with errno set on failure. */
struct exporter *exporter_start(const struct config *config);

/* Takes the batch. One that still waits is replaced by the newer one, except for its `last`
 * processes, which are kept until they were sent or given up. */
void exporter_submit(struct exporter *e, struct export_batch *b);

/* Whether every `last` process that was submitted has been sent or given up. */
bool exporter_idle(struct exporter *e);

/* Sends what waits, within config's export timeout (ten seconds where there is none), and ends the thread. */
void exporter_stop(struct exporter *e);

/* Counters of its own work, since the start. */
struct exporter_stats {
	uint64_t exported_points;
	uint64_t failed_points; /* given up, or rejected by the receiver */
	uint64_t requests, retries;
	char last_error[160]; /* empty if the last export went well; never a header's value */
};
void exporter_stats(struct exporter *e, struct exporter_stats *s);

#endif
