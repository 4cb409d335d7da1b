/*
 * Documents that are like earlier ones: their events must be those of the scanner. Each document is read
 * both ways; one that no shape knows teaches one.
 */
#include "tests/unit/body/json_trace.h"

#include "agent/body/json_shape.h"

#define FIRST_KEPT 10

static const struct json_want wants[] = {
	{"choices[].delta.content", 1},
	{"choices[].delta", 2},
	{"choices[].text", 3},
	{"error", 4},
	{"a", 5},
	{"model", 10},
	{"usage.n", 11},
	{"usage", 12},
	{"choices[].finish", 13},
	{"b[]", 14},
};

/* What is the same in all documents that come with it. */
struct note {
	bool made;
	char events[2000];
};

static unsigned notes_made, notes_dropped;

static void drop_note(void *user, void *note)
{
	const struct note *n = note;
	assert_ptr_equal(user, &notes_dropped);
	notes_dropped += n->made;
}

static const struct json_shapes_notes notes = {sizeof(struct note), drop_note, &notes_dropped};

static struct json_tree *tree;
static struct json_shapes *shapes;
static size_t known;

static int set_up(void **state)
{
	(void)state;
	tree = json_tree_new(wants, sizeof(wants) / sizeof(wants[0]));
	json_traced = tree ? json_new(tree) : NULL;
	shapes = tree ? json_shapes_new(tree, FIRST_KEPT, &notes) : NULL;
	known = notes_made = notes_dropped = 0;
	return json_traced && shapes ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	json_shapes_free(shapes);
	json_free(json_traced);
	json_tree_free(tree);
	return notes_made == notes_dropped ? 0 : -1;
}

/* All events but the open ones are those of the note's first document, and the open ones not kept. */
static void check_note(const struct json_known *k)
{
	static struct trace rest;
	struct note *note = k->note;
	rest.len = 0;
	rest.text[0] = '\0';
	for (size_t n = 0, open = 0; n < k->count; n++) {
		bool is_open = open < k->open_count && k->open[open] == n;
		open += is_open;
		if (!is_open)
			json_trace_event(&rest, &k->events[n]);
	}
	assert_true(rest.len < sizeof(note->events));
	if (!note->made) {
		notes_made++;
		note->made = true;
		memcpy(note->events, rest.text, rest.len + 1);
	}
	assert_string_equal(note->events, rest.text);
}

/* Where a document is looked for first changes nothing of what is found. */
static uint8_t any_place;

/* Reads it both ways. Returns whether a shape knew it. */
static bool reads(struct span document)
{
	static struct trace scanned, by_shape;
	struct json_known k;
	pieces_run(&json_subject, document, document.len, document.len, &scanned);
	struct span at_edge = piece_at_edge(document);
	uint8_t place = any_place++;
	if (!json_shapes_find(shapes, at_edge, &place, &k) || k.len != at_edge.len) {
		json_trace_begin(&by_shape);
		json_trace_take(&by_shape, at_edge);
		if (json_done(json_traced))
			json_shapes_learn(shapes, at_edge);
		return false;
	}
	by_shape.len = 0;
	by_shape.text[0] = '\0';
	for (size_t n = 0; n < k.count; n++)
		json_trace_event(&by_shape, &k.events[n]);
	if (k.note)
		check_note(&k);
	trace_str(&by_shape, " whole");
	assert_string_equal(by_shape.text, scanned.text);
	known++;
	return true;
}

static void knows(const char *document)
{
	assert_true(reads(span_str(document)));
}

static void knows_not(const char *document)
{
	assert_false(reads(span_str(document)));
}

#define CHUNK(model, content, n)                                                                   \
	"{\"id\":\"c-1\",\"created\":17,\"model\":\"" model "\",\"choices\":[{\"index\":0,"        \
	"\"delta\":{\"content\":\"" content "\"},\"finish\":null}],\"usage\":{\"n\":" n "}}"

