/*
 * watched.h - a watch of a ring of made_ring.h, and its metrics. The module is no part of a stage's archive: it
 * is included here.
 */
#ifndef TESTS_WATCHED_H
#define TESTS_WATCHED_H

#include "tests/unit/agent/exchange.h"
#include "tests/unit/intake/live_process.h"

#include "agent/report.c"
#include "agent/watch.c"

#define LANES	   2u
#define LANE_BYTES WIRE_LANE_BYTES_MIN

struct fixture {
	struct made_ring m;
	struct directory dir;
	struct watch *watch;
	pid_t server;
};

static inline int watched_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	made_directory(&f->m);
	f->server = start_sleeper("server");
	made_ring_file(&f->m, "1-2-0.ring", (uint32_t)f->server, ticks_of(f->server), LANES,
		       LANE_BYTES);
	f->dir.fd = f->m.dir_fd;
	f->watch = watch_new(&f->dir, f->m.name, NULL);
	assert_non_null(f->watch);
	*state = f;
	return 0;
}

static inline int watched_teardown(void **state)
{
	struct fixture *f = *state;
	watch_free(f->watch);
	end_child(&f->server);
	made_ring_remove(&f->m);
	free(f);
	return 0;
}

/* All there is, and a look at the whole ring. */
static inline void drain(struct fixture *f)
{
	f->watch->quiet_drains = QUIET_DRAINS;
	while (watch_drain(f->watch))
		;
}

/* The sum of a metric's points; those with `error` only, unless it is CALL_ERRORS. */
static inline int64_t sum_of(struct fixture *f, enum metrics_id id, enum call_error error)
{
	struct export_process e = {0};
	int64_t sum = 0;
	assert_true(watch_export(f->watch, &e, false));
	for (size_t i = 0; i < metrics_snapshot_count(e.metrics, id); i++) {
		struct metrics_point p = metrics_snapshot_point(e.metrics, id, i);
		if (error == CALL_ERRORS || p.labels.error == error)
			sum += metrics_instruments[id].kind == METRICS_HISTOGRAM ? (int64_t)p.count
										 : p.value;
	}
	metrics_snapshot_free(e.metrics);
	return sum;
}

static inline int64_t all_of(struct fixture *f, enum metrics_id id)
{
	return sum_of(f, id, CALL_ERRORS);
}

static inline int64_t connections(struct fixture *f, enum metrics_tally which)
{
	struct export_process e = {0};
	int64_t value = 0;
	assert_true(watch_export(f->watch, &e, false));
	for (size_t i = 0; i < metrics_snapshot_count(e.metrics, METRICS_CONNECTIONS); i++) {
		struct metrics_point p = metrics_snapshot_point(e.metrics, METRICS_CONNECTIONS, i);
		if (p.labels.tally == which)
			value = p.value;
	}
	metrics_snapshot_free(e.metrics);
	return value;
}

static inline void put_opaque(struct fixture *f, uint32_t fd, uint16_t why)
{
	const struct ring_note note = {
		.type = WIRE_OPAQUE, .info = why, .fd = fd, .generation = 1, .time = 1};
	ring_put_control(&f->m.producer, &note);
}

#endif
