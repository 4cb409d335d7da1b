/*
 * json_tree.h - the wanted paths, compiled: inside the JSON scanner only.
 *
 * A node is a place in a document; its children are the keys (or the "any element") that lead on to
 * something wanted. Nodes lie in one array. Two are always there: node 0 is every place that leads to
 * nothing wanted, and leads to itself; node 1 is the document.
 */
#ifndef BODY_JSON_TREE_H
#define BODY_JSON_TREE_H

#include "agent/body/json.h"

#define JSON_KEY_BYTES	 40u /* the longest wanted key; a longer one in a document is not wanted */
#define JSON_PATH_LEVELS 16u /* containers around a wanted value, the document with them */

enum json_place { JSON_NOWHERE = 0, JSON_DOCUMENT = 1 };

#define JSON_KEY_SLOTS 64u

struct json_node {
	uint16_t child[JSON_KEY_SLOTS]; /* the first of those whose keys have this hash */
	uint16_t next;			/* the next with that hash */
	uint16_t id;			/* wanted: the event's id; 0 = only leads on */
	uint16_t element;		/* the child for any element of an array */
	uint8_t key_len;
	char key[JSON_KEY_BYTES];
};

struct json_tree {
	size_t count;
	struct json_node nodes[];
};

static inline size_t json_key_slot(struct span key)
{
	size_t h = key.len;
	if (key.len)
		h += 5u * key.at[0] + 3u * key.at[key.len - 1] + key.at[key.len / 2];
	return h % JSON_KEY_SLOTS;
}

/* The child for a key. */
static inline uint16_t json_tree_child(const struct json_tree *t, uint16_t node, struct span key)
{
	uint16_t c = t->nodes[node].child[json_key_slot(key)];
	for (; c; c = t->nodes[c].next) {
		const struct json_node *n = &t->nodes[c];
		if (n->key_len == key.len && memcmp(n->key, key.at, key.len) == 0)
			break;
	}
	return c;
}

#endif
