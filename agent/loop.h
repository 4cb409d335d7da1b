/*
 * loop.h - the agent's one draining thread: rings in, batches out, on time, until there is nothing
 * left to watch.
 */
#ifndef AGENT_LOOP_H
#define AGENT_LOOP_H

#include "agent/export/config.h"
#include "agent/intake/directory.h"

struct loop_options {
	/* Ends if no ring shows up in this time; 0 = waits for ever. */
	uint64_t patience_ns;
	/* A call log that cannot be opened (a server's user was changed) costs the call log only. */
	bool goes_on_without_log;
};

/*
 * Runs with the directory's lock held, and returns with it given up: when the last watched process has
 * ended and its last export is done, or on SIGTERM or SIGINT (then after a last export). SIGHUP opens
 * the call log anew. `signal_fd` is a signalfd for the three, which are blocked. 0 or -errno.
 */
int loop_run(struct directory *d, const struct config *config, const struct loop_options *options,
	     int signal_fd);

#endif
