/*
 * JSON by json.h and by jansson: which documents are well-formed, and each wanted value in its order. Ours
 * gets the bytes in pieces. An input is three documents of one build with other scalars, the third of them
 * sometimes damaged: json_shape.h reads the later ones by the first, and must tell what the scanner tells.
 */
#include "tests/unit/body/jansson_types.h"

/* Of three documents each. */
#define ORACLE_INPUTS 100000u
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

/* How a document is built, and which scalars it has: two rows of choices. */
struct maker {
	struct chance build, scalars;
	struct text *to;
};

static void white(struct maker *m)
{
	static const char *const some[] = {" ", "\n", "\t", "\r\n", "   "};
	if (one_in(&m->build, 8))
		say(m->to, PICK(&m->build, some));
}

static void make_string(struct maker *m, struct chance *c)
{
	static const char *const parts[] = {"a",
					    "hello ",
					    "\xc3\xa9",
					    "\xe2\x82\xac",
					    "\xf0\x9f\x98\x80",
					    "/",
					    "\\n",
					    "\\\"",
					    "\\\\",
					    "\\/",
					    "\\u00e9",
					    "\\u20AC",
					    "\\ud83d\\ude00",
					    "\\u0041",
					    "\\t",
					    "\x7f",
					    "{\\\"a\\\":1}",
					    "0123456789abcdef",
					    "data: "};
	static const char *const wrong[] = {"\n",      "\x1f",		 "\\x",	    "\\u12g4",
					    "\\",      "\xff",		 "\xc3",    "\\ud800",
					    "\\udc00", "\\ud800\\u0041", "\\u0000", "\\ud83d\\n",
					    "\"",      "\xed\xa0\x80",	 "\\U0041"};
	unsigned n = one_in(c, 40) ? 20 + below(c, 300) : below(c, 6);
	say(m->to, "\"");
	for (; n; n--)
		say(m->to, odd(c) && one_in(c, 6) ? PICK(c, wrong) : PICK(c, parts));
	say(m->to, "\"");
}

static void make_number(struct maker *m, struct chance *c)
{
	static const char *const some[] = {"0",
					   "1",
					   "42",
					   "123456",
					   "9007199254740992",
					   "9007199254740993",
					   "9007199254740991",
					   "-1",
					   "-0",
					   "0.0",
					   "12.0",
					   "1e3",
					   "1E+3",
					   "1.5e1",
					   "100e-2",
					   "0.1",
					   "1e-7",
					   "2.50",
					   "1.7976931348623157e308",
					   "9223372036854775807",
					   "12345678901234567.0",
					   "0e5",
					   "1000000000000000000000e-18",
					   "3.0000000000000000000"};
	static const char *const wrong[] = {"01",
					    "+1",
					    "1.",
					    ".5",
					    "1e",
					    "1e+",
					    "-",
					    "0x1",
					    "1_0",
					    "NaN",
					    "Infinity",
					    "1e400",
					    "9223372036854775808",
					    "-9223372036854775809",
					    "--1",
					    "1.e1",
					    "1e1.5",
					    "00"};
	say(m->to, odd(c) && one_in(c, 4) ? PICK(c, wrong) : PICK(c, some));
}

static void make_scalar(struct maker *m)
{
	static const char *const words[] = {"true", "false", "null"};
	static const char *const wrong[] = {"True", "nul", "nulll", "", "undefined", "'a'"};
	switch (below(&m->build, 5)) {
	case 0:
		say(m->to, odd(&m->build) ? PICK(&m->build, wrong) : PICK(&m->build, words));
		break;
	case 1:
	case 2:
		make_number(m, &m->scalars);
		break;
	default:
		make_string(m, &m->scalars);
	}
}

static void make_value(struct maker *m, unsigned depth);

static void make_key(struct maker *m)
{
	static const char *const keys[] = {
		"model",  "n",	"usage",  "total",   "choices", "text", "delta",  "content",
		"scores", "id", "object", "created", "",	"usag", "usages", "finish_reason"};
	static const char *const escaped[] = {"mod\\u0065l", "\\u006e", "tex\\u0074", "usage.total",
					      "choices[]"};
	if (one_in(&m->build, 30)) {
		make_string(m, &m->build);
		return;
	}
	say(m->to, "\"");
	say(m->to, one_in(&m->build, 12) ? PICK(&m->build, escaped) : PICK(&m->build, keys));
	say(m->to, "\"");
}

static void comma(struct maker *m)
{
	static const char *const wrong[] = {"", ",,", ";", ",]", "}"};
	white(m);
	say(m->to, odd(&m->build) ? PICK(&m->build, wrong) : ",");
}

