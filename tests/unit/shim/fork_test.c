/*
 * What a forked child makes of the connections that came with it.
 */
#include "tests/unit/shim/records.h"

/* What the hook of fork does in the child, whose tables the kernel wiped. */
static void become_child(void)
{
	struct conn_fresh fresh;
	conn_before_fork(&fresh);
	records();
	assert_true(played_fresh_tables());
	conn_after_fork(&fresh);
}

static void test_a_forked_child_has_what_nothing_was_read_from(void **state)
{
	(void)state;
	conn_accepted(7);
	conn_accepted(8);
	reads(8, "GET ", 0);
	become_child();
	assert_true(conn_watched(7));
	assert_false(conn_watched(8));
	reads(7, "POST", 0);
	writes(7, "HTTP");
	conn_closing(7);
	assert_string_equal(records(), "open 7.1, in 7.1 @0 POST, out 7.1 @0 HTTP, close 7.1");
}

static void test_a_forked_child_that_only_closes_records_nothing(void **state)
{
	(void)state;
	conn_accepted(7);
	conn_accepted(9);
	become_child();
	conn_closing(7);
	conn_closing_range(0, 100);
	assert_false(conn_watched(7) || conn_watched(9));
	assert_string_equal(records(), "");
}

static void test_a_forked_child_moves_a_connection_to_0_and_1(void **state)
{
	(void)state;
	conn_accepted(7);
	become_child();
	conn_duplicated(7, 0);
	conn_duplicated(7, 1);
	conn_closing(7);
	assert_string_equal(records(), "");
	reads(0, "GET ", 0);
	writes(1, "HTTP");
	conn_closing(0);
	assert_string_equal(records(), "open 7.1, in 7.1 @0 GET , out 7.1 @0 HTTP");
	conn_closing(1);
	assert_string_equal(records(), "close 7.1");
}

static void test_a_forked_child_without_a_ring_counts_it_once(void **state)
{
	(void)state;
	conn_accepted(7);
	become_child();
	played.has_ring = false;
	reads(7, "GET ", 0);
	writes(7, "HTTP");
	played.has_ring = true;
	assert_int_equal(played.unwatched, 1);
	assert_false(conn_watched(7));
	assert_string_equal(records(), "");
}

/* Its child may have answered: a close without an answer is no failure of the call. */
static void test_what_was_read_before_a_fork_may_be_a_childs(void **state)
{
	struct conn_fresh fresh;
	(void)state;
	conn_accepted(7);
	conn_accepted(8);
	reads(7, "GET ", 0);
	reads(8, "GET ", 0);
	conn_before_fork(&fresh);
	assert_int_equal(fresh.count, 0);
	writes(8, "HTTP");
	records();
	conn_closing(7);
	conn_closing(8);
	assert_string_equal(records(), "opaque 7.1 (2), close 8.1");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, records_setup)
	const struct CMUnitTest tests[] = {
		TEST(test_a_forked_child_has_what_nothing_was_read_from),
		TEST(test_a_forked_child_that_only_closes_records_nothing),
		TEST(test_a_forked_child_moves_a_connection_to_0_and_1),
		TEST(test_a_forked_child_without_a_ring_counts_it_once),
		TEST(test_what_was_read_before_a_fork_may_be_a_childs),
	};
	return RECORDS_RUN("shim/fork", tests);
}
