#include "agent/export/otlp.h"

#include "agent/export/resource.h"
#include "agent/export/tree.h"

#include <errno.h>
#include <stdlib.h>

/*
 * The tree of a request, built in an arena and packed by protobuf-c:
 *
 *	MetricsRequest
 *	  ResourceMetrics			one a process
 *	    Resource: attributes
 *	    ScopeMetrics: "inferwire", version
 *	      Metric: name, unit		one an instrument that has points
 *	        Sum | Histogram: points		one an attribute set
 *
 * Lengths are added up while the tree grows, always to the safe side, and the request is closed
 * before the point that would not fit.
 */

/* Tag and length of the messages around a part, and the fields of fixed size beside it: more than
 * they ever take. */
#define FRAME_BYTES 64u
/* Tag and length of a point alone: one byte, and at most five. */
#define POINT_FRAME_BYTES 6u

#define MS_NS 1000000u

struct build {
	struct tree tree;
	const struct export_batch *batch;
	uint64_t time_ns;
	size_t max_bytes, bytes;
	size_t points;
	bool full;
};

/* ---- points ---- */

#define POINT_ATTRIBUTES 6u

static struct attributes point_attributes(struct build *b, const struct metrics_instrument *in,
					  const struct metrics_labels *l)
{
	struct attributes a = {.list = tree_take(&b->tree, POINT_ATTRIBUTES * sizeof(*a.list))};
	if (!a.list)
		return a;
	if (in->bare)
		return a;
	if (in->tally_end) {
		const struct metrics_tally_labels *c = &metrics_tally_labels[l->tally];
		attributes_add_text(&b->tree, &a, "kind", c->kind);
		if (c->reason)
			attributes_add_text(&b->tree, &a, "reason", c->reason);
		return a;
	}
	if (l->overflow) {
		attributes_add_bool(&b->tree, &a, "otel.metric.overflow", true);
		return a;
	}
	/* Copied: points are handed out by value. */
	attributes_add_text(&b->tree, &a, "model", tree_text(&b->tree, l->call.model));
	attributes_add_text(&b->tree, &a, "provider", tree_text(&b->tree, l->call.provider));
	attributes_add_text(&b->tree, &a, "endpoint_type", call_endpoint_name(l->call.endpoint));
	attributes_add_bool(&b->tree, &a, "stream", l->call.stream);
	if (in->has_status)
		attributes_add_text(&b->tree, &a, "status",
				    l->error == CALL_OK ? "success" : "error");
	if (in->has_status && l->error != CALL_OK)
		attributes_add_text(&b->tree, &a, "error_type", call_error_name(l->error));
	return a;
}

static Otlp__NumberDataPoint *number_point(struct build *b, const struct metrics_instrument *in,
					   const struct metrics_point *p)
{
	Otlp__NumberDataPoint *to = tree_take(&b->tree, sizeof(*to));
	if (!to)
		return NULL;
	otlp__number_data_point__init(to);
	struct attributes a = point_attributes(b, in, &p->labels);
	to->attributes = a.list;
	to->n_attributes = a.count;
	to->start_time_unix_nano = p->start_ns;
	to->time_unix_nano = b->time_ns;
	to->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
	to->as_int = p->value;
	return to;
}

static Otlp__HistogramDataPoint *histogram_point(struct build *b,
						 const struct metrics_instrument *in,
						 const struct metrics_point *p)
{
	Otlp__HistogramDataPoint *to = tree_take(&b->tree, sizeof(*to));
	if (!to)
		return NULL;
	otlp__histogram_data_point__init(to);
	struct attributes a = point_attributes(b, in, &p->labels);
	to->attributes = a.list;
	to->n_attributes = a.count;
	to->start_time_unix_nano = p->start_ns;
	to->time_unix_nano = b->time_ns;
	to->count = p->count;
	to->has_sum_case = OTLP__HISTOGRAM_DATA_POINT__HAS_SUM_SUM;
	to->sum = p->sum;
	to->explicit_bounds = (double *)in->bounds;
	to->n_explicit_bounds = in->bound_count;
	to->bucket_counts = (uint64_t *)p->buckets;
	to->n_bucket_counts = in->bound_count + 1;
	if (p->count) {
		to->has_min_case = OTLP__HISTOGRAM_DATA_POINT__HAS_MIN_MIN;
		to->min = p->min;
		to->has_max_case = OTLP__HISTOGRAM_DATA_POINT__HAS_MAX_MAX;
		to->max = p->max;
	}
	return to;
}

/* Whether a further part fits. The first point always does: without it nothing would be sent. */
static bool fits(struct build *b, size_t bytes)
{
	if (b->points && b->bytes + bytes > b->max_bytes)
		b->full = true;
	else
		b->bytes += bytes;
	return !b->full;
}

