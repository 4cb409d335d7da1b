/*
 * metrics.h - the six inference metrics of one watched process, aggregated by attribute set; and what
 * there is to say about how much of it was seen.
 *
 * Not thread-safe: the draining thread records; the export thread works on snapshots it was given.
 * Attribute sets are capped at LIMIT_SERIES a metric; past that everything goes into one overflow
 * point (otel.metric.overflow = true). +1 and -1 of one call always meet the same point.
 */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include "agent/call/call.h"

#include <stddef.h>

enum metrics_kind {
	METRICS_COUNTER,	 /* monotonic sum of whole numbers */
	METRICS_UP_DOWN_COUNTER, /* sum of whole numbers */
	METRICS_HISTOGRAM,
};

/* The metrics, in this order in metrics_instruments[]. */
enum metrics_id {
	METRICS_REQUESTS_TOTAL,
	METRICS_REQUEST_DURATION,
	METRICS_CONCURRENT_REQUESTS,
	METRICS_TOKENS_PER_SECOND,
	METRICS_INFERENCE_DURATION,
	METRICS_TIME_TO_FIRST_TOKEN,
	METRICS_CALLS_ESTIMATED, /* inferwire.calls.estimated: token counts that are counted events */
	METRICS_CALLS_UNMEASURED, /* inferwire.calls.unmeasured: over protocols that are not read */
	METRICS_CALLS_LOST,	  /* inferwire.calls.lost: calls whose end was not seen */
	METRICS_RECORDS_DROPPED,  /* inferwire.records.dropped: of the ring of the process */
	METRICS_CONNECTIONS,	  /* inferwire.connections: inbound ones, read and not read */
	METRICS_COUNT,
};

/* Points that are known beforehand, with attributes of their own: those of METRICS_CONNECTIONS (what became
 * of inbound connections), and those of METRICS_CALLS_UNMEASURED. */
enum metrics_tally {
	METRICS_CONN_HTTP,
	METRICS_CONN_TLS,
	METRICS_CONN_ENCRYPTED,
	METRICS_CONN_OPAQUE,
	METRICS_CONN_UNSEEN,
	METRICS_CONN_UNSEEN_IO_URING,
	METRICS_CONN_UNWATCHED,
	METRICS_CONN_COUNT,
	METRICS_UNMEASURED = METRICS_CONN_COUNT, /* and enum call_unmeasured */
	METRICS_TALLIES = METRICS_UNMEASURED + CALL_UNMEASURED_COUNT,
};

/* Their attributes. */
struct metrics_tally_labels {
	const char *kind;
	const char *reason; /* of connections: why their requests are not counted; NULL: they are */
};
extern const struct metrics_tally_labels metrics_tally_labels[METRICS_TALLIES];

/* An instrument: a row of the table that metrics.md is. */
struct metrics_instrument {
	const char *name; /* "llama_stack.inference.requests_total" */
	const char *unit; /* "{request}", "s", "" */
	const char *description;
	enum metrics_kind kind;
	bool bare;			     /* one point without attributes */
	enum metrics_tally tally, tally_end; /* its points, where they are not of calls */
	bool has_status;		     /* points carry status (and error_type on errors) */
	const double *bounds;		     /* histograms: upper bounds, inclusive, ascending */
	size_t bound_count;
};
extern const struct metrics_instrument metrics_instruments[METRICS_COUNT];

/* The attribute set of a point. */
struct metrics_labels {
	struct call_labels call;
	enum call_error error;	  /* where the instrument has_status: CALL_OK = success */
	enum metrics_tally tally; /* where the instrument has them */
	bool overflow; /* the point that takes what is past the cap; nothing else is valid */
};

struct metrics_point {
	struct metrics_labels labels;
	uint64_t start_ns; /* CLOCK_REALTIME when the first measurement of this series was made */
	int64_t value;	   /* counters */
	uint64_t count;	   /* histograms */
	double sum;
	double min, max;
	const uint64_t *buckets; /* bound_count + 1 */
};

struct metrics;

struct metrics *metrics_new(void); /* NULL without memory */
void metrics_free(struct metrics *m);

/* To be wired into a call_sink. now_ns: CLOCK_REALTIME, for the start of a new series. */
void metrics_call_started(struct metrics *m, const struct call *c, uint64_t now_ns);
void metrics_call_first_token(struct metrics *m, const struct call *c, uint64_t now_ns);
void metrics_call_ended(struct metrics *m, const struct call *c, uint64_t now_ns);
void metrics_call_lost(struct metrics *m, const struct call *c, uint64_t now_ns);

/* A call over a protocol that is not read was seen to begin. */
void metrics_call_unmeasured(struct metrics *m, enum call_unmeasured how, uint64_t now_ns);

/* Records of the process's ring that were dropped since the last time. */
void metrics_records_dropped(struct metrics *m, uint64_t records, uint64_t now_ns);

/* Connections of the process so far. A total never goes down: a lower one is not
 * believed, nor one that no counter can have. */
void metrics_connections(struct metrics *m, const uint64_t totals[METRICS_CONN_COUNT],
			 uint64_t now_ns);

/* A frozen copy of all points, for another thread. */
struct metrics_snapshot;
struct metrics_snapshot *metrics_snapshot(const struct metrics *m); /* NULL without memory */
void metrics_snapshot_free(struct metrics_snapshot *s);
/* Points of one metric; 0 if nothing was recorded. */
size_t metrics_snapshot_count(const struct metrics_snapshot *s, enum metrics_id id);
struct metrics_point metrics_snapshot_point(const struct metrics_snapshot *s, enum metrics_id id,
					    size_t n);

#endif
