/*
 * sequences.h - an engine's own counts of the sequences of one answer: inside tokens.c only.
 *
 * An engine's field counts one sequence (a choice of n > 1, a prompt of a batch), and in a stream it
 * counts up. The answer's count is the sum of the last count of each.
 */
#ifndef CALL_SEQUENCES_H
#define CALL_SEQUENCES_H

#include <stdbool.h>
#include <stdint.h>

/* Answers of more sequences have no count. */
#define SEQUENCES_MAX 32u

struct sequences {
	uint32_t count;
	bool too_many;
	struct {
		uint32_t index;
		uint64_t output;
	} at[SEQUENCES_MAX];
};

/* Sets the count of a sequence. Returns whether it is more than it was. */
bool sequences_put(struct sequences *s, uint32_t index, uint64_t output);
/* The sum; false if there is none. */
bool sequences_sum(const struct sequences *s, uint64_t *sum);

#endif
