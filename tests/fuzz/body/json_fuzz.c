/*
 * Any bytes, in pieces of any size: the events and the verdict are those of the whole, texts keep
 * their limit, containers open and close in pairs, and a failed document stays one. The first two
 * bytes say how the rest is cut.
 */
#include "tests/fuzz/cut.h"

#include "agent/body/json.h"

static const struct json_want wants[] = {
	{"a", 1},	{"a.b", 2},    {"a[]", 3},	 {"a[].b", 4},
	{"[]", 5},	{"[].a", 6},   {"b[][].a.b", 7}, {"model", 8},
	{"usage.n", 9}, {"error", 10}, {"error.a", 11},	 {"choices[].delta.content", 12},
};

struct seen {
	size_t events;
	int64_t open;
	uint64_t hash;
	bool bad, done;
};

static struct json *scanner;

static void see(struct seen *s, const struct json_event *ev)
{
	bool container = ev->type == JSON_OBJECT || ev->type == JSON_ARRAY;
	uint8_t kind[] = {(uint8_t)ev->id, (uint8_t)ev->type, ev->closes, ev->empty, ev->cut};
	uint64_t number;
	s->events++;
	must(!s->bad, "an event behind the failure");
	must(ev->id >= 1 && ev->id <= sizeof(wants) / sizeof(wants[0]), "an id of nobody");
	must(ev->text.len <= LIMIT_JSON_TEXT_BYTES, "a long text");
	must(!ev->text.len || ev->type == JSON_STRING || ev->type == JSON_NUMBER, "an odd text");
	must(!ev->cut || ev->text.len > LIMIT_JSON_TEXT_BYTES - 4, "cut for nothing");
	must(!ev->empty || !ev->text.len, "empty with text");
	s->open += container ? (ev->closes ? -1 : 1) : 0;
	must(s->open >= 0, "closed more than opened");
	sum_add(&s->hash, span_of(kind, sizeof(kind)));
	sum_add(&s->hash, ev->text);
	if (json_whole(ev->text, &number))
		must(number <= 1ull << 53, "a number that is too large");
}

static struct seen run(struct cut pieces)
{
	struct seen seen = {.hash = SUM_BEGIN};
	struct json_event ev;
	enum step got;
	json_reset(scanner);
	struct span piece;
	while (cut_next(&pieces, &piece)) {
		while ((got = json_next(scanner, &piece, &ev)) == STEP_EVENT)
			see(&seen, &ev);
		must(got == STEP_BAD || piece.len == 0, "input left");
		must(got == STEP_BAD || !seen.bad, "a failure that was forgotten");
		seen.bad = got == STEP_BAD;
	}
	seen.done = json_done(scanner);
	must(!seen.done || (!seen.bad && !seen.open), "whole, and yet not");
	return seen;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	struct json_tree *tree = json_tree_new(wants, sizeof(wants) / sizeof(wants[0]));
	scanner = tree ? json_new(tree) : NULL; /* both live as long as the process */
	must(scanner != NULL, "no memory");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cut in, pieces;
	if (!cut_as_told(data, size, &in, &pieces))
		return 0;
	struct seen whole = run(in), cut = run(pieces);
	must(whole.hash == cut.hash && whole.events == cut.events && whole.bad == cut.bad &&
		     whole.done == cut.done && whole.open == cut.open,
	     "pieces differ from the whole");
	return 0;
}
