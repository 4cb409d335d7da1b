/*
 * otlp.h - batches as the bytes of ExportMetricsServiceRequests.
 *
 * A batch with many points becomes several requests, each of which stands alone: its Resources and
 * Metrics are said again, no Metric in it is empty, and there is no request without a point.
 */
#ifndef EXPORT_OTLP_H
#define EXPORT_OTLP_H

#include "agent/base/span.h"
#include "agent/export/exporter.h"

struct otlp_request {
	uint8_t *at; /* for free() */
	size_t len;
	size_t points;
};

/* How far a batch was encoded. A zeroed struct stands at its beginning. */
struct otlp_cursor {
	size_t process;
	size_t metric; /* enum metrics_id */
	size_t point;
};

/*
 * Encodes from the cursor on as many points as fit in `max_bytes` (one at least) and moves it. 1, 0 if
 * nothing was left, or -ENOMEM, when the cursor has not moved.
 */
int otlp_next(const struct export_batch *b, struct otlp_cursor *at, uint64_t time_ns,
	      size_t max_bytes, struct otlp_request *request);

/*
 * The time to export the batch with: its own, but past every series' start and past `last_ns`, the
 * one before, in milliseconds. Prometheus keeps milliseconds and refuses a second value in one, and
 * everything older; the wall clock may be set back at any time.
 */
uint64_t otlp_time(const struct export_batch *b, uint64_t last_ns);

#endif
