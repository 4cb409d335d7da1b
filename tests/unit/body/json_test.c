#include "tests/unit/body/json_trace.h"

#include <dirent.h>
#include <fcntl.h>

/* Paths of a reply, and some odd ones. */
static const struct json_want wants[] = {
	{"model", 1},
	{"stream", 2},
	{"choices[].delta.content", 3},
	{"choices[].delta.tool_calls", 4},
	{"usage.completion_tokens", 5},
	{"error", 6},
	{"error.type", 7},
	{"[].score", 8},
	{"grid[][]", 9},
	{"a", 10},
	{"b.c.d.e.f.g.h.i.j.k.l.m.n.o.p", 11}, /* as long as they come */
};

static struct json_tree *tree;

static int set_up(void **state)
{
	(void)state;
	tree = json_tree_new(wants, sizeof(wants) / sizeof(wants[0]));
	json_traced = tree ? json_new(tree) : NULL;
	return json_traced ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	json_free(json_traced);
	json_tree_free(tree);
	return 0;
}

static void gives(const char *in, const char *want)
{
	pieces_give(&json_subject, span_str(in), want);
}

static void wanted_values(void **state)
{
	(void)state;
	gives("{\"model\":\"m\",\"stream\":true}", " 1\"'m\" 2t whole");
	gives("{\"messages\":[{\"model\":\"no\"}],\"model\":\"m\"}", " 1\"'m\" whole");
	gives(" {\n\t\"stream\" : false ,\r\n \"model\" : null } \n", " 2f 1n whole");
	gives("{\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":12}}", " 5#12 whole");
	gives("{\"usage\":null,\"model\":\"\"}", " 1\"\" whole");
	gives("{\"choices\":[{\"delta\":{\"content\":\"a\"}},{\"delta\":{\"content\":\"b\"}}]}",
	      " 3\"'a\" 3\"'b\" whole");
	gives("[{\"score\":0.5},{\"score\":-1e3},{},7]", " 8#0.5 8#-1e3 whole");
	gives("{\"grid\":[[1,2],[],[[3],{\"a\":4}],5]}", " 9#1 9#2 9[ 9] 9{ 9} whole");
	gives("{\"model\":\"a\",\"model\":\"b\"}", " 1\"'a\" 1\"'b\" whole");
}

static void containers_open_and_close(void **state)
{
	(void)state;
	gives("{\"error\":{\"type\":\"t\",\"x\":[1,{}]}}", " 6{ 7\"'t\" 6} whole");
	gives("{\"error\":{}}", " 6{ 6}0 whole");
	gives("{\"error\":[]}", " 6[ 6]0 whole");
	gives("{\"error\":[ ]}", " 6[ 6]0 whole");
	gives("{\"error\":[{\"type\":1}]}", " 6[ 6] whole");
	gives("{\"error\":\"text\"}", " 6\"'text\" whole");
	gives("{\"error\":{\"type\":", " 6{ part");
}

/* A path is not found where the document has the other kind of container. */
static void kinds_of_containers(void **state)
{
	(void)state;
	gives("{\"choices\":{\"delta\":{\"content\":\"a\"}}}", " whole");
	gives("[{\"delta\":{\"content\":\"a\"}}]", " whole");
	gives("[[{\"model\":\"m\"}]]", " whole");
	gives("{\"model\":[\"m\"],\"model\":{\"model\":\"m\"}}", " 1[ 1] 1{ 1} whole");
	gives("{\"x\":{\"model\":\"m\"},\"usage\":[{\"completion_tokens\":1}]}", " whole");
}

static void escapes(void **state)
{
	(void)state;
	gives("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", " 10\"'\"\\/\b\f\n\r\t\" whole");
	gives("{\"a\":\"x\\u0041\\u00e9\\u20AC\\uD83D\\ude00y\"}",
	      " 10\"'xA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80y\" whole");
	gives("{\"a\":\"\\u007f\\u0080\\u07ff\\u0800\\uffff\\ud800\\udc00\\udbff\\udfff\"}",
	      " 10\"'"
	      "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\" "
	      "whole");
	gives("{\"a\":\"\\ud800\"}", " 10\"'\xef\xbf\xbd\" whole");
	gives("{\"a\":\"\\ud800x\"}", " 10\"'\xef\xbf\xbdx\" whole");
	gives("{\"a\":\"\\ud800\\n\"}", " 10\"'\xef\xbf\xbd\n\" whole");
	gives("{\"a\":\"\\udc00\\ud800\\ud801\\udc00\"}",
	      " 10\"'\xef\xbf\xbd\xef\xbf\xbd\xf0\x90\x90\x80\" whole");
	gives("{\"a\":\"\\ud800\\u0041\"}", " 10\"'\xef\xbf\xbd"
					    "A\" whole");
	gives("{\"a\":\"\\x\"}", " bad");
	gives("{\"a\":\"\\u12g4\"}", " bad");
	gives("{\"a\":\"\\U0041\"}", " bad");
	gives("{\"b\":\"\\u12:4\"}", " bad");
	gives("{\"a\":\"\\u00", " part");
}

