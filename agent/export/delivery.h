/*
 * delivery.h - a batch on its way: the request that is being sent, what was sent before it, and how
 * long it may take. Used by the exporter's thread alone.
 */
#ifndef EXPORT_DELIVERY_H
#define EXPORT_DELIVERY_H

#include "agent/export/otlp.h"

/* A zeroed struct carries nothing. */
struct delivery {
	struct export_batch *batch; /* owned; NULL = none */
	const struct config *config;
	struct otlp_cursor next;     /* behind the request */
	struct otlp_request request; /* at = NULL: to be encoded */
	uint64_t time_ns;	     /* of all its points */
	size_t points_left;	     /* neither accepted nor refused yet */
	uint64_t batch_deadline_ns;  /* CLOCK_MONOTONIC; UINT64_MAX = none */
	uint64_t request_deadline_ns;
	bool failed; /* the request was tried in vain: a newer batch may take over */
};

/* Begins to carry `batch` (nothing is carried yet). last_time_ns: of the delivery before. */
void delivery_begin(struct delivery *d, const struct config *config, struct export_batch *batch,
		    uint64_t last_time_ns, uint64_t now_ns);
/* Sees to it that there is a request: 1, 0 when all were settled, or -ENOMEM. */
int delivery_ready(struct delivery *d, uint64_t now_ns);
/* The request was accepted or refused. */
void delivery_settle(struct delivery *d);
/* Nothing is carried any more; the batch is handed back. */
struct export_batch *delivery_end(struct delivery *d);

/* When an attempt that begins now must be over. */
uint64_t delivery_deadline_ns(const struct delivery *d);

#endif
