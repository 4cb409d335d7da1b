/*
 * call_line.h - a finished call as a line of JSON.
 */
#ifndef EXPORT_CALL_LINE_H
#define EXPORT_CALL_LINE_H

#include "agent/call/call.h"

/* With its newline, for free(); NULL without memory. ended_real_ns: CLOCK_REALTIME of its end. */
char *call_line(const struct call *c, uint32_t pid, const char *program, uint64_t ended_real_ns);

#endif
