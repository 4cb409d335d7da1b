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

struct json_node {
	uint64_t keys;	       /* a bit for each child, by json_key_bit: most keys lead nowhere */
	uint16_t id;	       /* wanted: the event's id; 0 = only leads on */
	uint16_t first_child;  /* 0 = none */
	uint16_t next_sibling; /* 0 = none */
	uint16_t element;      /* the child for any element of an array */
	uint8_t key_len;
	char key[JSON_KEY_BYTES];
};

struct json_tree {
	size_t count;
	struct json_node nodes[];
};

static inline uint64_t json_key_bit(struct span key)
{
	size_t h = key.len;
	if (key.len)
		h += key.at[0] + 3u * key.at[key.len - 1];
	return (uint64_t)1 << (h % 64);
}

/* The child among those of `node` that json_tree_child did not rule out. */
uint16_t json_tree_search(const struct json_node *nodes, uint16_t node, struct span key);

/* The child for a key. */
static inline uint16_t json_tree_child(const struct json_tree *t, uint16_t node, struct span key)
{
	if (!(t->nodes[node].keys & json_key_bit(key)))
		return JSON_NOWHERE;
	return json_tree_search(t->nodes, node, key);
}

#endif
