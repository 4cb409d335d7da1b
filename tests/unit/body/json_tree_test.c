#include "tests/unit/test.h"

#include "agent/body/json_tree.h"

static bool compiles(const char *path, uint16_t id)
{
	const struct json_want want = {path, id};
	struct json_tree *t = json_tree_new(&want, 1);
	json_tree_free(t);
	return t != NULL;
}

static void what_is_a_path(void **state)
{
	(void)state;
	assert_true(compiles("a", 1));
	assert_true(compiles("a", UINT16_MAX));
	assert_true(compiles("a.b", 1));
	assert_true(compiles("a[]", 1));
	assert_true(compiles("[]", 1));
	assert_true(compiles("[][]", 1));
	assert_true(compiles("[].a", 1));
	assert_true(compiles("a[][].b[].c", 1));
	assert_false(compiles("", 1));
	assert_false(compiles(".", 1));
	assert_false(compiles(".a", 1));
	assert_false(compiles("a.", 1));
	assert_false(compiles("a..b", 1));
	assert_false(compiles("a.[]", 1));
	assert_false(compiles("[]a", 1));
	assert_false(compiles("[", 1));
	assert_false(compiles("a[0]", 1));
	assert_false(compiles("a", 0));
}

static void limits_of_a_path(void **state)
{
	(void)state;
	assert_true(compiles("0123456789012345678901234567890123456789", 1));
	assert_false(compiles("01234567890123456789012345678901234567890", 1));
	assert_true(compiles("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o", 1));
	assert_false(compiles("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p", 1));
	assert_true(compiles("[][][][][][][][][][][][][][][]", 1));
	assert_false(compiles("[][][][][][][][][][][][][][][][]", 1));
}

static void a_path_is_wanted_once(void **state)
{
	(void)state;
	const struct json_want twice[] = {{"a.b", 1}, {"c", 2}, {"a.b", 3}};
	assert_null(json_tree_new(twice, 3));
	struct json_tree *t = json_tree_new(twice, 2);
	assert_non_null(t);
	json_tree_free(t);
	t = json_tree_new(NULL, 0);
	assert_non_null(t);
	json_tree_free(t);
	json_tree_free(NULL);
}

static uint16_t child(const struct json_tree *t, uint16_t node, const char *key)
{
	return json_tree_child(t, node, span_str(key));
}

static void paths_share_their_starts(void **state)
{
	(void)state;
	const struct json_want wants[] = {
		{"choices[].delta.content", 1},
		{"choices[].delta.role", 2},
		{"choices", 3},
		{"choices[].text", 4},
		{"error", 5},
		{"error.type", 6},
	};
	struct json_tree *t = json_tree_new(wants, 6);
	assert_non_null(t);
	uint16_t choices = child(t, JSON_DOCUMENT, "choices");
	assert_int_equal(t->nodes[choices].id, 3);
	uint16_t choice = t->nodes[choices].element;
	uint16_t delta = child(t, choice, "delta");
	assert_int_equal(t->nodes[choice].id, 0);
	assert_int_equal(t->nodes[delta].id, 0);
	assert_int_equal(t->nodes[child(t, delta, "content")].id, 1);
	assert_int_equal(t->nodes[child(t, delta, "role")].id, 2);
	assert_int_equal(t->nodes[child(t, choice, "text")].id, 4);
	uint16_t error = child(t, JSON_DOCUMENT, "error");
	assert_int_equal(t->nodes[error].id, 5);
	assert_int_equal(t->nodes[child(t, error, "type")].id, 6);
	/* Nowhere leads nowhere, and so does any other key. */
	assert_int_equal(child(t, JSON_DOCUMENT, "choice"), JSON_NOWHERE);
	assert_int_equal(child(t, JSON_DOCUMENT, "chokces"), JSON_NOWHERE);
	assert_int_equal(child(t, JSON_DOCUMENT, ""), JSON_NOWHERE);
	assert_int_equal(child(t, JSON_NOWHERE, "choices"), JSON_NOWHERE);
	assert_int_equal(t->nodes[JSON_NOWHERE].element, JSON_NOWHERE);
	assert_int_equal(t->nodes[error].element, JSON_NOWHERE);
	json_tree_free(t);
}

static void many_keys(void **state)
{
	(void)state;
	static char names[500][8];
	static struct json_want wants[500];
	for (unsigned i = 0; i < 500; i++) {
		snprintf(names[i], sizeof(names[i]), "k%u", i * 7919u % 500u);
		wants[i] = (struct json_want){names[i], (uint16_t)(i + 1)};
	}
	struct json_tree *t = json_tree_new(wants, 500);
	assert_non_null(t);
	for (unsigned i = 0; i < 500; i++)
		assert_int_equal(t->nodes[child(t, JSON_DOCUMENT, names[i])].id, i + 1);
	assert_int_equal(child(t, JSON_DOCUMENT, "k500"), JSON_NOWHERE);
	json_tree_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_a_path),
		cmocka_unit_test(limits_of_a_path),
		cmocka_unit_test(a_path_is_wanted_once),
		cmocka_unit_test(paths_share_their_starts),
		cmocka_unit_test(many_keys),
	};
	return cmocka_run_group_tests_name("body/json_tree", tests, NULL, NULL);
}
