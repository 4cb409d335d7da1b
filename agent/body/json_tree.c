#include "agent/body/json_tree.h"

#include <stdlib.h>

static uint16_t add_node(struct json_tree *t)
{
	return (uint16_t)t->count++;
}

static uint16_t add_key(struct json_tree *t, uint16_t node, struct span key)
{
	uint16_t child = json_tree_child(t, node, key);
	if (child)
		return child;
	size_t slot = json_key_slot(key);
	child = add_node(t);
	struct json_node *parent = &t->nodes[node], *n = &t->nodes[child];
	memcpy(n->key, key.at, key.len);
	n->key_len = (uint8_t)key.len;
	n->next = parent->child[slot];
	parent->child[slot] = child;
	return child;
}

static uint16_t add_element(struct json_tree *t, uint16_t node)
{
	if (!t->nodes[node].element)
		t->nodes[node].element = add_node(t);
	return t->nodes[node].element;
}

/* Takes the next step of a path from *path: a key, or "[]". False at anything else. */
static bool take_step(struct span *path, struct span *key)
{
	if (span_starts(*path, "[]")) {
		*key = span_of(NULL, 0);
		span_skip(path, 2);
	} else {
		size_t n = 0;
		while (n < path->len && path->at[n] != '.' && path->at[n] != '[')
			n++;
		*key = span_take(path, n);
		if (n == 0 || n > JSON_KEY_BYTES)
			return false;
	}
	if (path->len && path->at[0] == '.') {
		span_skip(path, 1);
		return path->len && path->at[0] != '[';
	}
	return !path->len || path->at[0] == '[';
}

static bool add_path(struct json_tree *t, const struct json_want *want)
{
	struct span rest = span_str(want->path), key;
	uint16_t node = JSON_DOCUMENT;
	for (size_t levels = 1; rest.len; levels++) {
		if (levels == JSON_PATH_LEVELS || !take_step(&rest, &key))
			return false;
		node = key.len ? add_key(t, node, key) : add_element(t, node);
	}
	bool fresh = node != JSON_DOCUMENT && !t->nodes[node].id;
	t->nodes[node].id = want->id;
	return fresh && want->id;
}

struct json_tree *json_tree_new(const struct json_want *wants, size_t count)
{
	size_t room = 2;
	for (size_t i = 0; i < count; i++) {
		for (const char *p = wants[i].path; *p; p++)
			room += *p == '.' || *p == '[';
		room++;
	}
	struct json_tree *t =
		room <= UINT16_MAX ? calloc(1, sizeof(*t) + room * sizeof(t->nodes[0])) : NULL;
	if (!t)
		return NULL;
	t->count = 2;
	for (size_t i = 0; i < count; i++) {
		if (!add_path(t, &wants[i])) {
			json_tree_free(t);
			return NULL;
		}
	}
	return t;
}

void json_tree_free(struct json_tree *t)
{
	free(t);
}
