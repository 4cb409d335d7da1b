/*
 * hist.h - a histogram of explicit bounds: counts by bucket, sum, least and greatest.
 */
#ifndef METRICS_HIST_H
#define METRICS_HIST_H

#include <stddef.h>
#include <stdint.h>

struct hist {
	uint64_t count;
	double sum;
	double min, max;   /* valid if count > 0 */
	uint64_t *buckets; /* one more than there are bounds; not owned */
};

/* The bucket of `value`: the first whose upper bound is not less than it, or `count` past the last. */
size_t hist_bucket(const double *bounds, size_t count, double value);

/* Values that are negative, infinite or not a number are ignored: none can be a measurement here. */
void hist_record(struct hist *h, const double *bounds, size_t bound_count, double value);

#endif
