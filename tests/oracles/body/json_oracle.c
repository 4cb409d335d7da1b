/*
 * JSON by json.h and by jansson: which documents are well-formed, and each wanted value in its order. Ours
 * gets the bytes in pieces. An input is three documents of one build with other scalars, the third of them
 * sometimes damaged: json_shape.h reads the later ones by the first, and must tell what the scanner tells.
 */
#include "tests/unit/body/jansson_types.h"

/* Of three documents each. */
#define ORACLE_INPUTS 100000u
#include "tests/oracles/body/json_depth.h"
#include "tests/oracles/body/json_makes.h"
#include "tests/oracles/oracle.h"

#include "agent/body/json.h"
#include "agent/body/json_shape.h"

/* ---- documents ------------------------------------------------------------------------------------- */

enum {
	ID_MODEL = 1,
	ID_N,
	ID_USAGE,
	ID_TOTAL,
	ID_CHOICES,
	ID_TEXT,
	ID_DELTA,
	ID_CONTENT,
	ID_SCORE,
};

static const struct json_want wants[] = {
	{"model", ID_MODEL},	       {"n", ID_N},
	{"usage", ID_USAGE},	       {"usage.total", ID_TOTAL},
	{"choices", ID_CHOICES},       {"choices[].text", ID_TEXT},
	{"choices[].delta", ID_DELTA}, {"choices[].delta.content", ID_CONTENT},
	{"scores[]", ID_SCORE},
};

/* ---- readings -------------------------------------------------------------------------------------- */

#define CUT_BYTES (LIMIT_JSON_TEXT_BYTES - 6) /* as much is there of each text that was cut */

static void tell_text(struct text *t, const void *at, size_t len, bool cut)
{
	cut |= len > CUT_BYTES;
	put(t, at, len > CUT_BYTES ? CUT_BYTES : len);
	say(t, cut ? "...\n" : "\n");
}

/* A number by its double, and by its whole value if the text is one plainly. */
static void tell_number(struct text *t, double value, bool plain, unsigned long long whole)
{
	char line[64];
	value = value == 0 ? 0 : value; /* no integer is -0 */
	snprintf(line, sizeof(line), plain && whole ? "%a %llu\n" : "%a\n", value, whole);
	say(t, line);
}

static void tell_id(struct text *t, unsigned id, const char *type)
{
	char line[32];
	snprintf(line, sizeof(line), "%u %s", id, type);
	say(t, line);
}

static void tell_our_number(struct text *t, struct span text)
{
	char literal[LIMIT_JSON_TEXT_BYTES + 1];
	uint64_t whole = 0;
	span_copy(text, literal, sizeof(literal));
	bool is_whole = json_whole(text, &whole),
	     plain = is_whole && !literal[strspn(literal, "0123456789")];
	double value = strtod(literal, NULL);
	if (is_whole && (double)whole != value)
		say(t, "not what json_whole says ");
	tell_number(t, value, plain, whole);
}

static void tell_ours(struct text *t, const struct json_event *ev)
{
	switch (ev->type) {
	case JSON_STRING:
		tell_id(t, ev->id, "s ");
		tell_text(t, ev->text.at, ev->text.len, ev->cut);
		if (ev->empty != !ev->text.len)
			say(t, "not empty as it says\n");
		break;
	case JSON_NUMBER:
		tell_id(t, ev->id, "n ");
		tell_our_number(t, ev->text);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL:
		tell_id(t, ev->id,
			ev->type == JSON_TRUE	 ? "true\n"
			: ev->type == JSON_FALSE ? "false\n"
						 : "null\n");
		break;
	default:
		tell_id(t, ev->id, ev->type == JSON_OBJECT ? "{" : "[");
		say(t, !ev->closes ? "\n" : ev->empty ? " end, empty\n" : " end\n");
	}
}

static struct json_tree *tree;

/* True if the document is well-formed and whole. */
static bool read_ours(struct json *json, struct chance *c, struct span doc, struct text *t)
{
	size_t most = one_in(c, 2) ? doc.len : 1 + below(c, 30);
	enum step step = STEP_MORE;
	json_reset(json);
	t->len = 0;
	while (doc.len && step != STEP_BAD) {
		size_t n = most >= doc.len ? doc.len : 1 + below(c, (unsigned)most);
		struct span piece = span_take(&doc, n);
		struct json_event ev;
		while ((step = json_next(json, &piece, &ev)) == STEP_EVENT)
			tell_ours(t, &ev);
	}
	return step != STEP_BAD && json_done(json);
}

/* What is wanted below a node: keys, "[]" for elements. */
struct node {
	const char *key;
	unsigned id;
	const struct node *below;
};

