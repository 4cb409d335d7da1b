/*
 * agent_start.h - starts the agent from inside the server, so that the server does not notice.
 */
#ifndef SHIM_AGENT_START_H
#define SHIM_AGENT_START_H

#pragma GCC visibility push(hidden) /* reached without the global offset table */

/* Starts inferwire-agent (found beside this object) for a ring directory, with the environment less what
 * is meant for the server's own loader, and with what is the agent's even if the server cleared it.
 * Returns when it is on its way or could not be started. Once at a time. */
void agent_start(char *const *environment, const char *directory);

#pragma GCC visibility pop

#endif
