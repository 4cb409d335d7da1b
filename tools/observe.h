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

enum observe_reason {
	OBSERVE_FINE,
	OBSERVE_MACHINE, /* of another architecture or class than the library */
	OBSERVE_GO,
	OBSERVE_STATIC,
	OBSERVE_SECURE,	 /* setuid, setgid, file capabilities: secure execution */
	OBSERVE_LOST,	 /* what a script or env(1) wants to start is not there */
	OBSERVE_DAMAGED, /* begins as an ELF file and is none */
	OBSERVE_UNKNOWN, /* neither: what starts it (binfmt_misc) is not known. No obstacle is told */
};

struct observe {
	char command[PLACES_PATH_BYTES]; /* the file of the command itself; empty if `error` */
	int error;			 /* ENOENT, EACCES: it cannot be started; 0 else */
	/* The program that is started for it in the end; what the verdict is about. */
	char program[PLACES_PATH_BYTES];
	/* The script that it is started for; empty: none. Else its arguments are `arguments`: the end
	 * of the command's own, borrowed. */
	char script[PLACES_PATH_BYTES];
	char *const *arguments;
	bool is_elf; /* `facts` are the program's; else it could not be followed to the end */
	struct elf_facts facts;
	enum observe_reason reason;
	/* Empty, or why it cannot be watched and what to do about it; one line. */
	char obstacle[512];
	/* Empty, or what of it cannot be seen although it is watched; one line. Only what is cheap to
	 * know is in it (check.h knows more). */
	char limit[512];
};

/* `library` are the facts of the library that is to be preloaded. Never fails: in doubt there is no
 * obstacle. */
void observe_command(char *const *argv, const struct elf_facts *library, struct observe *o);

/* The same of a program that runs: its file is read at `path` and called `name`. Command, script and
 * arguments are empty, and secure execution is not judged. */
void observe_program(const char *path, const char *name, const struct elf_facts *library,
		     struct observe *o);

/* The last part of a path. */
const char *observe_basename(const char *path);

#endif
