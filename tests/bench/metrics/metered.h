/*
 * metered.h - a sink that counts calls in metrics, as the agent does.
 */
#ifndef BENCH_METERED_H
#define BENCH_METERED_H

#include "agent/call/call.h"
#include "agent/metrics/metrics.h"

static inline void metered_started(void *user, const struct call *c)
{
	metrics_call_started(user, c, 1);
}

static inline void metered_first_token(void *user, const struct call *c)
{
	metrics_call_first_token(user, c, 1);
}

static inline void metered_ended(void *user, const struct call *c)
{
	metrics_call_ended(user, c, 1);
}

static inline void metered_lost(void *user, const struct call *c)
{
	metrics_call_lost(user, c, 1);
}

static inline struct call_sink metered_sink(struct metrics *m)
{
	return (struct call_sink){.started = metered_started,
				  .first_token = metered_first_token,
				  .ended = metered_ended,
				  .lost = metered_lost,
				  .user = m};
}

#endif
