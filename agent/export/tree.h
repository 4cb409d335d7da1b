/*
 * tree.h - the parts of a protobuf-c message, in an arena. For otlp.c.
 */
#ifndef EXPORT_TREE_H
#define EXPORT_TREE_H

#include "agent/export/arena.h"

#include "otlp.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

/* A zeroed struct is empty; arena_release(&t->arena) frees everything. */
struct tree {
	struct arena arena;
	bool no_memory; /* stays set: what was built is then thrown away as a whole */
};

/* Zeroed; NULL without memory. */
void *tree_take(struct tree *t, size_t bytes);
/* A copy of a string; NULL without memory. */
char *tree_text(struct tree *t, const char *text);

/* A list of attributes under construction, with room for all that will come. */
struct attributes {
	Otlp__KeyValue **list;
	size_t count;
};

/* Keys and texts are borrowed by the tree. */
void attributes_add_text(struct tree *t, struct attributes *a, const char *key, const char *text);
void attributes_add_bool(struct tree *t, struct attributes *a, const char *key, bool value);
void attributes_add_number(struct tree *t, struct attributes *a, const char *key, int64_t value);

#endif