static void test_other_values(void **state)
{
	(void)state;
	knows_not(CHUNK("m", "Hello", "1"));
	knows(CHUNK("m", "Hello", "1"));
	knows(CHUNK("m", " world, and more than sixteen bytes of it", "12"));
	knows(CHUNK("m", "", "123456"));
	knows(CHUNK("m", "x", "0"));
	knows(CHUNK("", "x", "1.5e3"));
	knows(CHUNK("another-model", "\xf0\x9f\x98\x80", "-1"));
	knows(CHUNK("m", "Hello", "1"));
}

static void test_escapes(void **state)
{
	(void)state;
	knows_not(CHUNK("m", "Hello", "1"));
	knows(CHUNK("m", "\\n", "1"));
	knows(CHUNK("m", "say \\\"\\u00e9\\ud83d\\ude00\\\"", "1"));
	knows(CHUNK("m\\\\", "\\ud83d", "1"));
	knows(CHUNK("\\u006d", "plain", "1"));
	knows(CHUNK("m", "plain", "1"));
	knows_not(CHUNK("m", "\\x", "1"));
	knows_not(CHUNK("m", "\\u00g0", "1"));
	knows_not(CHUNK("m", "\n", "1"));
	knows(CHUNK("m", "\\\\", "1"));
	/* More of them in one document than there is room for. */
	knows_not("{\"b\":[\"1\",\"2\",\"3\"],\"model\":\"m\"}");
	knows("{\"b\":[\"\\n1\",\"\\n2\",\"3\"],\"model\":\"m\"}");
	knows_not("{\"b\":[\"\\n1\",\"\\n2\",\"\\n3\"],\"model\":\"m\"}");
	knows("{\"b\":[\"1\",\"2\",\"3\"],\"model\":\"m\"}");
}

static void test_long_texts_are_cut(void **state)
{
	(void)state;
	char text[LIMIT_JSON_TEXT_BYTES * 2], document[2 * sizeof(text) + 64];
	knows_not("{\"a\":\"\",\"model\":\"m\"}");
	for (size_t n = LIMIT_JSON_TEXT_BYTES - 2; n < LIMIT_JSON_TEXT_BYTES + 3; n++) {
		memset(text, 'x', n);
		text[n] = '\0';
		snprintf(document, sizeof(document), "{\"a\":\"%s\",\"model\":\"%s\"}", text, text);
		knows(document);
		text[0] = '\\', text[1] = 'n';
		snprintf(document, sizeof(document), "{\"a\":\"%s\",\"model\":\"m\"}", text);
		knows(document);
	}
	knows_not("{\"b\":[1]}");
	memset(text, '1', LIMIT_JSON_TEXT_BYTES + 1);
	text[LIMIT_JSON_TEXT_BYTES + 1] = '\0';
	snprintf(document, sizeof(document), "{\"b\":[%s]}", text);
	knows_not(document);
	text[LIMIT_JSON_TEXT_BYTES] = '\0';
	snprintf(document, sizeof(document), "{\"b\":[%s]}", text);
	knows(document);
}

