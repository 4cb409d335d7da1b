/*
 * counter.h - the processor's counter turned into CLOCK_MONOTONIC (shim/wire.h tells why).
 *
 * Both are read together every few milliseconds, and a counter is placed between the two readings that
 * it lies between. So a clock that is steered (NTP) is followed, the error does not add up over time,
 * and a time is never later than the last reading. One thread.
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

/* Reads both. */
typedef struct counter_pair counter_read(void *user);

/* Neighbours in the history are this far apart at least; old ones some hundredths of their age. */
#define COUNTER_SPACING_NS 10000000u
#define COUNTER_PAIRS	   512u

struct counter_clock {
	counter_read *read;
	void *user;
	size_t count;
	struct counter_pair at[COUNTER_PAIRS]; /* both ascend; the last one is the newest reading */
	size_t piece;		    /* the last counter lay between this one and the next */
	struct counter_pair latest; /* of what was converted */
	double rate; /* nanoseconds a count, over all of the history; 0 = not known yet */
	bool broken; /* the two did not go together: neither do what is between the readings */
};

/* Reads twice, a moment apart. */
void counter_start(struct counter_clock *c, counter_read *read, void *user);

/* Reads once more: in every turn of the agent. */
void counter_read_again(struct counter_clock *c);

/* When the counter was at that. `made`: a pair of the process that read it, for what is older than
 * the history; it is not believed where it contradicts the rate. */
uint64_t counter_to_mono(struct counter_clock *c, uint64_t counter,
			 const struct counter_pair *made);

/* This machine's. Started when it is first asked for. */
struct counter_clock *counter_machine(void);
/* Whether the kernel keeps time by the counter; true where that cannot be read. Asked for again every
 * few seconds at most. */
bool counter_is_kernels(uint64_t now_ns);

#endif