static const struct node nothing[] = {{0}};
static const struct node in_usage[] = {{"total", ID_TOTAL, nothing}, {0}};
static const struct node in_delta[] = {{"content", ID_CONTENT, nothing}, {0}};
static const struct node in_choice[] = {
	{"text", ID_TEXT, nothing}, {"delta", ID_DELTA, in_delta}, {0}};
static const struct node in_choices[] = {{"[]", 0, in_choice}, {0}};
static const struct node in_scores[] = {{"[]", ID_SCORE, nothing}, {0}};
static const struct node in_document[] = {
	{"model", ID_MODEL, nothing},  {"n", ID_N, nothing},
	{"usage", ID_USAGE, in_usage}, {"choices", ID_CHOICES, in_choices},
	{"scores", 0, in_scores},      {0}};
static const struct node unwanted = {"", 0, nothing};

static const struct node *find(const struct node *list, const char *key)
{
	for (; list->key; list++) {
		if (!strcmp(list->key, key))
			return list;
	}
	return &unwanted;
}

static void tell_theirs(struct text *t, const struct node *node, json_t *value);

static void tell_members(struct text *t, const struct node *node, json_t *value)
{
	const char *key;
	size_t i;
	json_t *member;
	if (json_typeof(value) == JANSSON_OBJECT) {
		/* "[]" in the table are elements, no key. */
		json_object_foreach(value, key, member) tell_theirs(
			t, strcmp(key, "[]") ? find(node->below, key) : &unwanted, member);
	} else {
		json_array_foreach(value, i, member)
			tell_theirs(t, find(node->below, "[]"), member);
	}
}

static void tell_container(struct text *t, const struct node *node, json_t *value)
{
	bool object = json_typeof(value) == JANSSON_OBJECT;
	size_t members = object ? json_object_size(value) : json_array_size(value);
	if (node->id) {
		tell_id(t, node->id, object ? "{" : "[");
		say(t, "\n");
	}
	tell_members(t, node, value);
	if (node->id) {
		tell_id(t, node->id, object ? "{" : "[");
		say(t, members ? " end\n" : " end, empty\n");
	}
}

static void tell_scalar(struct text *t, const struct node *node, json_t *value)
{
	long long whole;
	switch (json_typeof(value)) {
	case JANSSON_STRING:
		tell_id(t, node->id, "s ");
		tell_text(t, json_string_value(value), json_string_length(value), false);
		break;
	case JSON_INTEGER:
		whole = json_integer_value(value);
		tell_id(t, node->id, "n ");
		tell_number(t, (double)whole, whole > 0 && whole <= 1ll << 53,
			    (unsigned long long)whole);
		break;
	case JSON_REAL:
		tell_id(t, node->id, "n ");
		tell_number(t, json_real_value(value), false, 0);
		break;
	case JANSSON_TRUE:
		tell_id(t, node->id, "true\n");
		break;
	case JANSSON_FALSE:
		tell_id(t, node->id, "false\n");
		break;
	default:
		tell_id(t, node->id, "null\n");
	}
}

static void tell_theirs(struct text *t, const struct node *node, json_t *value)
{
	if (json_typeof(value) == JANSSON_OBJECT || json_typeof(value) == JANSSON_ARRAY)
		tell_container(t, node, value);
	else if (node->id)
		tell_scalar(t, node, value);
}

/* ---- differences ----------------------------------------------------------------------------------- */

enum row {
	ROW_UTF8,
	ROW_SURROGATE,
	ROW_NUL_KEY,
	ROW_RANGE,
	ROW_DUPLICATE,
	ROW_DEEP,
	ROW_NUL,
	ROWS
};

static struct allowed table[ROWS] = {
	/* jansson refuses. */
	[ROW_UTF8] = {"invalid UTF-8: ours lets it pass, servers differ", 0},
	[ROW_SURROGATE] =
		{"half a surrogate pair: ours makes it U+FFFD, as JavaScript's encoders do", 0},
	[ROW_NUL_KEY] = {"a NUL in a key: a C string to jansson", 0},
	[ROW_RANGE] = {"a number beyond long long or double: RFC 8259 6 has no such bounds", 0},
	[ROW_DUPLICATE] =
		{"a key twice: ours tells each, jansson has the last; well-formed is compared", 0},
	/* Ours takes more. */
	[ROW_DEEP] = {"deeper than LIMIT_JSON_DEPTH brackets are counted, not paired", 0},
	/* Ours refuses. */
	[ROW_NUL] = {"a NUL between tokens: jansson drops it, RFC 8259 2 has no such white space",
		     0},
};

static const struct {
	const char *start;
	enum row row;
} errors[] = {
	{"unable to decode byte", ROW_UTF8},	 {"invalid Unicode", ROW_SURROGATE},
	{"NUL byte in object key", ROW_NUL_KEY}, {"too big", ROW_RANGE},
	{"real number overflow", ROW_RANGE},	 {"duplicate object key", ROW_DUPLICATE},
};

