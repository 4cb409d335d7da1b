/* The tracepoint that an LTTng-UST event of the same payload is: one sequence of bytes. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER bench
#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "tests/bench/shim/lttng_event.h"

#if !defined(BENCH_LTTNG_EVENT_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define BENCH_LTTNG_EVENT_H
#include <lttng/tracepoint.h>

LTTNG_UST_TRACEPOINT_EVENT(bench, sent, LTTNG_UST_TP_ARGS(const char *, bytes, size_t, count),
			   LTTNG_UST_TP_FIELDS(lttng_ust_field_sequence(char, payload, bytes,
									size_t, count)))
#endif

#include <lttng/tracepoint-event.h>