/* What differs in anything but a scalar of its type. */
static void test_other_documents(void **state)
{
	static const char *const others[] = {
		"{\"a\":\"x\",\"b\":[1,2],\"model\":\"m\"",    /* not whole */
		"{\"a\":\"x\",\"b\":[1,2],\"model\":\"m\"}}",  /* more than whole */
		"{\"a\":\"x\",\"b\":[1,2],\"model\":\"m\"} ",  /* white space */
		"{\"a\":\"x\",\"b\":[1,2],\"model\":\"m}",     /* no quote */
		"{\"a\":\"x\",\"b\":[1,2],\"model\":\"m\\\"}", /* an escaped one */
		"{\"a\":\"x\",\"b\":[1,2],\"model\":null}",    /* other types */
		"{\"a\":1,\"b\":[1,2],\"model\":\"m\"}",
		"{\"a\":\"x\",\"b\":[\"1\",2],\"model\":\"m\"}",
		"{\"a\":\"x\",\"b\":[1,true],\"model\":\"m\"}",
		"{\"a\":\"x\",\"b\":[1],\"model\":\"m\"}", /* fewer, more */
		"{\"a\":\"x\",\"b\":[1,2,3],\"model\":\"m\"}",
		"{\"a\":\"x\",\"b\":[],\"model\":\"m\"}",
		"{\"a\":\"x\",\"b\":[01,2],\"model\":\"m\"}", /* no numbers */
		"{\"a\":\"x\",\"b\":[1.,2],\"model\":\"m\"}",
		"{\"a\":\"x\",\"b\":[,2],\"model\":\"m\"}",
		"{\"a\":\"x\",\"b\":[1 ,2],\"model\":\"m\"}",
		"{\"a\":\"x\",\"b\":[1,2],\"model\":\"m\",\"model\":\"n\"}", /* twice */
		"{\"a\":\"x\",\"b\":[1,2],\"Model\":\"m\"}",		     /* other keys */
		"{\"a\":\"x\",\"b\":[1,2],\"mode\":\"m\"}",
		"{\"a\":\"x\",\"b\":[1,2],\"mod\\u0065l\":\"m\"}",
		"{\"a\":\"x\",\"b\":[1,2],\"model\" :\"m\"}",
		"{\"a\":\"\",\"b\":[1,2],\"\":\"\",\"model\":\"m\"}",
		"{\"a\":\"x\",\"c\":\"\",\"b\":[1,2],\"model\":\"m\"}",
		"{\"a\":{\"x\":\"\"},\"b\":[1,2],\"model\":\"m\"}",
		"{\"a\":\"x\":\"b\":[1,2],\"model\":\"m\"}",
		"{\"a\":\"x\",\"b\":[1,2],\"model\":\"m\"x",
		"",
		"{",
		"[DONE]",
	};
	(void)state;
	knows_not("{\"a\":\"x\",\"b\":[1,2],\"model\":\"m\"}");
	for (size_t n = 0; n < sizeof(others) / sizeof(others[0]); n++) {
		knows("{\"a\":\"\\\",\\\"b\\\":[1,2]\",\"b\":[0.1,2e9],\"model\":\"},{\"}");
		knows_not(others[n]);
	}
	knows("{\"a\":\"x\",\"b\":[1,2],\"model\":\"m\"}");
}

/* Of those that come in turns some are always known; what is of no use for long makes room. */
static void test_many_shapes(void **state)
{
	char document[64];
	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		snprintf(document, sizeof(document), "{\"key%u\":\"v\",\"a\":\"%u\"}", n, n);
		knows_not(document);
	}
	for (unsigned n = 0; n < 16; n++) {
		snprintf(document, sizeof(document), "{\"key%u\":\"w\",\"a\":\"%u\"}", n % 8, n);
		knows(document);
	}
	/* Where none comes again few are learnt, and what comes then is learnt nevertheless. */
	for (unsigned n = 0; n < 1000; n++) {
		snprintf(document, sizeof(document), "{\"odd%u\":1}", n);
		knows_not(document);
	}
	for (unsigned n = 0; n < 200; n++)
		reads(span_str("{\"later\":1}"));
	knows("{\"later\":2}");
}

static bool is_noted(const char *document)
{
	struct json_known k;
	uint8_t place = any_place++;
	assert_true(json_shapes_find(shapes, span_str(document), &place, &k));
	return k.note != NULL;
}

/* Another model time after time becomes the shape's; one in between does not. */
static void test_shapes_are_renewed(void **state)
{
	(void)state;
	knows_not(CHUNK("m", "a", "1"));
	for (unsigned n = 0; n < 10; n++) {
		knows(CHUNK("other", "b", "1"));
		knows(CHUNK("other", "c", "1"));
		assert_true(is_noted(CHUNK("m", "d", "1")));
		knows(CHUNK("m", "e", "1"));
	}
	unsigned strays = 0;
	while (strays < 100 && !is_noted(CHUNK("other", "b", "1")))
		strays++;
	assert_in_range(strays, 2, 10);
	knows(CHUNK("other", "c", "1"));
	assert_false(is_noted(CHUNK("m", "d", "1")));
	knows(CHUNK("m", "\\n", "2"));
}

