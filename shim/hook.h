/*
 * hook.h - how a hook is written.
 *
 * Each asks: is the descriptor watched? No: jump to the real function. Yes: remember, call it, record
 * what it says it moved.
 *
 * The C names carry a prefix and the exported ones are given by asm labels: so no libc header's
 * prototype (fortified, transparent unions) stands in the way.
 *
 * Results and errno are the real function's: what runs after it makes no libc call but,
 * where the processor's counter is no clock, clock_gettime(CLOCK_MONOTONIC), which does not fail.
 */
#ifndef SHIM_HOOK_H
#define SHIM_HOOK_H

#include "shim/boot.h"
#include "shim/conn.h"
#include "shim/real.h"
#include "shim/stream.h"

#define HOOK(result, name, parameters)                                                             \
	__attribute__((visibility("default"))) result hook_##name parameters __asm__(#name);       \
	__attribute__((visibility("default"))) result hook_##name parameters

/* A hook that looks at `fd` only; the body that follows is for a watched one. That body is a function
 * of its own: its stack frame would otherwise be set up before the question is asked. */
#define HOOK_WATCHED(result, name, parameters, arguments)                                          \
	static __attribute__((noinline)) result watched_##name parameters;                         \
	HOOK(result, name, parameters)                                                             \
	{                                                                                          \
		if (!conn_watched(fd))                                                             \
			return shim_real.name arguments;                                           \
		return watched_##name arguments;                                                   \
	}                                                                                          \
	static result watched_##name parameters

#endif
