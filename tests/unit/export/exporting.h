/*
 * exporting.h - an exporter that sends to a script of answers (http_script.h): its configuration, the
 * batches that it is given, and what it has done.
 */
#ifndef TESTS_EXPORTING_H
#define TESTS_EXPORTING_H

#include "tests/unit/test.h"
#include "tests/unit/export/http_script.h"
#include "tests/unit/export/sample.h"

#include "agent/base/limits.h"
#include "agent/export/exporter.h"

#include "otlp.pb-c.h"

#define MS 1000000ull

static char url[64];

static inline struct config config_at(char *text, size_t room, unsigned port)
{
	snprintf(text, room, "http://127.0.0.1:%u/v1/metrics", port);
	return (struct config){
		.to_otlp = true,
		.metrics_url = text,
		.interval_ms = 60000,
		.export_timeout_ms = 30000,
		.request_timeout_ms = 10000,
	};
}

static inline struct config config_for(unsigned port)
{
	return config_at(url, sizeof(url), port);
}

/* One process with one call of each of `models`: six points a model. */
static inline struct export_batch *batch_of(uint32_t pid, unsigned models, bool last)
{
	struct export_batch *b = export_batch_new(1);
	struct metrics *m = metrics_new();
	sample_models(m, models);
	sample_process(b, 0, pid, m);
	b->processes[0].last = last;
	b->time_ns = clock_real_ns();
	return b;
}

static inline struct exporter_stats stats_of(struct exporter *e)
{
	struct exporter_stats s;
	exporter_stats(e, &s);
	return s;
}

/* Waits until so many points were exported or failed. */
static inline struct exporter_stats settled(struct exporter *e, uint64_t points)
{
	struct exporter_stats s = {0};
	for (unsigned i = 0; i < 4000; i++) {
		s = stats_of(e);
		if (s.exported_points + s.failed_points >= points)
			return s;
		usleep(5000);
	}
	fail_msg("not settled");
	return s;
}

/* The pids of the resources in a request, and their one time. */
static inline size_t pids_in(const struct http_request *r, int64_t *pids, size_t room,
			     uint64_t *time_ns)
{
	Otlp__MetricsRequest *m = otlp__metrics_request__unpack(NULL, r->body_len, r->body);
	assert_non_null(m);
	size_t n = m->n_resource_metrics;
	assert_true(n <= room);
	for (size_t i = 0; i < n; i++) {
		const Otlp__Resource *res = m->resource_metrics[i]->resource;
		for (size_t k = 0; k < res->n_attributes; k++)
			if (strcmp(res->attributes[k]->key, "process.pid") == 0)
				pids[i] = res->attributes[k]->value->int_value;
	}
	const Otlp__Metric *first = m->resource_metrics[0]->scope_metrics[0]->metrics[0];
	*time_ns = first->data_case == OTLP__METRIC__DATA_SUM
			   ? first->sum->data_points[0]->time_unix_nano
			   : first->histogram->data_points[0]->time_unix_nano;
	otlp__metrics_request__free_unpacked(m, NULL);
	return n;
}

/* Three processes with all the series they may have: two requests at least. */
static inline struct export_batch *large_batch(void)
{
	struct export_batch *b = export_batch_new(3);
	for (uint32_t i = 0; i < 3; i++) {
		struct metrics *m = metrics_new();
		sample_models(m, LIMIT_SERIES);
		sample_process(b, i, i + 1, m);
	}
	b->time_ns = clock_real_ns();
	return b;
}
#define LARGE_POINTS (3 * 6 * LIMIT_SERIES)

#endif
