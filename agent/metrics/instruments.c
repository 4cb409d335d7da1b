#include "agent/metrics/metrics.h"

/*
 * The units keep the names through a Collector and Prometheus 3: annotations in braces are dropped
 * there, `s` is already the last word, and tokens_per_second has none (`{token}/s` would append a
 * second `_per_second`).
 */

static const double duration_bounds[] = {0.01,	0.02,  0.04,   0.08,   0.16,  0.32,
					 0.64,	1.28,  2.56,   5.12,   10.24, 20.48,
					 40.96, 81.92, 163.84, 327.68, 655.36};
static const double first_token_bounds[] = {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,
					    .75,  1,	2.5, 5,	  7.5, 10,  20,	 40, 80};
static const double rate_bounds[] = {1,	  2,   5,   10,	 20,  30,   50,	  75,
				     100, 150, 200, 300, 500, 1000, 2000, 5000};

#define BOUNDS(b) .bounds = (b), .bound_count = sizeof(b) / sizeof((b)[0])

const struct metrics_instrument metrics_instruments[METRICS_COUNT] = {
	[METRICS_REQUESTS_TOTAL] =
		{
			.name = "llama_stack.inference.requests_total",
			.unit = "{request}",
			.description = "Inference requests that ended",
			.kind = METRICS_COUNTER,
			.has_status = true,
		},
	[METRICS_REQUEST_DURATION] =
		{
			.name = "llama_stack.inference.request_duration_seconds",
			.unit = "s",
			.description =
				"From the first byte of the request to the end of the response",
			.kind = METRICS_HISTOGRAM,
			.has_status = true,
			BOUNDS(duration_bounds),
		},
	[METRICS_CONCURRENT_REQUESTS] =
		{
			.name = "llama_stack.inference.concurrent_requests",
			.unit = "{request}",
			.description = "Inference requests under way",
			.kind = METRICS_UP_DOWN_COUNTER,
		},
	[METRICS_TOKENS_PER_SECOND] =
		{
			.name = "llama_stack.inference.tokens_per_second",
			.unit = "",
			.description =
				"Output tokens of a request by the time from its last byte to the "
				"last token",
			.kind = METRICS_HISTOGRAM,
			BOUNDS(rate_bounds),
		},
	[METRICS_INFERENCE_DURATION] =
		{
			.name = "llama_stack.inference.inference_duration_seconds",
			.unit = "s",
			.description = "From the last byte of the request to the last token",
			.kind = METRICS_HISTOGRAM,
			BOUNDS(duration_bounds),
		},
	[METRICS_TIME_TO_FIRST_TOKEN] =
		{
			.name = "llama_stack.inference.time_to_first_token_seconds",
			.unit = "s",
			.description =
				"From the last byte of a streaming request to its first token",
			.kind = METRICS_HISTOGRAM,
			BOUNDS(first_token_bounds),
		},
	[METRICS_CALLS_ESTIMATED] =
		{
			.name = "inferwire.calls.estimated",
			.unit = "{call}",
			.description =
				"Calls whose output tokens are counted events, for lack of a usage",
			.kind = METRICS_COUNTER,
		},
	[METRICS_CALLS_UNMEASURED] =
		{
			.name = "inferwire.calls.unmeasured",
			.unit = "{call}",
			.description = "Inference calls that were seen to begin and are in no "
				       "other metric, "
				       "because their protocol is not read",
			.kind = METRICS_COUNTER,
			.tally = METRICS_UNMEASURED,
			.tally_end = METRICS_TALLIES,
		},
	[METRICS_CALLS_LOST] =
		{
			.name = "inferwire.calls.lost",
			.unit = "{call}",
			.description = "Calls whose end was not seen",
			.kind = METRICS_COUNTER,
		},
	[METRICS_RECORDS_DROPPED] =
		{
			.name = "inferwire.records.dropped",
			.unit = "{record}",
			.description = "Records of the ring of the process that were lost",
			.kind = METRICS_COUNTER,
			.bare = true,
		},
	[METRICS_CONNECTIONS] =
		{
			.name = "inferwire.connections",
			.unit = "{connection}",
			.description =
				"Inbound connections, read or not; those that were not are the "
				"requests that are missing in the other metrics",
			.kind = METRICS_COUNTER,
			.tally = METRICS_CONN_HTTP,
			.tally_end = METRICS_CONN_COUNT,
		},
};

const struct metrics_tally_labels metrics_tally_labels[METRICS_TALLIES] = {
	[METRICS_CONN_HTTP] = {"http", NULL},
	[METRICS_CONN_TLS] = {"tls", NULL},
	[METRICS_CONN_ENCRYPTED] = {"encrypted", "tls_without_plain_text"},
	[METRICS_CONN_OPAQUE] = {"opaque", "not_http"},
	[METRICS_CONN_UNSEEN] = {"unseen", "not_seen"},
	[METRICS_CONN_UNSEEN_IO_URING] = {"unseen", "io_uring"},
	[METRICS_CONN_UNWATCHED] = {"unwatched", "descriptor_table"},
	[METRICS_UNMEASURED + CALL_UNMEASURED_WEBSOCKET] = {"websocket", NULL},
	[METRICS_UNMEASURED + CALL_UNMEASURED_GRPC] = {"grpc", NULL},
};