static void keys_are_compared_without_their_escapes(void **state)
{
	(void)state;
	gives("{\"mod\\u0065l\":\"m\",\"\\u0073tream\":true}", " 1\"'m\" 2t whole");
	gives("{\"models\":1,\"mode\":2,\"Model\":3,\"\":4,\"mod\\u0065ls\":5}", " whole");
	gives("{\"model\\u0000\":1,\"\\u0000model\":1}", " whole");
	gives("{\"b\\u0065\":{\"mod\\u0065l\":1}}", " whole");
}

static void text_has_a_limit(void **state)
{
	(void)state;
	static char in[2 * LIMIT_JSON_TEXT_BYTES], want[2 * LIMIT_JSON_TEXT_BYTES];
	for (int n = (int)LIMIT_JSON_TEXT_BYTES - 4; n <= (int)LIMIT_JSON_TEXT_BYTES + 4; n++) {
		int kept = n > (int)LIMIT_JSON_TEXT_BYTES ? (int)LIMIT_JSON_TEXT_BYTES : n;
		const char *mark = n > kept ? "~" : "";
		snprintf(in, sizeof(in), "{\"a\":\"%0*d\"}", n, 0);
		snprintf(want, sizeof(want), " 10\"'%0*d\"%s whole", kept, 0, mark);
		gives(in, want);
		snprintf(in, sizeof(in), "{\"a\":1%0*d}", n - 1, 0);
		snprintf(want, sizeof(want), " 10#1%0*d%s whole", kept - 1, 0, mark);
		gives(in, want);
	}
	/* What does not fit whole is left out, and then nothing comes any more. */
	int most = (int)LIMIT_JSON_TEXT_BYTES;
	snprintf(in, sizeof(in), "{\"a\":\"%0*d\\ud83d\\ude00x\"}", most - 4, 0);
	snprintf(want, sizeof(want), " 10\"'%0*d\xf0\x9f\x98\x80\"~ whole", most - 4, 0);
	gives(in, want);
	snprintf(in, sizeof(in), "{\"a\":\"%0*d\\ud83d\\ude00x\"}", most - 3, 0);
	snprintf(want, sizeof(want), " 10\"'%0*d\"~ whole", most - 3, 0);
	gives(in, want);
	snprintf(in, sizeof(in), "{\"%0*d\":1,\"a\":2}", (int)LIMIT_JSON_TEXT_BYTES + 40, 0);
	gives(in, " 10#2 whole");
}

static void numbers(void **state)
{
	(void)state;
	gives("{\"a\":0,\"a\":-0,\"a\":-0.0e-00,\"a\":10.25E+3,\"a\":1e5}",
	      " 10#0 10#-0 10#-0.0e-00 10#10.25E+3 10#1e5 whole");
	static const char *const bad[] = {"01",	  "-",	   "-01", "1.",	  ".5",	  "1.e1", "1e",
					  "1e+",  "+1",	   "0x1", "1.5.", "--1",  "1-1",  "NaN",
					  "-Inf", "1e1e1", "00",  "1 1",  "1E+-1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char in[64];
		snprintf(in, sizeof(in), "{\"b\":%s}", bad[i]);
		gives(in, " bad");
	}
	gives("{\"a\":12", " part");
}

static void documents_of_one_value(void **state)
{
	(void)state;
	gives("12", " whole");
	gives(" 12 ", " whole");
	gives("-", " part");
	gives("1.", " part");
	gives("\"text\"", " whole");
	gives("true", " whole");
	gives("tru", " part");
	gives("null\n", " whole");
	gives("{}", " whole");
	gives("[]", " whole");
	gives("", " part");
	gives("  ", " part");
	gives("1 2", " bad");
	gives("{}{}", " bad");
	gives("[],", " bad");
	gives("nul1", " bad");
	gives("[DONE]", " bad");
}