/*
 * Appends points from *at on to `list`, which has room for all. Sum and Histogram differ only in the
 * type of their points, which protobuf-c knows as messages.
 */
static size_t add_points(struct build *b, const struct metrics_snapshot *s, enum metrics_id id,
			 size_t *at, ProtobufCMessage **list)
{
	const struct metrics_instrument *in = &metrics_instruments[id];
	size_t n = 0;
	for (; *at < metrics_snapshot_count(s, id) && !b->full && !b->tree.no_memory; (*at)++) {
		struct metrics_point p = metrics_snapshot_point(s, id, *at);
		ProtobufCMessage *m = in->kind == METRICS_HISTOGRAM
					      ? (ProtobufCMessage *)histogram_point(b, in, &p)
					      : (ProtobufCMessage *)number_point(b, in, &p);
		if (b->tree.no_memory ||
		    !fits(b, protobuf_c_message_get_packed_size(m) + POINT_FRAME_BYTES))
			break;
		list[n++] = m;
		b->points++;
	}
	return n;
}

/* ---- metrics, resources ---- */

static Otlp__Sum *sum_of(struct build *b, const struct metrics_snapshot *s, enum metrics_id id,
			 size_t *at)
{
	Otlp__Sum *sum = tree_take(&b->tree, sizeof(*sum));
	void *list = tree_take(&b->tree, (metrics_snapshot_count(s, id) - *at) * sizeof(void *));
	if (!sum || !list)
		return NULL;
	otlp__sum__init(sum);
	sum->aggregation_temporality = OTLP__TEMPORALITY__CUMULATIVE;
	sum->is_monotonic = metrics_instruments[id].kind == METRICS_COUNTER;
	sum->n_data_points = add_points(b, s, id, at, list);
	sum->data_points = list;
	return sum->n_data_points ? sum : NULL;
}

static Otlp__Histogram *histogram_of(struct build *b, const struct metrics_snapshot *s,
				     enum metrics_id id, size_t *at)
{
	Otlp__Histogram *h = tree_take(&b->tree, sizeof(*h));
	void *list = tree_take(&b->tree, (metrics_snapshot_count(s, id) - *at) * sizeof(void *));
	if (!h || !list)
		return NULL;
	otlp__histogram__init(h);
	h->aggregation_temporality = OTLP__TEMPORALITY__CUMULATIVE;
	h->n_data_points = add_points(b, s, id, at, list);
	h->data_points = list;
	return h->n_data_points ? h : NULL;
}

/* NULL if no point of it fits. */
static Otlp__Metric *metric_of(struct build *b, const struct metrics_snapshot *s,
			       enum metrics_id id, size_t *at)
{
	const struct metrics_instrument *in = &metrics_instruments[id];
	Otlp__Metric *m = tree_take(&b->tree, sizeof(*m));
	size_t head = strlen(in->name) + strlen(in->unit) + strlen(in->description) + FRAME_BYTES;
	if (!m || !fits(b, head))
		return NULL;
	otlp__metric__init(m);
	m->name = (char *)in->name;
	m->unit = (char *)in->unit;
	m->description = (char *)in->description;
	if (in->kind == METRICS_HISTOGRAM) {
		m->data_case = OTLP__METRIC__DATA_HISTOGRAM;
		m->histogram = histogram_of(b, s, id, at);
		return m->histogram ? m : NULL;
	}
	m->data_case = OTLP__METRIC__DATA_SUM;
	m->sum = sum_of(b, s, id, at);
	return m->sum ? m : NULL;
}

static Otlp__Resource *resource_of(struct build *b, const struct export_process *p)
{
	struct resource r;
	if (resource_init(&r, &p->process, p->instance_id) != 0) {
		b->tree.no_memory = true;
		return NULL;
	}
	Otlp__Resource *to = tree_take(&b->tree, sizeof(*to));
	struct attributes a = {.list = tree_take(&b->tree, r.count * sizeof(*a.list))};
	for (size_t i = 0; i < r.count && !b->tree.no_memory; i++) {
		const struct resource_attribute *from = &r.attributes[i];
		const char *key = tree_text(&b->tree, from->key);
		if (from->text)
			attributes_add_text(&b->tree, &a, key, tree_text(&b->tree, from->text));
		else
			attributes_add_number(&b->tree, &a, key, from->number);
	}
	resource_release(&r);
	if (b->tree.no_memory)
		return NULL;
	otlp__resource__init(to);
	to->attributes = a.list;
	to->n_attributes = a.count;
	return to;
}

