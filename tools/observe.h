/*
 * observe.h - can a command be watched by a preloaded library at all?
 *
 * Looks at the file that the kernel will really start: found on PATH as execvp(3) finds it, through
 * the interpreters of scripts and through env(1).
 */
#ifndef TOOLS_OBSERVE_H
#define TOOLS_OBSERVE_H

#include "tools/elf.h"
#include "tools/places.h"

struct observe {
	char command[PLACES_PATH_BYTES]; /* the file of the command itself; empty if `error` */
	int error;			 /* ENOENT, EACCES: it cannot be started; 0 else */
	/* The program that is started for it in the end; what the verdict is about. */
	char program[PLACES_PATH_BYTES];
	/* Empty, or why it cannot be watched and what to do about it; one line. */
	char obstacle[512];
};

/* `library` are the facts of the library that is to be preloaded. Never fails: in doubt there is no
 * obstacle. */
void observe_command(char *const *argv, const struct elf_facts *library, struct observe *o);

#endif
