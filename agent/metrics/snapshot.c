#include "agent/metrics/store.h"

#include <stdlib.h>
#include <string.h>

/*
 * One allocation: the struct, then the points of all metrics, then their buckets.
 *
 *	| snapshot | points of metric 0 | ... of 7 | buckets of the first histogram point | ... |
 */
struct metrics_snapshot {
	size_t first[METRICS_COUNT + 1]; /* of a metric's points in `points` */
	struct metrics_point points[];
};

static size_t set_count(const struct series_set *s)
{
	return s->count + s->overflowed;
}

static size_t tally_count(const struct metrics *m)
{
	size_t n = 0;
	for (size_t i = 0; i < METRICS_TALLIES; i++)
		n += m->tallies[i].total > 0;
	return n;
}

/* Those of an instrument that there are; returns where the next point goes. */
static size_t copy_tallies(struct metrics_point *points, size_t at, const struct metrics *m,
			   const struct metrics_instrument *in)
{
	for (size_t i = in->tally; i < in->tally_end; i++) {
		if (m->tallies[i].total)
			points[at++] = (struct metrics_point){
				.labels.tally = (enum metrics_tally)i,
				.start_ns = m->tallies[i].start_ns,
				.value = (int64_t)m->tallies[i].total,
			};
	}
	return at;
}

static const struct series_point *set_point(const struct series_set *s, size_t n)
{
	return n < s->count ? s->points[n] : s->overflow;
}

static uint64_t *copy_point(struct metrics_point *to, const struct series_point *p,
			    size_t bucket_count, uint64_t *buckets)
{
	*to = (struct metrics_point){
		.labels = p->labels,
		.start_ns = p->start_ns,
		.value = p->value,
		.count = p->hist.count,
		.sum = p->hist.sum,
		.min = p->hist.min,
		.max = p->hist.max,
		.buckets = bucket_count ? buckets : NULL,
	};
	memcpy(buckets, p->hist.buckets, bucket_count * sizeof(*buckets));
	return buckets + bucket_count;
}

struct metrics_snapshot *metrics_snapshot(const struct metrics *m)
{
	size_t points = tally_count(m), buckets = 0;
	for (size_t id = 0; id < METRICS_COUNT; id++) {
		size_t n = set_count(&m->sets[id]);
		points += n;
		buckets += n * m->sets[id].bucket_count;
	}
	struct metrics_snapshot *s =
		malloc(sizeof(*s) + points * sizeof(s->points[0]) + buckets * sizeof(uint64_t));
	if (!s)
		return NULL;
	uint64_t *free_bucket = (uint64_t *)&s->points[points];
	size_t at = 0;
	for (size_t id = 0; id < METRICS_COUNT; id++) {
		const struct series_set *set = &m->sets[id];
		s->first[id] = at;
		for (size_t n = 0; n < set_count(set); n++)
			free_bucket = copy_point(&s->points[at++], set_point(set, n),
						 set->bucket_count, free_bucket);
		at = copy_tallies(s->points, at, m, &metrics_instruments[id]);
	}
	s->first[METRICS_COUNT] = at;
	return s;
}

void metrics_snapshot_free(struct metrics_snapshot *s)
{
	free(s);
}

size_t metrics_snapshot_count(const struct metrics_snapshot *s, enum metrics_id id)
{
	return s->first[id + 1] - s->first[id];
}

struct metrics_point metrics_snapshot_point(const struct metrics_snapshot *s, enum metrics_id id,
					    size_t n)
{
	return s->points[s->first[id] + n];
}