static void what_is_no_document(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"}",	     "]",	 ",",	       ":",	     "x",      "{]",
		"[}",	     "{1}",	 "{\"a\"}",    "[1,]",	     "[,1]",   "{,}",
		"[1 2]",     "{\"b\":}", "{\"b\":1,}", "{\"b\" 1}",  "[1:2]",  "{\"b\",1}",
		"[\"a\":1]", "[tru]",	 "[nulls]",    "['a']",	     "{b:1}",  "[\"\t\"]",
		"[\"\n\"]",  "[1}",	 "{\"b\":1]",  "[]]",	     "[[]}",   "{\"b\":[}",
		"\v1",	     "\f[]",	 "/**/[]",     "[\"\x1f\"]", "[\x7f]", "\xef\xbb\xbf[]"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		gives(bad[i], " bad");
	gives("{\"model\":\"m\",\"stream\":tru3}", " 1\"'m\" bad");
	pieces_give(&json_subject, span_of("[1\0]", 4), " bad");
	pieces_give(&json_subject, span_of("[]\0", 3), " bad");
	pieces_give(&json_subject, span_of("[\"\0\"]", 5), " bad");
	pieces_give(&json_subject, span_of("[\"\\\0\"]", 6), " bad");
}

static void any_bytes_but_controls_in_strings(void **state)
{
	(void)state;
	gives("{\"a\":\"\xff\xc3\x28\xed\xa0\x80\x7f\"}",
	      " 10\"'\xff\xc3\x28\xed\xa0\x80\x7f\" whole");
}

/* Strings of every length around what is scanned at once, ended by each byte that matters. */
static void strings_of_every_length(void **state)
{
	(void)state;
	char in[128], want[128];
	for (int n = 1; n < 40; n++) {
		snprintf(in, sizeof(in), "{\"b\":\"%0*d\",\"a\":\"%0*d\"}", n, 0, n, 0);
		snprintf(want, sizeof(want), " 10\"'%0*d\" whole", n, 0);
		gives(in, want);
		snprintf(in, sizeof(in), "{\"a\":\"%0*d\\n\"}", n, 0);
		snprintf(want, sizeof(want), " 10\"'%0*d\n\" whole", n, 0);
		gives(in, want);
		snprintf(in, sizeof(in), "[\"%0*d\x1f\"]", n, 0);
		gives(in, " bad");
	}
}

/* ---- nesting ------------------------------------------------------------------------------------ */

static void nested(char *in, size_t levels, const char *open, const char *inside, const char *close)
{
	in[0] = '\0';
	char *at = in;
	for (size_t i = 0; i < levels; i++)
		at = stpcpy(at, open);
	at = stpcpy(at, inside);
	for (size_t i = 0; i < levels; i++)
		at = stpcpy(at, close);
}

static void deep_brackets_are_counted(void **state)
{
	(void)state;
	static char in[1u << 16];
	static struct trace t;
	for (size_t levels = LIMIT_JSON_DEPTH - 2; levels < LIMIT_JSON_DEPTH + 3; levels++) {
		nested(in, levels, "[", "\"]\\\"]\"", "]");
		pieces_run(&json_subject, span_str(in), 1, 1, &t);
		assert_string_equal(t.text, " whole");
		nested(in, levels, "{\"a\":", "7", "}");
		pieces_run(&json_subject, span_str(in), 3, 7, &t);
		assert_non_null(strstr(t.text, " whole"));
		nested(in, levels, "[", "", "]");
		in[strlen(in) - 1] = '\0';
		pieces_run(&json_subject, span_str(in), 1, 5, &t);
		assert_string_equal(t.text, " part");
		nested(in, levels, "[", "", "]");
		in[strlen(in) - 1] = '}';
		pieces_run(&json_subject, span_str(in), 1, 5, &t);
		assert_string_equal(t.text, " bad");
	}
	/* What follows deep nesting is read as ever. */
	nested(in, LIMIT_JSON_DEPTH + 100, "[", "", "]");
	memmove(in + 5, in, strlen(in) + 1);
	memcpy(in, "{\"b\":", 5);
	memcpy(in + strlen(in), ",\"a\":1}", 8);
	pieces_run(&json_subject, span_str(in), 100, 100, &t);
	assert_string_equal(t.text, " 10#1 whole");
}

