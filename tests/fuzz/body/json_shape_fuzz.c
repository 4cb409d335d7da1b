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

static void read_both_ways(struct span document)
{
	size_t count, n = 0;
	const struct json_event *known = json_shapes_events(shapes, document, &count);
	struct span rest = document;
	struct json_event ev;
	enum step step;
	json_reset(scanner);
	while ((step = json_next(scanner, &rest, &ev)) == STEP_EVENT) {
		must(!known || n < count, "too few events");
		must(!known || same(&known[n], &ev), "another event");
		n++;
	}
	bool done = step == STEP_MORE && json_done(scanner);
	must(!known || (done && n == count), "no such document");
	if (!known && done)
		json_shapes_learn(shapes, document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!tree)
		tree = json_tree_new(wants, sizeof(wants) / sizeof(wants[0]));
	scanner = json_new(tree);
	shapes = json_shapes_new(tree, KEPT);
	must(scanner && shapes, "no memory");
	for (unsigned round = 0; round < 2; round++) {
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
