/*
 * The scanner against jansson, on random documents of which every second one is then damaged: both
 * accept or both reject, and the wanted values are the same. Where jansson refuses what is let pass
 * here nothing is compared:
 *
 *     bytes that are no UTF-8, lone surrogates    read differently by servers
 *     numbers out of the range of its types       text here
 *     \u0000 in keys                              its keys are C strings
 *
 * No NUL is put in: jansson 2.14 passes over one that follows a number.
 */
#include "tests/unit/body/jansson_types.h"
#include "tests/unit/body/json_trace.h"

#define DOCUMENTS 100000

static const struct json_want wants[] = {
	{"model", 1},
	{"choices[].delta.content", 2},
	{"choices[].delta", 3},
	{"choices[].index", 4},
	{"usage.completion_tokens", 5},
	{"usage", 6},
	{"[].model", 7},
	{"[][]", 8},
	{"content", 9},
	{"content[].delta.usage[][].index", 10},
	{"delta.delta.delta", 11},
	{"index[]", 12},
};

#define WANTS (sizeof(wants) / sizeof(wants[0]))

/* ---- random documents --------------------------------------------------------------------------- */

static uint64_t seed = 20261124;

static unsigned pick(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

#define PICK(list) list[pick(sizeof(list) / sizeof(list[0]))]

struct writer {
	char at[1u << 17];
	size_t len;
};

static struct writer out;

static void put(const char *text)
{
	size_t n = strlen(text);
	assert_true(n < sizeof(out.at) - out.len);
	memcpy(out.at + out.len, text, n);
	out.len += n;
}

static void put_space(void)
{
	static const char *const spaces[] = {"", "", "", "", " ", "\n", "\r\n\t", "   "};
	put(PICK(spaces));
}

static void put_string(void)
{
	static const char *const parts[] = {"a",
					    "plain text",
					    "\\n",
					    "\\\"",
					    "\\\\",
					    "\\/",
					    "\\u0041",
					    "\\u00e9",
					    "\\u20ac",
					    "\\ud83d\\ude00",
					    "\xc3\xa9",
					    "\xf0\x9f\x98\x80",
					    "\\u0000",
					    "data: [DONE]",
					    "{\\\"a\\\":1}",
					    "0123456789abcdef",
					    "\x7f",
					    "\\b\\f\\r\\t"};
	put("\"");
	unsigned most = pick(50) ? 4 : 60;
	for (unsigned n = pick(most + 1); n; n--)
		put(PICK(parts));
	put("\"");
}

static void put_number(void)
{
	static const char *const numbers[] = {"0",   "-0",   "1",	"128",	  "-7",	    "0.5",
					      "1e3", "2E-2", "1.25e+1", "-0.0e0", "100000", "3.0"};
	put(PICK(numbers));
}

/* Keys are plain, or with a letter escaped. `used` holds those that the object has. */
static void put_key(unsigned *used)
{
	static const char *const keys[][2] = {{"model", "m\\u006fdel"},
					      {"choices", "\\u0063hoices"},
					      {"delta", "delt\\u0061"},
					      {"content", "content"},
					      {"usage", "us\\u0061g\\u0065"},
					      {"index", "inde\\u0078"},
					      {"completion_tokens", "completion\\u005ftokens"},
					      {"other", "o\\nther"}};
	unsigned key = pick(8);
	while (*used & 1u << key)
		key = (key + 1) % 8;
	*used |= 1u << key;
	put("\"");
	put(keys[key][pick(4) == 0]);
	put("\"");
}

static void put_value(unsigned levels);

static void put_members(unsigned levels, bool object)
{
	unsigned used = 0;
	put(object ? "{" : "[");
	put_space();
	for (unsigned n = pick(5); n; n--) {
		if (object) {
			put_key(&used);
			put_space();
			put(":");
			put_space();
		}
		put_value(levels - 1);
		put_space();
		put(n > 1 ? "," : "");
		put_space();
	}
	put(object ? "}" : "]");
}

static void put_value(unsigned levels)
{
	static const char *const literals[] = {"true", "false", "null"};
	unsigned kind = pick(levels ? 12 : 5);
	if (kind < 2)
		put_string();
	else if (kind < 4)
		put_number();
	else if (kind < 5)
		put(PICK(literals));
	else
		put_members(levels, kind < 10);
}

static void damage(void)
{
	static const char bytes[] = "\"\\{}[]:,0123456789.eE+-tfnu \n\x01\xff\x80"
				    "ab";
	for (unsigned n = 1 + pick(3); n && out.len; n--) {
		size_t at = pick((unsigned)out.len);
		switch (pick(4)) {
		case 0:
			out.at[at] = bytes[pick(sizeof(bytes) - 1)];
			break;
		case 1:
			memmove(out.at + at, out.at + at + 1, --out.len - at);
			break;
		case 2:
			memmove(out.at + at + 1, out.at + at, out.len++ - at);
			out.at[at] = bytes[pick(sizeof(bytes) - 1)];
			break;
		default:
			out.len = pick(8) ? out.len : at;
		}
	}
}

/* ---- the trace of each -------------------------------------------------------------------------- */

/* Less than the limit: how an escape at the limit is cut is not compared. */
static void put_text(struct trace *t, struct span s, bool cut)
{
	trace_str(t, "\"");
	s.len = s.len < LIMIT_JSON_TEXT_BYTES - 6 ? s.len : LIMIT_JSON_TEXT_BYTES - 6;
	trace_put(t, s);
	trace_str(t, cut ? "~" : "\"");
}

static void put_value_of(struct trace *t, double number)
{
	char text[40];
	snprintf(text, sizeof(text), "#%.17g", number + 0.0); /* -0 becomes 0 */
	trace_str(t, text);
}

static void put_id(struct trace *t, unsigned id)
{
	char text[16];
	snprintf(text, sizeof(text), " %u", id);
	trace_str(t, text);
}

static void scanner_event(struct trace *t, const struct json_event *ev)
{
	char number[LIMIT_JSON_TEXT_BYTES + 1];
	if (ev->type == JSON_STRING) {
		assert_int_equal(ev->empty, ev->text.len == 0);
		put_id(t, ev->id);
		put_text(t, ev->text, ev->cut);
	} else if (ev->type == JSON_NUMBER) {
		put_id(t, ev->id);
		span_copy(ev->text, number, sizeof(number));
		put_value_of(t, strtod(number, NULL));
	} else {
		json_trace_event(t, ev);
	}
}

static void scanner_take(struct trace *t, struct span piece)
{
	struct json_event ev;
	enum step step;
	while ((step = json_next(json_traced, &piece, &ev)) == STEP_EVENT)
		scanner_event(t, &ev);
	json_traced_bad = step == STEP_BAD;
}

static const struct subject scanner = {json_trace_begin, scanner_take, json_trace_end};

static unsigned wanted(const char *path)
{
	for (size_t i = 0; i < WANTS; i++) {
		if (!strcmp(wants[i].path, path))
			return wants[i].id;
	}
	return 0;
}

/* In the order of the document, which jansson keeps. */
static void walk(struct trace *t, const json_t *v, const char *path);

static void walk_members(struct trace *t, const json_t *v, const char *path)
{
	char below[512];
	const char *key;
	json_t *member;
	size_t i;
	if (json_typeof(v) == JANSSON_ARRAY) {
		snprintf(below, sizeof(below), "%s[]", path);
		json_array_foreach((json_t *)(uintptr_t)v, i, member) walk(t, member, below);
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)v, key, member)
	{
		snprintf(below, sizeof(below), "%s%s%s", path, *path ? "." : "", key);
		walk(t, member, below);
	}
}

