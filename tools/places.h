/*
 * places.h - where the parts of this installation are.
 *
 * Seen from this very program: a build has everything in one folder; an installation has bin/ and
 * lib/ side by side. INFERWIRE_LIBRARY names the library when it is elsewhere; the agent is then
 * looked for beside that library as well.
 */
#ifndef TOOLS_PLACES_H
#define TOOLS_PLACES_H

#include <stddef.h>

#define PLACES_PATH_BYTES 4096

struct places {
	char self[PLACES_PATH_BYTES];
	char library[PLACES_PATH_BYTES]; /* libinferwire.so; the first place if there is none */
	char agent[PLACES_PATH_BYTES];	 /* inferwire-agent; empty if there is none */
};

void places_find(struct places *p);

/*
 * Whether the library can be preloaded into programs of this machine. 0, or -1 with one line in
 * `error` that says what is wrong and what to do.
 */
int places_check_library(const struct places *p, char *error, size_t room);

#endif