static Otlp__ScopeMetrics *scope_of(struct build *b, const struct metrics_snapshot *s,
				    struct otlp_cursor *at)
{
	Otlp__ScopeMetrics *sm = tree_take(&b->tree, sizeof(*sm));
	Otlp__Scope *scope = tree_take(&b->tree, sizeof(*scope));
	Otlp__Metric **list = tree_take(&b->tree, METRICS_COUNT * sizeof(*list));
	if (b->tree.no_memory)
		return NULL;
	otlp__scope_metrics__init(sm);
	otlp__scope__init(scope);
	scope->name = (char *)"inferwire";
	scope->version = (char *)INFERWIRE_VERSION;
	sm->scope = scope;
	sm->metrics = list;
	while (at->metric < METRICS_COUNT && !b->full && !b->tree.no_memory) {
		enum metrics_id id = (enum metrics_id)at->metric;
		if (at->point < metrics_snapshot_count(s, id)) {
			Otlp__Metric *m = metric_of(b, s, id, &at->point);
			if (m)
				list[sm->n_metrics++] = m;
		} else {
			at->metric++;
			at->point = 0;
		}
	}
	return sm->n_metrics ? sm : NULL;
}

static bool has_points(const struct metrics_snapshot *s, const struct otlp_cursor *at)
{
	for (size_t id = at->metric, first = at->point; id < METRICS_COUNT; id++, first = 0)
		if (first < metrics_snapshot_count(s, (enum metrics_id)id))
			return true;
	return false;
}

/* NULL if no point of it fits. */
static Otlp__ResourceMetrics *process_of(struct build *b, const struct export_process *p,
					 struct otlp_cursor *at)
{
	Otlp__ResourceMetrics *rm = tree_take(&b->tree, sizeof(*rm));
	Otlp__ScopeMetrics **list = tree_take(&b->tree, sizeof(*list));
	Otlp__Resource *resource = resource_of(b, p);
	if (b->tree.no_memory ||
	    !fits(b, otlp__resource__get_packed_size(resource) + 2 * FRAME_BYTES))
		return NULL;
	otlp__resource_metrics__init(rm);
	rm->resource = resource;
	rm->scope_metrics = list;
	list[0] = scope_of(b, p->metrics, at);
	rm->n_scope_metrics = 1;
	return list[0] ? rm : NULL;
}

static void add_processes(struct build *b, Otlp__MetricsRequest *request, struct otlp_cursor *at)
{
	request->resource_metrics = tree_take(&b->tree, (b->batch->process_count + 1) *
								sizeof(*request->resource_metrics));
	while (at->process < b->batch->process_count && !b->full && !b->tree.no_memory) {
		const struct export_process *p = &b->batch->processes[at->process];
		if (p->metrics && has_points(p->metrics, at)) {
			Otlp__ResourceMetrics *rm = process_of(b, p, at);
			if (rm)
				request->resource_metrics[request->n_resource_metrics++] = rm;
		} else {
			*at = (struct otlp_cursor){.process = at->process + 1};
		}
	}
}

int otlp_next(const struct export_batch *batch, struct otlp_cursor *at, uint64_t time_ns,
	      size_t max_bytes, struct otlp_request *request)
{
	struct build b = {.batch = batch, .time_ns = time_ns, .max_bytes = max_bytes};
	struct otlp_cursor moved = *at;
	Otlp__MetricsRequest root = OTLP__METRICS_REQUEST__INIT;
	int result = 0;
	add_processes(&b, &root, &moved);
	if (b.tree.no_memory) {
		result = -ENOMEM;
	} else if (b.points) {
		size_t len = otlp__metrics_request__get_packed_size(&root);
		uint8_t *bytes = malloc(len);
		if (bytes)
			otlp__metrics_request__pack(&root, bytes);
		*request = (struct otlp_request){bytes, len, b.points};
		result = bytes ? 1 : -ENOMEM;
	}
	arena_release(&b.tree.arena);
	if (result >= 0)
		*at = moved;
	return result;
}

/* ---- time ---- */

static uint64_t latest_start(const struct metrics_snapshot *s)
{
	uint64_t latest = 0;
	for (size_t id = 0; id < METRICS_COUNT; id++)
		for (size_t n = 0; n < metrics_snapshot_count(s, (enum metrics_id)id); n++) {
			uint64_t start = metrics_snapshot_point(s, (enum metrics_id)id, n).start_ns;
			latest = start > latest ? start : latest;
		}
	return latest;
}

uint64_t otlp_time(const struct export_batch *b, uint64_t last_ns)
{
	uint64_t past = last_ns;
	for (size_t i = 0; i < b->process_count; i++) {
		uint64_t start =
			b->processes[i].metrics ? latest_start(b->processes[i].metrics) : 0;
		past = start > past ? start : past;
	}
	uint64_t least = (past / MS_NS + 1) * MS_NS;
	return b->time_ns > least ? b->time_ns : least;
}
