/*
 * verify_process.h - the watched server of `inferwire verify`: this program, started anew.
 */
#ifndef TOOLS_VERIFY_PROCESS_H
#define TOOLS_VERIFY_PROCESS_H

#include "tools/places.h"

#include <stdbool.h>
#include <sys/types.h>

struct verify_process {
	pid_t pid;   /* 0: none */
	int port;    /* where it listens */
	int control; /* its standard input: closing it ends the server */
};

/* Starts it with the library preloaded and returns when it listens. `collector_port` is where its
 * agent is to export to; 0: the library is not enabled. Everything else that could be configured is unset. 0 or a negative
 * errno. */
int verify_process_start(struct verify_process *p, const struct places *places,
			 const char *directory, int collector_port);

/* Whether the library is mapped into it. */
bool verify_process_has_loaded(const struct verify_process *p, const char *library);

/* Ends it and waits. */
void verify_process_stop(struct verify_process *p);

#endif
