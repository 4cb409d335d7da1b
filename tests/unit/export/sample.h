/*
 * sample.h - calls, metrics and batches to export.
 */
#ifndef TESTS_EXPORT_SAMPLE_H
#define TESTS_EXPORT_SAMPLE_H

#include "agent/export/exporter.h"

#include <stdio.h>
#include <string.h>

#define SAMPLE_NOW 1700000000000000000ull

/* A good streaming chat of 1 s. */
static inline struct call sample_call(const char *model)
{
	struct call c = {
		.labels = {.provider = "vllm", .endpoint = CALL_CHAT_COMPLETION, .stream = true},
		.arrived_ns = 1000000000,
		.received_ns = 1050000000,
		.first_token_ns = 1100000000,
		.last_token_ns = 1550000000,
		.ended_ns = 2000000000,
		.http_status = 200,
		.token_source = CALL_TOKENS_USAGE,
		.has_output_tokens = true,
		.output_tokens = 50,
	};
	snprintf(c.labels.model, sizeof(c.labels.model), "%s", model);
	c.started = c.labels;
	return c;
}

static inline void sample_run(struct metrics *m, const struct call *c)
{
	metrics_call_started(m, c, SAMPLE_NOW);
	metrics_call_first_token(m, c, SAMPLE_NOW);
	metrics_call_ended(m, c, SAMPLE_NOW);
}

/* One call each of `count` models: six points a model. */
static inline void sample_models(struct metrics *m, unsigned count)
{
	for (unsigned n = 0; n < count; n++) {
		char model[32];
		snprintf(model, sizeof(model), "model-%u", n);
		struct call c = sample_call(model);
		sample_run(m, &c);
	}
}

/* Fills a batch's process; frees `m`. */
static inline void sample_process(struct export_batch *b, size_t i, uint32_t pid, struct metrics *m)
{
	struct export_process *p = &b->processes[i];
	p->process.pid = pid;
	snprintf(p->process.program, sizeof(p->process.program), "server");
	snprintf(p->instance_id, sizeof(p->instance_id), "instance-%u", (unsigned)pid);
	p->metrics = metrics_snapshot(m);
	metrics_free(m);
}

#endif