static void make_object(struct maker *m, unsigned depth)
{
	say(m->to, "{");
	for (unsigned n = below(&m->build, 5), i = 0; i < n; i++) {
		if (i)
			comma(m);
		white(m);
		make_key(m);
		white(m);
		say(m->to, odd(&m->build) ? "=" : ":");
		white(m);
		make_value(m, depth);
	}
	white(m);
	say(m->to, odd(&m->build) ? ",}" : "}");
}

static void make_array(struct maker *m, unsigned depth)
{
	say(m->to, "[");
	for (unsigned n = below(&m->build, 4), i = 0; i < n; i++) {
		if (i)
			comma(m);
		make_value(m, depth);
	}
	white(m);
	say(m->to, odd(&m->build) ? ",]" : "]");
}

static void make_value(struct maker *m, unsigned depth)
{
	unsigned kind = depth > 7 ? 9 : below(&m->build, 10);
	white(m);
	if (kind < 3)
		make_object(m, depth + 1);
	else if (kind < 5)
		make_array(m, depth + 1);
	else
		make_scalar(m);
}

/* What the wanted paths are made for: most documents that are random have none of them. */
static void make_chunk(struct maker *m)
{
	say(m->to, "{\"model\":");
	make_scalar(m);
	comma(m);
	say(m->to, "\"choices\":[{\"text\":");
	make_value(m, 5);
	say(m->to, "},{\"delta\":{\"content\":");
	make_scalar(m);
	comma(m);
	make_key(m);
	say(m->to, ":");
	make_value(m, 5);
	say(m->to, "}}],\"scores\":[");
	make_number(m, &m->scalars);
	comma(m);
	make_value(m, 6);
	say(m->to, "],\"usage\":{\"total\":");
	make_number(m, &m->scalars);
	say(m->to, "}}");
}

/* Past LIMIT_JSON_DEPTH ours counts brackets. */
static void make_deep(struct maker *m)
{
	unsigned n = 1000 + below(&m->build, 60);
	bool crossed = one_in(&m->build, 4);
	for (unsigned i = 0; i < n; i++)
		say(m->to, "[");
	for (unsigned i = one_in(&m->build, 4); i < n; i++)
		say(m->to, i == 1 && crossed ? "}" : "]");
}

static void make_document(struct maker *m)
{
	if (one_in(&m->build, 300)) {
		make_deep(m);
		return;
	}
	if (one_in(&m->build, 2))
		make_chunk(m);
	else if (one_in(&m->build, 5))
		make_value(m, 0);
	else
		make_object(m, 0);
	white(m);
	if (odd(&m->build))
		say(m->to, one_in(&m->build, 2) ? "x" : "{}");
}

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

static int they_refuse(struct span doc, const json_error_t *error)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (!strncmp(error->text, errors[i].start, strlen(errors[i].start)))
			return (int)errors[i].row;
	}
	size_t open = 0;
	while (open < doc.len && doc.at[open] == '[')
		open++;
	return open > LIMIT_JSON_DEPTH ? ROW_DEEP : ORACLE_WRONG;
}

static int compare(struct span doc, bool well_formed, json_error_t *error)
{
	const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
	json_t *value =
		json_loadb((const char *)doc.at, doc.len, flags | JSON_REJECT_DUPLICATES, error);
	theirs.len = 0;
	int row = ORACLE_SAME;
	if (!value && !strncmp(error->text, "duplicate", 9)) {
		value = json_loadb((const char *)doc.at, doc.len, flags, error);
		row = value ? well_formed ? ROW_DUPLICATE : ORACLE_WRONG : ORACLE_SAME;
	}
	if (!value)
		return well_formed ? they_refuse(doc, error) : ORACLE_SAME;
	if (value && !well_formed && memchr(doc.at, 0, doc.len))
		row = ROW_NUL;
	if (row == ORACLE_SAME) {
		tell_theirs(&theirs, &(struct node){"", 0, in_document}, value);
		bool same = theirs.len == ours.len && !memcmp(ours.at, theirs.at, ours.len);
		row = well_formed && same ? ORACLE_SAME : ORACLE_WRONG;
	}
	json_decref(value);
	return row;
}

/* False if a shape that knows the document tells what the scanner does not. */
static bool same_by_shape(struct json_shapes *shapes, struct span doc, bool well_formed)
{
	size_t count;
	const struct json_event *events = json_shapes_events(shapes, doc, &count);
	if (!events) {
		if (well_formed)
			json_shapes_learn(shapes, doc);
		return true;
	}
	by_shape.len = 0;
	for (size_t i = 0; i < count; i++)
		tell_ours(&by_shape, &events[i]);
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
		json_shapes_new(tree, one_in(&(struct chance){seed, 0}, 2) ? 1 : 100);
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
