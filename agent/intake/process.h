/*
 * process.h - what is known of a watched process: its ring header, validated and copied.
 */
#ifndef INTAKE_PROCESS_H
#define INTAKE_PROCESS_H

#include "shim/wire.h"
#include "agent/base/span.h"

struct process {
	uint32_t pid;
	uint64_t start_ticks;
	uint64_t pid_ns;
	uint32_t sequence;
	uint64_t made_mono_ns;
	uint64_t made_real_ns;
	/* NUL-terminated, valid UTF-8 not promised */
	char program[64];
	char provider[64];
	char endpoints[1024];
	char service_name[256];
	char resource_attributes[4096];
	char command_line[2048]; /* NUL-separated arguments */
	size_t command_line_len;
};

#endif
