/*
 * cut_guard.h - lets a thread read a mapped file that others may cut meanwhile.
 *
 * Touching a page that a file no longer has is SIGBUS. Between enter and leave it is a jump back:
 *
 *	if (sigsetjmp(cut_guard_back, 0))
 *		... it was cut ...
 *	cut_guard_enter(map, bytes);
 *	... touch it ...
 *	cut_guard_leave();
 */
#ifndef INTAKE_CUT_GUARD_H
#define INTAKE_CUT_GUARD_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

extern _Thread_local sigjmp_buf cut_guard_back;
extern _Thread_local const uint8_t *volatile cut_guard_at; /* NULL = nothing is touched */
extern _Thread_local volatile size_t cut_guard_bytes;

/* Installs the handler. Once, before the first map. */
void cut_guard_setup(void);

/* The fences keep the compiler from moving an access out. */
static inline void cut_guard_enter(const uint8_t *map, size_t bytes)
{
	cut_guard_bytes = bytes;
	cut_guard_at = map;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void cut_guard_leave(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	cut_guard_at = NULL;
}

#endif
