#include "agent/metrics/metrics.h"

#include "agent/base/utf8.h"
#include "agent/metrics/store.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/*
 * What is recorded when (the moments of a call run from left to right):
 *
 *	arrived      received              first_token        last_token      ended
 *	   |            |-- time_to_first_token --|                |            |
 *	   |            |------------ inference_duration ----------|            |
 *	   |            |   output tokens / this = tokens_per_second            |
 *	   |------------------------- request_duration -------------------------|
 *	      started: concurrent_requests +1                        ended: -1, requests_total
 *
 * A duration whose ends were not both seen, or not in this order, is not recorded: a server may
 * answer before it has read the whole request, and nothing is guessed.
 */

#define SECOND_NS 1e9

struct metrics *metrics_new(void)
{
	struct metrics *m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	for (size_t id = 0; id < METRICS_COUNT; id++) {
		const struct metrics_instrument *in = &metrics_instruments[id];
		size_t buckets = in->kind == METRICS_HISTOGRAM ? in->bound_count + 1 : 0;
		if (series_init(&m->sets[id], buckets) != 0) {
			metrics_free(m);
			return NULL;
		}
	}
	/* Models are the clients' words: without a seed they could choose ones that collide. Early
	 * in the boot there may be no randomness; then the map is slower under attack, no more. */
	if (getrandom(&m->seed, sizeof(m->seed), GRND_NONBLOCK) != sizeof(m->seed))
		m->seed = (uint64_t)(uintptr_t)m;
	return m;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	for (size_t id = 0; id < METRICS_COUNT; id++)
		series_release(&m->sets[id]);
	free(m);
}

/* The attribute set of a call, its text valid and its hash computed once for all metrics. */
struct key {
	const struct call_labels *labels;
	uint64_t hash;
	struct call_labels repaired;
};

static struct span field(const char *text, size_t room)
{
	return span_of(text, strnlen(text, room));
}

/* Repaired before series are told apart, not when they are exported: two series that became one
 * there would be a duplicate, and some receivers refuse a request for that. */
static void key_of(struct key *k, const struct metrics *m, const struct call_labels *labels)
{
	struct span model = field(labels->model, sizeof(labels->model));
	struct span provider = field(labels->provider, sizeof(labels->provider));
	k->labels = labels;
	if (!utf8_valid(model) || !utf8_valid(provider)) {
		k->repaired.endpoint = labels->endpoint;
		k->repaired.stream = labels->stream;
		utf8_copy(model, k->repaired.model, sizeof(k->repaired.model));
		utf8_copy(provider, k->repaired.provider, sizeof(k->repaired.provider));
		k->labels = &k->repaired;
	}
	k->hash = series_hash(m->seed, k->labels);
}

static void count(struct metrics *m, enum metrics_id id, const struct key *k, enum call_error error,
		  int64_t by, uint64_t now_ns)
{
	series_at(&m->sets[id], k->hash, k->labels, error, now_ns)->value += by;
}

static void record(struct metrics *m, enum metrics_id id, const struct key *k,
		   enum call_error error, double value, uint64_t now_ns)
{
	const struct metrics_instrument *in = &metrics_instruments[id];
	struct series_point *p = series_at(&m->sets[id], k->hash, k->labels, error, now_ns);
	hist_record(&p->hist, in->bounds, in->bound_count, value);
}

/* Nanoseconds from one moment to a later one; false if one did not happen or they are not in order. */
static bool elapsed(uint64_t from_ns, uint64_t to_ns, double *ns)
{
	if (!from_ns || !to_ns || to_ns < from_ns)
		return false;
	*ns = (double)(to_ns - from_ns);
	return true;
}

void metrics_call_started(struct metrics *m, const struct call *c, uint64_t now_ns)
{
	struct key k;
	key_of(&k, m, &c->started);
	count(m, METRICS_CONCURRENT_REQUESTS, &k, CALL_OK, 1, now_ns);
}

void metrics_call_first_token(struct metrics *m, const struct call *c, uint64_t now_ns)
{
	struct key k;
	double ns;
	/* With records lost, an earlier token may have been among them. */
	if (!c->labels.stream || c->incomplete || !elapsed(c->received_ns, c->first_token_ns, &ns))
		return;
	key_of(&k, m, &c->labels);
	record(m, METRICS_TIME_TO_FIRST_TOKEN, &k, CALL_OK, ns / SECOND_NS, now_ns);
}

/* Of calls that ended well and lost nothing: when the model was done, and how fast it was. */
static void record_inference(struct metrics *m, const struct call *c, const struct key *k,
			     uint64_t now_ns)
{
	double ns;
	if (c->error != CALL_OK || c->incomplete || !elapsed(c->received_ns, c->last_token_ns, &ns))
		return;
	record(m, METRICS_INFERENCE_DURATION, k, CALL_OK, ns / SECOND_NS, now_ns);
	/* A count of 0 is no rate: embeddings report `completion_tokens: 0`. */
	if (c->has_output_tokens && c->output_tokens && ns > 0)
		record(m, METRICS_TOKENS_PER_SECOND, k, CALL_OK,
		       (double)c->output_tokens * SECOND_NS / ns, now_ns);
}

static void count_down(struct metrics *m, const struct call *c, uint64_t now_ns)
{
	struct key k;
	key_of(&k, m, &c->started);
	count(m, METRICS_CONCURRENT_REQUESTS, &k, CALL_OK, -1, now_ns);
}

void metrics_call_ended(struct metrics *m, const struct call *c, uint64_t now_ns)
{
	struct key k;
	double ns;
	count_down(m, c, now_ns);
	key_of(&k, m, &c->labels);
	count(m, METRICS_REQUESTS_TOTAL, &k, c->error, 1, now_ns);
	if (elapsed(c->arrived_ns, c->ended_ns, &ns))
		record(m, METRICS_REQUEST_DURATION, &k, c->error, ns / SECOND_NS, now_ns);
	record_inference(m, c, &k, now_ns);
	if (c->token_source == CALL_TOKENS_EVENTS)
		count(m, METRICS_CALLS_ESTIMATED, &k, CALL_OK, 1, now_ns);
}

void metrics_call_lost(struct metrics *m, const struct call *c, uint64_t now_ns)
{
	struct key k;
	count_down(m, c, now_ns);
	key_of(&k, m, &c->started);
	count(m, METRICS_CALLS_LOST, &k, CALL_OK, 1, now_ns);
}

void metrics_records_dropped(struct metrics *m, uint64_t records, uint64_t now_ns)
{
	static const struct call_labels none;
	struct key k;
	key_of(&k, m, &none);
	count(m, METRICS_RECORDS_DROPPED, &k, CALL_OK, (int64_t)records, now_ns);
}

static void set_tally(struct metrics *m, size_t i, uint64_t total, uint64_t now_ns)
{
	if (!m->tallies[i].total)
		m->tallies[i].start_ns = now_ns;
	m->tallies[i].total = total;
}

void metrics_call_unmeasured(struct metrics *m, enum call_unmeasured how, uint64_t now_ns)
{
	size_t i = METRICS_UNMEASURED + (size_t)how;
	set_tally(m, i, m->tallies[i].total + 1, now_ns);
}

void metrics_connections(struct metrics *m, const uint64_t totals[METRICS_CONN_COUNT],
			 uint64_t now_ns)
{
	for (size_t i = 0; i < METRICS_CONN_COUNT; i++) {
		if (totals[i] > m->tallies[i].total && totals[i] <= INT64_MAX)
			set_tally(m, i, totals[i], now_ns);
	}
}
