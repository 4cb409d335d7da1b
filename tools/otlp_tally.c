/*
 * The path to a point (opentelemetry/proto/collector/metrics/v1, field numbers):
 *
 *   request.resource_metrics 1 > .scope_metrics 2 > .metrics 2 > name 1
 *                                                            > sum 7 > .data_points 1 > as_double 4
 *                                                                                       as_int    6
 *                                                                                       attributes 7
 *                                                      > histogram 9 > .data_points 1 > count 4, sum 5
 *                                                                                       attributes 9
 *   attribute: key 1, value 2 > string 1 | bool 2
 */
#include "tools/otlp_tally.h"

#include "tools/verify_script.h"

enum wire_kind {
	VARINT = 0,
	FIXED64 = 1,
	BYTES = 2,
	FIXED32 = 5,
};

struct field {
	uint32_t number;
	enum wire_kind kind;
	uint64_t value;	   /* VARINT, FIXED64, FIXED32 */
	struct span bytes; /* BYTES */
};

/* What one point says, on its way into the table. */
struct point {
	struct span metric;
	uint32_t attributes; /* the number of their field, by the kind of point */
	struct tally_series series;
};

static bool take_varint(struct span *s, uint64_t *value)
{
	*value = 0;
	for (int shift = 0; shift < 64 && s->len; shift += 7) {
		uint8_t byte = span_take(s, 1).at[0];
		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static bool take_fixed(struct span *s, size_t size, uint64_t *value)
{
	if (s->len < size)
		return false;
	*value = 0;
	for (size_t i = 0; i < size; i++)
		*value |= (uint64_t)s->at[i] << (8 * i);
	span_skip(s, size);
	return true;
}

/* The next field of a message; false at its end, and with *bad set where it is not one. */
static bool take_field(struct span *message, struct field *f, bool *bad)
{
	uint64_t key;
	if (!message->len)
		return false;
	*bad = true;
	if (!take_varint(message, &key))
		return false;
	f->number = (uint32_t)(key >> 3);
	f->kind = (enum wire_kind)(key & 7);
	switch (f->kind) {
	case VARINT:
		*bad = !take_varint(message, &f->value);
		break;
	case FIXED64:
		*bad = !take_fixed(message, 8, &f->value);
		break;
	case FIXED32:
		*bad = !take_fixed(message, 4, &f->value);
		break;
	case BYTES:
		if (take_varint(message, &f->value) && f->value <= message->len) {
			f->bytes = span_take(message, (size_t)f->value);
			*bad = false;
		}
		break;
	default:
		break;
	}
	return !*bad;
}

static double as_double(uint64_t bits)
{
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static bool read_attribute(struct span message, struct tally_series *series)
{
	struct field f, v;
	struct span key = span_of(NULL, 0);
	bool bad = false;
	while (take_field(&message, &f, &bad)) {
		if (f.number == 1 && f.kind == BYTES)
			key = f.bytes;
		if (f.number != 2 || f.kind != BYTES || !take_field(&f.bytes, &v, &bad))
			continue;
		if (v.number == 2 && v.kind == VARINT && span_is(key, "stream"))
			series->stream = v.value != 0;
		else if (v.number == 1 && v.kind == BYTES && span_is(key, "model"))
			span_copy(v.bytes, series->model, sizeof(series->model));
		else if (v.number == 1 && v.kind == BYTES && span_is(key, "status"))
			span_copy(v.bytes, series->status, sizeof(series->status));
	}
	return !bad;
}

static void put_series(struct otlp_tally *t, const struct tally_series *s)
{
	for (size_t i = 0; i < t->count; i++) {
		struct tally_series *old = &t->series[i];
		if (old->stream == s->stream && strcmp(old->metric, s->metric) == 0 &&
		    strcmp(old->model, s->model) == 0 && strcmp(old->status, s->status) == 0) {
			*old = *s;
			return;
		}
	}
	if (t->count < TALLY_SERIES)
		t->series[t->count++] = *s;
}

static bool read_point(struct otlp_tally *t, struct point *p, struct span message)
{
	struct field f;
	bool bad = false;
	while (take_field(&message, &f, &bad)) {
		if (f.number == p->attributes && f.kind == BYTES)
			bad = !read_attribute(f.bytes, &p->series);
		else if (p->attributes == 9 && f.number == 4 && f.kind == FIXED64)
			p->series.count = (double)f.value;
		else if (p->attributes == 9 && f.number == 5 && f.kind == FIXED64)
			p->series.sum = as_double(f.value);
		else if (p->attributes == 7 && f.number == 4 && f.kind == FIXED64)
			p->series.count = p->series.sum = as_double(f.value);
		else if (p->attributes == 7 && f.number == 6 && f.kind == FIXED64)
			p->series.count = p->series.sum = (double)(int64_t)f.value;
		if (bad)
			return false;
	}
	if (bad)
		return false;
	put_series(t, &p->series);
	return true;
}

/* A Sum or a Histogram. */
static bool read_data(struct otlp_tally *t, struct span name, uint32_t attributes,
		      struct span message)
{
	struct field f;
	bool bad = false;
	while (take_field(&message, &f, &bad)) {
		if (f.number != 1 || f.kind != BYTES)
			continue;
		struct point p = {.metric = name, .attributes = attributes, .series.stream = -1};
		span_copy(name, p.series.metric, sizeof(p.series.metric));
		if (!read_point(t, &p, f.bytes))
			return false;
	}
	return !bad;
}

static bool read_metric(struct otlp_tally *t, struct span message)
{
	struct field f;
	struct span name = span_of(NULL, 0), data = span_of(NULL, 0);
	uint32_t attributes = 0;
	bool bad = false;
	while (take_field(&message, &f, &bad)) {
		if (f.kind != BYTES)
			continue;
		if (f.number == 1)
			name = f.bytes;
		if (f.number != 7 && f.number != 9)
			continue;
		data = f.bytes;
		attributes = f.number == 7 ? 7 : 9; /* the same numbers, by chance */
	}
	return !bad && (!attributes || read_data(t, name, attributes, data));
}

/* Messages inside of messages: 1 (resource), 2 (scope), 2 (metric). */
static bool read_level(struct otlp_tally *t, struct span message, int level)
{
	struct field f;
	bool bad = false;
	while (take_field(&message, &f, &bad)) {
		if (f.number != (level == 0 ? 1 : 2) || f.kind != BYTES)
			continue;
		if (level == 2 ? !read_metric(t, f.bytes) : !read_level(t, f.bytes, level + 1))
			return false;
	}
	return !bad;
}

void otlp_tally_add(struct otlp_tally *t, struct span body)
{
	t->requests++;
	if (!read_level(t, body, 0))
		t->bad++;
}

size_t otlp_tally_sum(const struct otlp_tally *t, struct tally_filter f, double *count, double *sum)
{
	size_t found = 0;
	*count = *sum = 0;
	for (size_t i = 0; i < t->count; i++) {
		const struct tally_series *s = &t->series[i];
		if (strcmp(s->metric, f.metric) != 0 || strcmp(s->model, SCRIPT_MODEL) != 0 ||
		    (f.status && strcmp(s->status, f.status) != 0) ||
		    (f.stream >= 0 && s->stream != f.stream))
			continue;
		found++;
		*count += s->count;
		*sum += s->sum;
	}
	return found;
}
