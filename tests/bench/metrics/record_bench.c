/*
 * What a call costs the metrics: nanoseconds of each moment that is recorded, over a number of
 * attribute sets that are in use.
 */
#include "tests/bench/stopwatch.h"

#include "agent/metrics/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#define CALLS 1000000u

static struct call call_of(unsigned model)
{
	struct call c = {
		.labels = {.provider = "vllm", .endpoint = CALL_CHAT_COMPLETION, .stream = true},
		.arrived_ns = 1000000,
		.received_ns = 2000000,
		.first_token_ns = 50000000 + model * 1000003u,
		.last_token_ns = 900000000 + model * 10000019u,
		.ended_ns = 1000000000 + model * 10000019u,
		.token_source = CALL_TOKENS_USAGE,
		.has_output_tokens = true,
		.output_tokens = 100 + model,
	};
	snprintf(c.labels.model, sizeof(c.labels.model), "meta-llama/Llama-3.1-8B-Instruct-%u",
		 model);
	c.started = c.labels;
	return c;
}

/* Records of one call: started 1, first_token 1, ended 5 (down, total, two durations, rate). */
static void measure(unsigned models)
{
	struct metrics *m = metrics_new();
	struct call *calls = calloc(models, sizeof(*calls));
	if (!m || !calls)
		exit(1);
	for (unsigned i = 0; i < models; i++)
		calls[i] = call_of(i);
	double from = now_ns();
	for (unsigned i = 0; i < CALLS; i++) {
		const struct call *c = &calls[i * 7919u % models];
		metrics_call_started(m, c, 1);
		metrics_call_first_token(m, c, 1);
		metrics_call_ended(m, c, 1);
	}
	double per_call = (now_ns() - from) / CALLS;
	printf("metrics/record  %5u models  %6.1f ns a call  %5.1f ns a record\n", models, per_call,
	       per_call / 7);
	free(calls);
	metrics_free(m);
}

int main(void)
{
	measure(1);
	measure(20);
	measure(1000);
	return 0;
}
