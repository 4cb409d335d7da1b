/*
 * steered_clock.h - a counter and a clock that is steered, stopped and set back, and the agent's reading of both.
 */
#ifndef TESTS_STEERED_CLOCK_H
#define TESTS_STEERED_CLOCK_H

#include "tests/unit/test.h"

#include "agent/intake/counter.h"

#define US     1000ull
#define MS     1000000ull
#define SECOND 1000000000ull
#define HOUR   (3600 * SECOND)

/* What the readings give: the counter runs evenly at 3 GHz, the clock as it is steered. */
struct world {
	uint64_t counter;
	double mono_ns;
	double steered; /* nanoseconds a nanosecond */
	unsigned readings;
	/* Of the next ones: what passes before the counter is read and behind it, before the clock is. */
	uint64_t delay_before_ns, delay_behind_ns;
	unsigned delayed; /* so many are; then they are as quick as usual */
};

static inline void pass(struct world *w, uint64_t ns)
{
	w->counter += ns * 3;
	w->mono_ns += (double)ns * w->steered;
}

static inline struct counter_reading world_read(void *user)
{
	struct world *w = user;
	bool slow = w->delayed > 0;
	struct counter_reading r = {.before_ns = (uint64_t)w->mono_ns};
	w->readings++;
	w->delayed -= slow;
	pass(w, slow ? w->delay_before_ns : 0);
	r.counter = w->counter;
	pass(w, slow ? w->delay_behind_ns : 0);
	r.after_ns = (uint64_t)w->mono_ns;
	return r;
}

/* As world_read, and the first two readings lie apart. */
static inline struct counter_reading world_start(void *user)
{
	struct counter_reading r = world_read(user);
	pass(user, 5 * MS);
	return r;
}

static const struct counter_pair no_pair = {0, 0};

struct fixture {
	struct counter_clock clock;
	struct world world;
	struct counter_latest latest;
};

static inline uint64_t placed(struct fixture *f, uint64_t counter, const struct counter_pair *made)
{
	return counter_to_mono(&f->clock, counter, made, &f->latest);
}

static inline int steered_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->world = (struct world){.counter = 900 * SECOND, .mono_ns = 77e9, .steered = 1};
	counter_start(&f->clock, world_start, &f->world);
	f->clock.read = world_read;
	*state = f;
	return 0;
}

static inline int steered_teardown(void **state)
{
	free(*state);
	return 0;
}

static inline uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* Turns of the agent, a record in the middle of each; the worst that one was placed wrong. */
static inline uint64_t turns(struct fixture *f, uint64_t every_ns, uint64_t for_ns)
{
	uint64_t worst = 0;
	for (uint64_t t = 0; t < for_ns; t += every_ns) {
		pass(&f->world, every_ns / 2);
		uint64_t counter = f->world.counter, mono_ns = (uint64_t)f->world.mono_ns;
		pass(&f->world, every_ns - every_ns / 2);
		counter_read_again(&f->clock);
		uint64_t off = distance(placed(f, counter, &no_pair), mono_ns);
		worst = off > worst ? off : worst;
	}
	return worst;
}

/* Before the counter is read, behind it, or both: what a preemption at the worst places makes of it. */
struct delay {
	uint64_t before_ns, behind_ns;
};

static inline void delay(struct fixture *f, unsigned readings, const struct delay *d)
{
	f->world.delayed = readings;
	f->world.delay_before_ns = d->before_ns;
	f->world.delay_behind_ns = d->behind_ns;
}

#endif