/* The last level that is checked, and the first that is not. */
static void the_edge_of_the_depth(void **state)
{
	(void)state;
	static char in[8 * LIMIT_JSON_DEPTH];
	static struct trace t;
	const int depth = (int)LIMIT_JSON_DEPTH;
	static const struct {
		int levels;
		const char *rest, *want;
	} cases[] = {
		{0, "x", " bad"},  {0, "}", " bad"},   {0, "]", " part"},   {0, "[x", " part"},
		{1, "x", " part"}, {1, "}", " part"},  {1, "]x", " bad"},   {1, "}x", " bad"},
		{1, "]}", " bad"}, {1, "]]x", " bad"}, {1, "],[", " part"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(in, '[', sizeof(in));
		snprintf(in + depth + cases[i].levels, 16, "%s", cases[i].rest);
		pieces_run(&json_subject, span_str(in), 1, 13, &t);
		assert_string_equal(t.text, cases[i].want);
	}
}

static void the_longest_path(void **state)
{
	(void)state;
	char in[256];
	int len = 0;
	for (char c = 'b'; c <= 'p'; c++)
		len += snprintf(in + len, sizeof(in) - (size_t)len, "{\"%c\":", c);
	snprintf(in + len, sizeof(in) - (size_t)len,
		 "7,\"q\":{\"q\":[1,{}]},\"p\":{\"q\":8}}}}}}}}}}}}}}}}");
	gives(in, " 11#7 11{ 11} whole");
}

static void brackets_without_end(void **state)
{
	(void)state;
	static uint8_t in[4096];
	struct json_event ev;
	memset(in, '[', sizeof(in));
	json_reset(json_traced);
	for (int i = 0; i < 1000; i++) {
		struct span s = span_of(in, sizeof(in));
		assert_int_equal(json_next(json_traced, &s, &ev), STEP_MORE);
	}
	assert_false(json_done(json_traced));
}

static void the_next_document_begins_anew(void **state)
{
	(void)state;
	static const char *const cut[] = {"{\"usage\":{\"completion_tokens\":1", "{\"a\":\"\\ud83d",
					  "x", "[[[[[[", "{\"a\":tr"};
	struct json_event ev;
	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		struct span s = span_str(cut[i]);
		json_reset(json_traced);
		while (json_next(json_traced, &s, &ev) == STEP_EVENT)
			continue;
		gives("{\"a\":\"x\",\"stream\":1}", " 10\"'x\" 2#1 whole");
	}
}

/* ---- the cases of JSONTestSuite ----------------------------------------------------------------- */

static void check_case(DIR *d, const char *name)
{
	static uint8_t in[PIECES_ROOM];
	static struct trace t;
	int fd = openat(dirfd(d), name, O_RDONLY);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "rb");
	assert_non_null(f);
	struct span s = span_of(in, fread(in, 1, sizeof(in), f));
	assert_true(feof(f) || s.len < sizeof(in));
	fclose(f);
	if (s.len < 400)
		pieces_agree(&json_subject, s, &t);
	else
		pieces_run(&json_subject, s, 1, 997, &t);
	bool whole = strstr(t.text, " whole") != NULL;
	if ((name[0] == 'y' && !whole) || (name[0] == 'n' && whole))
		fail_msg("%s:%s", name, t.text);
}

static void json_test_suite(void **state)
{
	(void)state;
	char dir[4000];
	const char *corpora = getenv("INFERWIRE_CORPORA");
	snprintf(dir, sizeof(dir), "%s/json", corpora ? corpora : "../shared/corpora");
	DIR *d = opendir(dir);
	if (!d) {
		print_message("no corpus at %s\n", dir);
		skip();
	}
	unsigned cases = 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		check_case(d, e->d_name);
		cases++;
	}
	closedir(d);
	assert_int_equal(cases, 318);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wanted_values),
		cmocka_unit_test(containers_open_and_close),
		cmocka_unit_test(kinds_of_containers),
		cmocka_unit_test(escapes),
		cmocka_unit_test(keys_are_compared_without_their_escapes),
		cmocka_unit_test(text_has_a_limit),
		cmocka_unit_test(numbers),
		cmocka_unit_test(documents_of_one_value),
		cmocka_unit_test(what_is_no_document),
		cmocka_unit_test(any_bytes_but_controls_in_strings),
		cmocka_unit_test(strings_of_every_length),
		cmocka_unit_test(deep_brackets_are_counted),
		cmocka_unit_test(the_edge_of_the_depth),
		cmocka_unit_test(the_longest_path),
		cmocka_unit_test(brackets_without_end),
		cmocka_unit_test(the_next_document_begins_anew),
		cmocka_unit_test(json_test_suite),
	};
	return cmocka_run_group_tests_name("body/json", tests, set_up, tear_down);
}
