/*
 * Documents, one a line: what a shape gives must be what the scanner gives. Each document is also read once
 * more after others taught shapes, so that near matches of each other meet.
 */
#include "tests/fuzz/cut.h"

#include "agent/body/json.h"
#include "agent/body/json_shape.h"

#define KEPT 5

static const struct json_want wants[] = {
	{"a", 1},     {"a.b", 2},     {"a[]", 3},
	{"[]", 4},    {"model", 5},   {"choices[].delta.content", 6},
	{"error", 7}, {"usage.n", 8}, {"b", 9},
};

static struct json *scanner;
static struct json_shapes *shapes;
static struct json_tree *tree;

static bool same(const struct json_event *a, const struct json_event *b)
{
	return a->id == b->id && a->type == b->type && a->closes == b->closes &&
	       a->empty == b->empty && a->cut == b->cut && a->text.len == b->text.len &&
	       (!a->text.len || memcmp(a->text.at, b->text.at, a->text.len) == 0);
}

/* Of the events that the shape does not leave open. */
static uint64_t hash_of(const struct json_known *k)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t n = 0, open = 0; n < k->count; n++) {
		const struct json_event *ev = &k->events[n];
		if (open < k->open_count && k->open[open] == n) {
			open++;
			continue;
		}
		h = (h ^ ev->id ^ ev->type * 256u ^ ev->empty * 4096u ^ ev->closes * 8192u) *
		    0x100000001b3u;
		for (size_t i = 0; i < ev->text.len; i++)
			h = (h ^ ev->text.at[i]) * 0x100000001b3u;
	}
	return h | 1;
}

static void read_both_ways(struct span document)
{
	size_t n = 0;
	struct json_known k;
	uint8_t place = (uint8_t)(document.len % 32); /* any may be told, and there are fewer */
	bool known = json_shapes_find(shapes, document, &place, &k) && k.len == document.len;
	if (known && k.note) {
		uint64_t *note = k.note, hash = hash_of(&k);
		must(!*note || *note == hash, "another document with the same note");
		*note = hash;
	}
	struct span rest = document;
	struct json_event ev;
	enum step step;
	json_reset(scanner);
	while ((step = json_next(scanner, &rest, &ev)) == STEP_EVENT) {
		must(!known || n < k.count, "too few events");
		must(!known || same(&k.events[n], &ev), "another event");
		n++;
	}
	bool done = step == STEP_MORE && json_done(scanner);
	must(!known || (done && n == k.count), "no such document");
	if (!known && done)
		json_shapes_learn(shapes, document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!tree)
		tree = json_tree_new(wants, sizeof(wants) / sizeof(wants[0]));
	scanner = json_new(tree);
	shapes = json_shapes_new(tree, KEPT, &(struct json_shapes_notes){.bytes = 8});
	must(scanner && shapes, "no memory");
	for (unsigned round = 0; round < 6; round++) {
		struct span all = span_of(data, size);
		while (all.len) {
			const uint8_t *lf = memchr(all.at, '\n', all.len);
			struct span line = span_take(&all, lf ? (size_t)(lf - all.at) : all.len);
			uint8_t *copy = cut_copy(line);
			read_both_ways(span_of(copy, line.len));
			free(copy);
			if (all.len)
				span_skip(&all, 1);
		}
	}
	json_shapes_free(shapes);
	json_free(scanner);
	return 0;
}
