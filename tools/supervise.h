/*
 * supervise.h - the command as our child, so that neither it nor whoever started us notices us between.
 */
#ifndef TOOLS_SUPERVISE_H
#define TOOLS_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>

struct supervise {
	char *const *argv;     /* the command */
	const char *directory; /* of rings; NULL: not watched, nothing to wait for */
	const char *agent;     /* started when rings are there and no agent is; NULL: never */
	uint32_t export_wait_ms;
};

/*
 * Starts the command, passes signals on, reaps, keeps an agent running, and after the command's end
 * waits until all its processes' rings are exported. Returns the command's wait status, or a
 * negative errno if it could not be executed. `left` is how many rings were still waiting when time was up.
 */
int supervise_run(const struct supervise *s, unsigned int *left);

/* Ends this process as `wait_status` says the command ended: the same exit status, or the same signal.
 * Does not return. */
_Noreturn void supervise_end_as(int wait_status);

#endif
