/*
 * outcome.h - what an HTTP status says of a call.
 */
#ifndef CALL_OUTCOME_H
#define CALL_OUTCOME_H

#include "agent/call/call.h"

/* CALL_OK below 400. */
enum call_error outcome_of_status(unsigned status);

#endif
