/*
 * agent_start.h - the agent as a child of this command: asked whether it accepts the configuration, or
 * started for a directory that has none.
 */
#ifndef TOOLS_AGENT_START_H
#define TOOLS_AGENT_START_H

#include <sys/types.h>

/*
 * Runs `inferwire-agent --check-config`, at most a few seconds; its complaints go to our stderr. 0 if it
 * accepts the configuration (or could not say in time), -1 if not.
 */
int agent_check_config(const char *agent);

/* Starts it as the shim does: a session of its own, no descriptor of ours, no preloads. Its pid, or a
 * negative errno. It ends at once by itself if another agent has the directory. */
pid_t agent_start(const char *agent);

#endif
