/*
 * counter.h - the processor's counter turned into CLOCK_MONOTONIC (shim/wire.h tells why).
 *
 * Both are read together every few milliseconds, and a counter is placed on the line between the two
 * readings that it lies between. So a clock that is steered (NTP) is followed, the error does not add up
 * over time, and a time is never later than the last reading. One thread.
 *
 * How far a time may be off: by what the readings at the two ends of its line are, and by what the clock
 * was steered in the middle of it.
 *
 *   - A reading is the counter between two looks at the clock, and off by half of what lies between those
 *     at most: some 50 ns. Where somebody came between in each of the attempts (a preemption, a stolen
 *     processor), it is placed where the rate says, and never outside of the narrowest.
 *   - A line is as long as the agent's turn is, 10 ms and more. If the rate changes by r within, a time on
 *     it is off by r / 4 of its length at most: NTP's 500 millionths make that 1.25 us in 10 ms, and some
 *     100 us of a second for which the agent was stopped.
 *
 * What the clock and the counter did apart from each other (a suspended machine) nobody can place better
 * than between the readings; it is noticed (`broken`).
 */
#ifndef INTAKE_COUNTER_H
#define INTAKE_COUNTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Both clocks at one moment. */
struct counter_pair {
	uint64_t counter;
	uint64_t mono_ns;
};

/* What was placed last in one sequence of records; zero before the first. */
struct counter_latest {
	struct counter_pair at;
	unsigned era;
};

/* The counter, read between two looks at the clock. */
struct counter_reading {
	uint64_t before_ns;
	uint64_t counter;
	uint64_t after_ns;
};
typedef struct counter_reading counter_read(void *user);

/* Neighbours in the history are this far apart at least; old ones some hundredths of their age. */
#define COUNTER_SPACING_NS 10000000u
#define COUNTER_PAIRS	   512u

struct counter_clock {
	counter_read *read;
	void *user;
	size_t count;
	struct counter_pair at[COUNTER_PAIRS]; /* both ascend; the last one is the newest reading */
	size_t piece;		  /* the last counter lay between this one and the next */
	struct counter_pair base; /* the oldest good reading: the rate is told since then */
	uint64_t base_off_ns, newest_off_ns; /* these readings, at most */
	uint64_t narrowest_ns;		     /* of all readings so far; 0 = there was none */
	double rate;			     /* nanoseconds a count; 0 = not known yet */
	unsigned era; /* how often the history began anew: counters of two eras do not compare */
	bool broken;  /* the two did not go together: neither do what is between the readings */
};

/* Reads twice, a moment apart; again while that tells no rate, a few times. */
void counter_start(struct counter_clock *c, counter_read *read, void *user);

/* Reads once more: in every turn of the agent. */
void counter_read_again(struct counter_clock *c);

/*
 * When the counter was at that. `made`: a pair of the process that read it, for what is older than the
 * history; it is not believed where it contradicts the rate. Within the sequence that `latest` belongs to
 * a later counter has no earlier time, whatever was read in between.
 */
uint64_t counter_to_mono(struct counter_clock *c, uint64_t counter, const struct counter_pair *made,
			 struct counter_latest *latest);

/* This machine's. Started when it is first asked for. */
struct counter_clock *counter_machine(void);
/* Whether the kernel keeps time by the counter; true where that cannot be read. Asked for again every
 * few seconds at most. */
bool counter_is_kernels(uint64_t now_ns);

#endif
