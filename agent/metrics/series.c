#include "agent/metrics/series.h"

#include "agent/base/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 16u

static struct series_point *point_new(size_t bucket_count)
{
	struct series_point *p = calloc(1, sizeof(*p) + bucket_count * sizeof(*p->hist.buckets));
	if (p)
		p->hist.buckets = (uint64_t *)(p + 1);
	return p;
}

int series_init(struct series_set *s, size_t bucket_count)
{
	*s = (struct series_set){.bucket_count = bucket_count, .slot_count = SLOTS_FIRST};
	s->slots = calloc(s->slot_count, sizeof(*s->slots));
	s->overflow = point_new(bucket_count);
	if (!s->slots || !s->overflow) {
		series_release(s);
		return -ENOMEM;
	}
	s->overflow->labels.overflow = true;
	return 0;
}

void series_release(struct series_set *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->points[i]);
	free(s->points);
	free(s->slots);
	free(s->overflow);
	*s = (struct series_set){0};
}

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15u;
	return h ^ (h >> 29);
}

/* Eight bytes a step: a byte a step costs more than the rest of a record. */
static uint64_t mix_text(uint64_t h, const char *text, size_t room)
{
	size_t n = strnlen(text, room), at = 0;
	uint64_t word;
	for (; n - at >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, text + at, sizeof(word));
		h = mix(h, word);
	}
	word = 0;
	memcpy(&word, text + at, n - at);
	return mix(h, word ^ (uint64_t)n << 56);
}

uint64_t series_hash(uint64_t seed, const struct call_labels *labels)
{
	uint64_t h = mix_text(seed, labels->model, sizeof(labels->model));
	h = mix_text(h, labels->provider, sizeof(labels->provider));
	return mix(h, (uint64_t)labels->endpoint << 1 | labels->stream);
}

static bool point_is(const struct series_point *p, uint64_t hash, const struct call_labels *labels,
		     enum call_error error)
{
	const struct call_labels *own = &p->labels.call;
	return p->hash == hash && p->labels.error == error && own->endpoint == labels->endpoint &&
	       own->stream == labels->stream &&
	       strncmp(own->model, labels->model, sizeof(own->model)) == 0 &&
	       strncmp(own->provider, labels->provider, sizeof(own->provider)) == 0;
}

/* The slot of the set, or the free one where it belongs. */
static uint32_t *slot_of(const struct series_set *s, uint64_t hash,
			 const struct call_labels *labels, enum call_error error)
{
	size_t mask = s->slot_count - 1;
	for (size_t i = hash & mask;; i = (i + 1) & mask)
		if (!s->slots[i] || point_is(s->points[s->slots[i] - 1], hash, labels, error))
			return &s->slots[i];
}

/* Makes room for one more point: at most half of the slots are ever taken. */
static int grow(struct series_set *s)
{
	if (s->count == s->room) {
		size_t room = s->room ? s->room * 2 : SLOTS_FIRST / 2;
		struct series_point **points = realloc(s->points, room * sizeof(*points));
		if (!points)
			return -ENOMEM;
		s->points = points;
		s->room = room;
	}
	if ((s->count + 1) * 2 <= s->slot_count)
		return 0;
	size_t slot_count = s->slot_count * 2;
	uint32_t *slots = calloc(slot_count, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t n = 0; n < s->count; n++) {
		size_t i = s->points[n]->hash & (slot_count - 1);
		while (slots[i])
			i = (i + 1) & (slot_count - 1);
		slots[i] = (uint32_t)n + 1;
	}
	free(s->slots);
	s->slots = slots;
	s->slot_count = slot_count;
	return 0;
}

static struct series_point *add(struct series_set *s, uint64_t hash,
				const struct call_labels *labels, enum call_error error,
				uint64_t now_ns)
{
	struct series_point *p = NULL;
	if (s->count == LIMIT_SERIES || grow(s) != 0 || !(p = point_new(s->bucket_count))) {
		s->sealed = true;
		return NULL;
	}
	p->hash = hash;
	p->start_ns = now_ns;
	p->labels.error = error;
	p->labels.call.endpoint = labels->endpoint;
	p->labels.call.stream = labels->stream;
	memcpy(p->labels.call.model, labels->model, strnlen(labels->model, LIMIT_MODEL_BYTES - 1));
	memcpy(p->labels.call.provider, labels->provider,
	       strnlen(labels->provider, LIMIT_PROVIDER_BYTES - 1));
	s->points[s->count++] = p;
	*slot_of(s, hash, labels, error) = (uint32_t)s->count;
	return p;
}

struct series_point *series_at(struct series_set *s, uint64_t hash,
			       const struct call_labels *labels, enum call_error error,
			       uint64_t now_ns)
{
	hash = mix(hash, (uint64_t)error);
	uint32_t slot = *slot_of(s, hash, labels, error);
	if (slot)
		return s->points[slot - 1];
	struct series_point *p = s->sealed ? NULL : add(s, hash, labels, error, now_ns);
	if (p)
		return p;
	if (!s->overflowed) {
		s->overflowed = true;
		s->overflow->start_ns = now_ns;
	}
	return s->overflow;
}
