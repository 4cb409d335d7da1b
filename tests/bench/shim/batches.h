/*
 * batches.h - what one call costs, on a machine where other things run as well.
 *
 * Calls are timed in batches so short that most are not interrupted; the figure is the batch at the
 * first tenth of all: the least would be luck, the middle is the others' load.
 */
#ifndef BENCH_BATCHES_H
#define BENCH_BATCHES_H

#include "tests/bench/stopwatch.h"

#include <stdlib.h>

static inline int batches_order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Nanoseconds of a call, from the nanoseconds of each batch. */
static inline double batches_figure(double *ns, long batches, long calls)
{
	qsort(ns, (size_t)batches, sizeof(*ns), batches_order);
	return ns[batches / 10] / (double)calls;
}

#endif