static void walk(struct trace *t, const json_t *v, const char *path)
{
	bool array = json_typeof(v) == JANSSON_ARRAY;
	unsigned id = wanted(path);
	if (array || json_typeof(v) == JANSSON_OBJECT) {
		bool empty = array ? !json_array_size(v) : !json_object_size(v);
		if (id) {
			put_id(t, id);
			trace_str(t, array ? "[" : "{");
		}
		walk_members(t, v, path);
		if (id) {
			put_id(t, id);
			trace_str(t, array ? "]" : "}");
			trace_str(t, empty ? "0" : "");
		}
		return;
	}
	if (!id)
		return;
	put_id(t, id);
	switch (json_typeof(v)) {
	case JANSSON_STRING: {
		size_t len = json_string_length(v);
		put_text(t, span_of(json_string_value(v), len), len > LIMIT_JSON_TEXT_BYTES);
		return;
	}
	case JSON_INTEGER:
	case JSON_REAL:
		put_value_of(t, json_number_value(v));
		return;
	default:
		trace_str(t, json_typeof(v) == JANSSON_TRUE    ? "t"
			     : json_typeof(v) == JANSSON_FALSE ? "f"
							       : "n");
	}
}

/* ---- the comparison ----------------------------------------------------------------------------- */

static bool not_compared(const json_error_t *error)
{
	switch (json_error_code(error)) {
	case json_error_invalid_utf8:
	case json_error_numeric_overflow:
	case json_error_null_byte_in_key:
		return true;
	default:
		return strncmp(error->text, "invalid Unicode", 15) == 0;
	}
}

static unsigned accepted, rejected, left_out;

static void compare(struct span s)
{
	static struct trace got, want;
	json_error_t error;
	size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
	bool twice = false;
	json_t *doc = json_loadb((const char *)s.at, s.len, flags | JSON_REJECT_DUPLICATES, &error);
	if (!doc && json_error_code(&error) == json_error_duplicate_key) {
		twice = true; /* its object keeps one of them: only the verdict is compared */
		doc = json_loadb((const char *)s.at, s.len, flags, &error);
	}
	pieces_run(&scanner, s, 1 + pick((unsigned)s.len + 1), 1 + pick(64), &got);
	bool whole = json_done(json_traced) && !json_traced_bad;
	if (!doc && not_compared(&error)) {
		left_out++;
		return;
	}
	if (whole != (doc != NULL))
		fail_msg("%.*s\njansson: %s", (int)s.len, s.at, doc ? "accepted" : error.text);
	accepted += doc != NULL;
	rejected += doc == NULL;
	if (doc && !twice) {
		want.len = 0;
		want.text[0] = '\0';
		walk(&want, doc, "");
		trace_str(&want, " whole");
		if (want.len != got.len || memcmp(want.text, got.text, want.len))
			fail_msg("%.*s\nwant%s\ngot %s", (int)s.len, s.at, want.text, got.text);
	}
	json_decref(doc);
}

static void random_documents(void **state)
{
	(void)state;
	struct json_tree *tree = json_tree_new(wants, WANTS);
	json_traced = tree ? json_new(tree) : NULL;
	assert_non_null(json_traced);
	for (unsigned i = 0; i < DOCUMENTS; i++) {
		out.len = 0;
		put_space();
		put_value(6);
		put_space();
		if (i % 2)
			damage();
		compare(span_of(out.at, out.len));
	}
	print_message("%u accepted, %u rejected, %u not compared\n", accepted, rejected, left_out);
	assert_true(accepted > DOCUMENTS / 2 && rejected > DOCUMENTS / 5);
	json_free(json_traced);
	json_tree_free(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_documents)};
	return cmocka_run_group_tests_name("body/json_jansson", tests, NULL, NULL);
}
