/*
 * store.h - what struct metrics holds; for the metrics stage alone.
 */
#ifndef METRICS_STORE_H
#define METRICS_STORE_H

#include "agent/metrics/series.h"

struct metrics {
	struct series_set sets[METRICS_COUNT];
	uint64_t seed; /* of the hashes */
	struct {
		uint64_t total; /* 0 = no point */
		uint64_t start_ns;
	} tallies[METRICS_TALLIES];
};

#endif
