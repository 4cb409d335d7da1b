#include "agent/export/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (64u * 1024)

struct arena_chunk {
	struct arena_chunk *older;
	size_t used, room;
	alignas(max_align_t) unsigned char bytes[];
};

static struct arena_chunk *chunk_new(size_t room, struct arena_chunk *older)
{
	struct arena_chunk *c = calloc(1, sizeof(*c) + room);
	if (c) {
		c->room = room;
		c->older = older;
	}
	return c;
}

void *arena_take(struct arena *a, size_t bytes)
{
	size_t align = alignof(max_align_t);
	bytes = (bytes + align - 1) / align * align;
	if (!a->chunks || a->chunks->room - a->chunks->used < bytes) {
		struct arena_chunk *c =
			chunk_new(bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES, a->chunks);
		if (!c)
			return NULL;
		a->chunks = c;
	}
	void *at = a->chunks->bytes + a->chunks->used;
	a->chunks->used += bytes;
	return at;
}

char *arena_text(struct arena *a, const char *text)
{
	size_t room = strlen(text) + 1;
	char *copy = arena_take(a, room);
	if (copy)
		memcpy(copy, text, room);
	return copy;
}

void arena_release(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *older = a->chunks->older;
		free(a->chunks);
		a->chunks = older;
	}
}
