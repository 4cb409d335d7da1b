/*
 * step.h - what one call of a pull parser gives.
 *
 * Parsers take borrowed input and give at most one event a call. They resume on any byte, do no
 * I/O and read no clock. The caller calls again with what is left of the input until it gets MORE.
 */
#ifndef BASE_STEP_H
#define BASE_STEP_H

enum step {
	STEP_EVENT, /* the event is filled; call again, also when the input is empty now */
	STEP_MORE,  /* the input is used up; no event */
	STEP_BAD,   /* not what it should be; the parser says so at every further call */
};

#endif