static struct json *json;
static struct text ours, theirs, by_shape;

static bool same_told(void)
{
	return theirs.len == ours.len && (!ours.len || !memcmp(ours.at, theirs.at, ours.len));
}

static const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;

/* Whether they take it without what is too deep for ours. */
static bool is_shallow(struct span doc)
{
	static struct text shallow;
	json_error_t ignored;
	shallow.len = 0;
	if (!put_shallow(&shallow, doc))
		return false;
	json_t *value = json_loadb((const char *)shallow.at, shallow.len, flags, &ignored);
	json_decref(value);
	return value;
}

/* Whether ours takes it once the NULs are gone. */
static bool read_without_nul(struct span doc)
{
	static struct text rest;
	struct chance c = {0};
	rest.len = 0;
	for (size_t i = 0; i < doc.len; i++) {
		if (doc.at[i])
			put_byte(&rest, doc.at[i]);
	}
	return rest.len < doc.len && read_ours(json, &c, span_of(rest.at, rest.len), &ours);
}

static int they_refuse(struct span doc, const json_error_t *error)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (!strncmp(error->text, errors[i].start, strlen(errors[i].start)))
			return (int)errors[i].row;
	}
	return is_shallow(doc) ? ROW_DEEP : ORACLE_WRONG;
}

static int compare(struct span doc, bool well_formed, json_error_t *error)
{
	json_t *value =
		json_loadb((const char *)doc.at, doc.len, flags | JSON_REJECT_DUPLICATES, error);
	theirs.len = 0;
	bool twice = !value && !strncmp(error->text, "duplicate", 9);
	int row = ORACLE_SAME;
	if (twice)
		value = json_loadb((const char *)doc.at, doc.len, flags, error);
	if (!value)
		return well_formed ? they_refuse(doc, error) : ORACLE_SAME;
	tell_theirs(&theirs, &(struct node){"", 0, in_document}, value);
	if (!well_formed)
		row = read_without_nul(doc) ? ROW_NUL : ORACLE_WRONG;
	else if (twice)
		row = ROW_DUPLICATE;
	if (!twice && !same_told())
		row = ORACLE_WRONG;
	json_decref(value);
	return row;
}

/* False if a shape that knows the document tells what the scanner does not. */
static bool same_by_shape(struct json_shapes *shapes, struct span doc, bool well_formed)
{
	static uint8_t place;
	struct json_known k;
	if (!json_shapes_find(shapes, doc, &place, &k) || k.len != doc.len) {
		if (well_formed)
			json_shapes_learn(shapes, doc);
		return true;
	}
	by_shape.len = 0;
	for (size_t i = 0; i < k.count; i++)
		tell_ours(&by_shape, &k.events[i]);
	return well_formed && by_shape.len == ours.len && !memcmp(by_shape.at, ours.at, ours.len);
}

static void show_document(struct span doc, bool well_formed, const json_error_t *error)
{
	show_bytes("document: ", doc.at, doc.len);
	show_bytes(well_formed ? "ours: " : "ours, not well-formed: ", ours.at, ours.len);
	show_bytes("by shape: ", by_shape.at, by_shape.len);
	show_bytes("jansson: ", theirs.at, theirs.len);
	printf("    %s\n", error->text);
}

static int one(uint64_t seed, bool show)
{
	static const char telling[] = "\"\"{}[],:\\u0e.-+ \n\0\xff"
				      "dD8tfn";
	static struct text text;
	struct json_shapes *shapes =
		json_shapes_new(tree, one_in(&(struct chance){seed, 0}, 2) ? 1 : 100,
				&(struct json_shapes_notes){0});
	struct chance c = chance_of(seed);
	int row = ORACLE_SAME;
	for (unsigned i = 0; i < 3 && row == ORACLE_SAME; i++) {
		json_error_t error = {0};
		struct maker m = {chance_of(seed), chance_of(seed), &text};
		m.scalars.state += i + 1;
		text.len = by_shape.len = 0;
		put(&text, "", 0);
		make_document(&m);
		if (i == 2 && c.odd)
			mutate(&c, &text, telling, sizeof(telling) - 1);
		struct span doc = span_of(text.at, text.len);
		bool well_formed = read_ours(json, &c, doc, &ours);
		row = compare(doc, well_formed, &error);
		if (!same_by_shape(shapes, doc, well_formed))
			row = ORACLE_WRONG;
		if (show)
			show_document(doc, well_formed, &error);
	}
	json_shapes_free(shapes);
	return row;
}

int main(int argc, char **argv)
{
	tree = json_tree_new(wants, sizeof(wants) / sizeof(wants[0]));
	json = json_new(tree);
	if (!tree || !json)
		return 2;
	struct oracle o = {"JSON beside jansson", table, ROWS, one};
	return oracle_main(argc, argv, &o);
}
