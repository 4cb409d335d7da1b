/*
 * json_number.h - the grammar of a JSON number, a byte at a time: inside the JSON scanner only.
 */
#ifndef BODY_JSON_NUMBER_H
#define BODY_JSON_NUMBER_H

#include "agent/base/span.h"

/* What was read of a number: nothing, "-", "0", "12", "12.", "12.5", "12e", "12e+", "12e+3". */
enum json_number {
	NUM_NONE,
	NUM_MINUS,
	NUM_ZERO,
	NUM_INT,
	NUM_DOT,
	NUM_FRAC,
	NUM_E,
	NUM_E_SIGN,
	NUM_EXP,
};

/* How far a number that is in *state goes on; *state follows it. */
size_t json_number_bytes(uint8_t *state, struct span in);

/* Whether a number may end in this state. */
bool json_number_complete(uint8_t state);

#endif
