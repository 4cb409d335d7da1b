#include "agent/export/delivery.h"

#include "agent/base/limits.h"
#include "agent/export/batch.h"
#include "agent/export/clock.h"
#include "agent/export/gzip.h"

#include <errno.h>
#include <stdlib.h>

/* 0 means no limit in OpenTelemetry's timeouts. */
static uint64_t deadline_after(uint64_t now_ns, uint32_t timeout_ms)
{
	return timeout_ms ? now_ns + (uint64_t)timeout_ms * CLOCK_MS_NS : UINT64_MAX;
}

void delivery_begin(struct delivery *d, const struct config *config, struct export_batch *batch,
		    uint64_t last_time_ns, uint64_t now_ns)
{
	*d = (struct delivery){
		.batch = batch,
		.config = config,
		.time_ns = otlp_time(batch, last_time_ns),
		.points_left = batch_points(batch),
		.batch_deadline_ns = deadline_after(now_ns, config->export_timeout_ms),
	};
}

static int compress(struct otlp_request *r)
{
	uint8_t *packed;
	size_t len = 0;
	int err = gzip_pack(span_of(r->at, r->len), &packed, &len);
	free(r->at);
	r->at = err ? NULL : packed;
	r->len = len;
	return err;
}

int delivery_ready(struct delivery *d, uint64_t now_ns)
{
	if (d->request.at)
		return 1;
	int got = otlp_next(d->batch, &d->next, d->time_ns, LIMIT_OTLP_REQUEST_BYTES, &d->request);
	if (got == 1 && d->config->gzip && compress(&d->request) != 0)
		got = -ENOMEM;
	if (got == 1)
		d->request_deadline_ns = deadline_after(now_ns, d->config->request_timeout_ms);
	return got;
}

void delivery_settle(struct delivery *d)
{
	d->points_left -= d->request.points;
	free(d->request.at);
	d->request = (struct otlp_request){0};
	d->failed = false;
}

struct export_batch *delivery_end(struct delivery *d)
{
	struct export_batch *b = d->batch;
	free(d->request.at);
	*d = (struct delivery){0};
	return b;
}

uint64_t delivery_deadline_ns(const struct delivery *d)
{
	return d->request_deadline_ns < d->batch_deadline_ns ? d->request_deadline_ns
							     : d->batch_deadline_ns;
}
