#include "agent/metrics/hist.h"

#include <math.h>
#include <stdbool.h>

/*
 * A binary search whose steps depend on the number of bounds alone, so that the only branch is the
 * loop's, which the processor predicts; the comparison becomes a conditional move.
 */
size_t hist_bucket(const double *bounds, size_t count, double value)
{
	const double *at = bounds;
	size_t left = count;
	while (left > 1) {
		size_t half = left / 2;
		at = at[half - 1] < value ? at + half : at;
		left -= half;
	}
	return (size_t)(at - bounds) + (left == 1 && *at < value);
}

void hist_record(struct hist *h, const double *bounds, size_t bound_count, double value)
{
	if (!isfinite(value) || value < 0)
		return;
	if (h->count == 0 || value < h->min)
		h->min = value;
	if (h->count == 0 || value > h->max)
		h->max = value;
	h->count++;
	h->sum += value;
	h->buckets[hist_bucket(bounds, bound_count, value)]++;
}