/* A stream's next document is looked for where its last one was, whatever came in between. */
static void test_places(void **state)
{
	static const char *const turns[] = {"{\"one\":\"1\"}", "{\"two\":\"2\"}",
					    "{\"three\":\"3\"}"};
	uint8_t places[3] = {0}, first[3];
	struct json_known k;
	(void)state;
	for (unsigned n = 0; n < 3; n++)
		knows_not(turns[n]);
	for (unsigned n = 0; n < 9; n++) {
		assert_true(json_shapes_find(shapes, span_str(turns[n % 3]), &places[n % 3], &k));
		if (n < 3)
			first[n] = places[n];
		assert_int_equal(places[n % 3], first[n % 3]);
	}
	assert_int_not_equal(first[0], first[1]);
	assert_int_not_equal(first[1], first[2]);
	assert_int_not_equal(first[0], first[2]);
}

/* What is behind the document is not looked at. */
static void test_begins_with_it(void **state)
{
	struct json_known k;
	uint8_t place = 0;
	(void)state;
	knows_not("{\"a\":\"x\",\"b\":[1]}");
	assert_true(json_shapes_find(shapes, span_str("{\"a\":\"yz\",\"b\":[1]}\n\ndata: {"),
				     &place, &k));
	assert_int_equal(k.len, 18);
	assert_true(json_shapes_find(shapes, span_str("{\"a\":\"yz\",\"b\":[22]}}"), &place, &k));
	assert_int_equal(k.len, 19);
}

/* Too large or too deep for a shape: never learnt, and no harm. */
static void test_what_is_no_shape(void **state)
{
	static char document[8192];
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		size_t len = 0, count = kind == 0 ? 65 : kind == 1 ? 70 : 1400;
		len += (size_t)snprintf(document, sizeof(document), "{\"%s\":[",
					kind == 1 ? "b" : "c");
		for (size_t n = 0; n < count; n++) {
			const char *part = kind == 2 ? "[" : kind == 3 ? "true," : "\"x\",";
			len += (size_t)snprintf(document + len, sizeof(document) - len, "%s", part);
		}
		len += (size_t)snprintf(document + len, sizeof(document) - len, "0");
		for (size_t n = 0; kind == 2 && n < count; n++)
			document[len++] = ']';
		len += (size_t)snprintf(document + len, sizeof(document) - len, "]}");
		knows_not(document);
		knows_not(document);
	}
}

static uint32_t random_state = 12345;

static uint32_t draw(uint32_t below)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % below;
}

/* Random damage to documents that are known. */
static void test_near_matches(void **state)
{
	static const char *const models[] = {
		CHUNK("m", "Hello", "1"),
		"{\"a\":\"x\",\"b\":[1,2,{\"model\":3}],\"model\":\"m\",\"model\":\"n\"}",
		"[{\"error\":{\"a\":[]}},{\"usage\":{\"n\":1,\"n\":2}}]",
		"{ \"error\" : \"\" ,\n\"usage\" : { \"n\" : -0.5e+7 } }",
	};
	static const char letters[] = "\"\"\"\\\\{}[]:,,019-.eE tfn\x01\xe9uam";
	char document[512];
	(void)state;
	for (unsigned round = 0; round < 200000; round++) {
		const char *model = models[draw(4)];
		size_t len = strlen(model);
		memcpy(document, model, len);
		for (unsigned n = draw(4); n; n--) {
			size_t at = draw((uint32_t)len), more = draw(3);
			char c = letters[draw(sizeof(letters) - 1)];
			if (more == 0) {
				document[at] = c;
			} else if (more == 1 && len < sizeof(document)) {
				memmove(document + at + 1, document + at, len++ - at);
				document[at] = c;
			} else if (len > 1) {
				memmove(document + at, document + at + 1, --len - at);
			}
		}
		reads(span_of(document, len));
	}
	assert_true(known > 50000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_other_values, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_escapes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_texts_are_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_documents, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_shapes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shapes_are_renewed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_places, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_begins_with_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_shape, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_near_matches, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("body/json_shape", tests, NULL, NULL);
}
