#include "agent/body/json_tree.h"

#include <stdlib.h>

uint16_t json_tree_child(const struct json_tree *t, uint16_t node, struct span key)
{
	for (uint16_t c = t->nodes[node].first_child; c; c = t->nodes[c].next_sibling) {
		const struct json_node *n = &t->nodes[c];
		if (n->key_len == key.len && memcmp(n->key, key.at, key.len) == 0)
			return c;
	}
	return 0;
}

static uint16_t add_node(struct json_tree *t)
{
	t->nodes[t->count] = (struct json_node){0};
	return (uint16_t)t->count++;
}

/* The child of `node` for one word of a path, which may end in "[]" any number of times. */
static uint16_t add_word(struct json_tree *t, uint16_t node, struct span word)
{
	size_t elements = 0;
	while (span_ends(word, "[]")) {
		word.len -= 2;
		elements++;
	}
	if (word.len > JSON_KEY_BYTES)
		return 0;
	if (word.len) {
		uint16_t child = json_tree_child(t, node, word);
		if (!child) {
			child = add_node(t);
			struct json_node *n = &t->nodes[child];
			memcpy(n->key, word.at, word.len);
			n->key_len = (uint8_t)word.len;
			n->next_sibling = t->nodes[node].first_child;
			t->nodes[node].first_child = child;
		}
		node = child;
	}
	for (; elements; elements--) {
		if (!t->nodes[node].element)
			t->nodes[node].element = add_node(t);
		node = t->nodes[node].element;
	}
	return node;
}

static bool add_path(struct json_tree *t, const struct json_want *want)
{
	struct span rest = span_str(want->path);
	uint16_t node = 0;
	size_t levels = 0;
	while (rest.len) {
		const uint8_t *dot = memchr(rest.at, '.', rest.len);
		struct span word = span_take(&rest, dot ? (size_t)(dot - rest.at) : rest.len);
		if (dot)
			span_skip(&rest, 1);
		for (struct span w = word; span_ends(w, "[]"); w.len -= 2)
			levels++;
		node = add_word(t, node, word);
		if (!node || ++levels >= JSON_PATH_LEVELS)
			return false;
	}
	t->nodes[node].id = want->id;
	return node != 0;
}

struct json_tree *json_tree_new(const struct json_want *wants, size_t count)
{
	size_t room = 1;
	for (size_t i = 0; i < count; i++) {
		for (const char *p = wants[i].path; *p; p++)
			room += *p == '.' || *p == '[';
		room++;
	}
	struct json_tree *t =
		room <= UINT16_MAX ? calloc(1, sizeof(*t) + room * sizeof(t->nodes[0])) : NULL;
	if (!t)
		return NULL;
	add_node(t);
	for (size_t i = 0; i < count; i++) {
		if (!add_path(t, &wants[i])) {
			free(t);
			return NULL;
		}
	}
	return t;
}

void json_tree_free(struct json_tree *t)
{
	free(t);
}
