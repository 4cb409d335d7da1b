/*
 * settings.h - what the environment says, copied when the process starts.
 *
 * Copied, because programs overwrite the memory of their environment (setproctitle does, and vLLM
 * calls it before it listens).
 */
#ifndef SHIM_SETTINGS_H
#define SHIM_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden) /* reached without the global offset table */

struct settings {
	char directory
		[256];	   /* INFERWIRE_DIR, absolute; empty = the default for the effective uid */
	char provider[64]; /* INFERWIRE_PROVIDER */
	char endpoints[1024];		/* INFERWIRE_ENDPOINTS */
	char service_name[256];		/* OTEL_SERVICE_NAME */
	char resource_attributes[4096]; /* OTEL_RESOURCE_ATTRIBUTES */
	char program[64];		/* basename of the first argument */
	char command_line[2048];	/* arguments, each ended by a NUL; cut; ends in NUL NUL */
	char library[512];		/* absolute path of this object; empty if unknown */
	uint32_t lane_bytes;		/* INFERWIRE_RING_BYTES over the lanes, a power of two */
	bool agent_external;		/* INFERWIRE_AGENT=external: never start one */
	/* The variables that are the agent's, as they were at the start, each ended by a NUL; ends in NUL
	 * NUL. Servers clear their environment before they serve (nginx does in its workers). */
	char for_agent[16384];
};

extern struct settings settings;

/* Reads the environment. False: this process is not to be watched (then nothing was opened unless
 * INFERWIRE_ENABLED=1 and INFERWIRE_ONLY had to be compared with the command line). */
bool settings_read(char *const *environment);

/* The ring directory, and the one of a user whom the environment tells none; in a buffer of their own. */
const char *settings_directory(void);
const char *settings_default_directory(void);

#pragma GCC visibility pop

#endif
