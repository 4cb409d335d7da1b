/*
 * series.h - the points of one metric by attribute set: a hash map that is capped.
 *
 * A set once seen keeps its point for ever and a set once refused is refused for ever, so that the
 * measurements of one attribute set never end up in two points.
 */
#ifndef METRICS_SERIES_H
#define METRICS_SERIES_H

#include "agent/metrics/hist.h"
#include "agent/metrics/metrics.h"

struct series_point {
	struct metrics_labels labels;
	uint64_t hash;
	uint64_t start_ns;
	int64_t value;
	struct hist hist; /* its buckets stand behind the struct */
};

struct series_set {
	struct series_point **points; /* in order of appearance */
	size_t count, room;
	uint32_t *slots; /* index into points + 1, 0 = free; a power of two of them */
	size_t slot_count;
	struct series_point *overflow; /* made with the set: it must be there when memory is not */
	bool overflowed;	       /* the overflow point was used */
	bool sealed;		       /* no further sets: the cap was met, or memory ran out */
	size_t bucket_count;
};

/* 0 or -ENOMEM. bucket_count is 0 for counters. */
int series_init(struct series_set *s, size_t bucket_count);
/* Also of a zeroed set. */
void series_release(struct series_set *s);

/* Strings are compared up to their NUL; what stands behind it plays no part. */
uint64_t series_hash(uint64_t seed, const struct call_labels *labels);

/* The point of an attribute set, made if need be; past LIMIT_SERIES the overflow point. */
struct series_point *series_at(struct series_set *s, uint64_t hash,
			       const struct call_labels *labels, enum call_error error,
			       uint64_t now_ns);

#endif
