/*
 * arena.h - memory that is all given back at once: the tree of a message while it is encoded.
 */
#ifndef EXPORT_ARENA_H
#define EXPORT_ARENA_H

#include <stddef.h>

struct arena_chunk;

/* A zeroed struct is an empty arena. */
struct arena {
	struct arena_chunk *chunks; /* the one that is filled, then older ones */
};

/* Zeroed, aligned for anything; NULL without memory. */
void *arena_take(struct arena *a, size_t bytes);
/* A copy of a string; NULL without memory. */
char *arena_text(struct arena *a, const char *text);
void arena_release(struct arena *a);

#endif
