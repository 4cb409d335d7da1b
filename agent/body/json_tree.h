/*
 * json_tree.h - the wanted paths, compiled: inside the JSON scanner only.
 *
 * A node is a place in a document; its children are the keys (or the "any element") that lead on to
 * something wanted. Nodes lie in one array; node 0 is the document itself.
 */
#ifndef BODY_JSON_TREE_H
#define BODY_JSON_TREE_H

#include "agent/body/json.h"

#define JSON_KEY_BYTES 40u /* the longest wanted key; a longer key in a document is no wanted one */
#define JSON_PATH_LEVELS                                                                           \
	16u /* containers open on the way to anything wanted, the document with them */

struct json_node {
	uint16_t id;	       /* wanted: the event's id; 0 = only leads on */
	uint16_t first_child;  /* 0 = none */
	uint16_t next_sibling; /* 0 = none */
	uint16_t element;      /* the child for any element of an array; 0 = none */
	uint8_t key_len;
	char key[JSON_KEY_BYTES];
};

struct json_tree {
	size_t count;
	struct json_node nodes[];
};

/* The child for a key; 0 if nothing below it is wanted. */
uint16_t json_tree_child(const struct json_tree *t, uint16_t node, struct span key);

#endif
