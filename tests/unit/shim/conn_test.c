/*
 * Which descriptor stands for which connection, told by the hooks that open, copy and close them.
 */
#include "tests/unit/shim/records.h"

static void test_a_connection_from_accept_to_close(void **state)
{
	(void)state;
	assert_false(conn_watched(7));
	conn_accepted(7);
	assert_true(conn_watched(7));
	reads(7, "GET /", 0);
	reads(7, " HTTP/1.1", MSG_PEEK);
	reads(7, " HTTP/1.1", 0);
	writes(7, "HTTP/1.1 200");
	stream_shut(stream_before_write(7), SHUT_WR);
	after_read(stream_before_read(7), "x", 0, 0);
	after_read(stream_before_read(7), NULL, 0, 0);
	conn_closing(7);
	assert_false(conn_watched(7));
	assert_string_equal(records(), "open 7.1, in 7.1 @0 GET /, in 7.1 @5  HTTP/1.1, "
				       "out 7.1 @0 HTTP/1.1 200, shut 7.1 (1), eof 7.1, close 7.1");
	conn_accepted(7);
	assert_string_equal(records(), "open 7.2");
}

static void test_accept_on_a_live_descriptor_is_the_close_nobody_saw(void **state)
{
	(void)state;
	conn_accepted(7);
	reads(7, "POST", 0);
	conn_accepted(7);
	reads(7, "GET ", 0);
	assert_string_equal(records(),
			    "open 7.1, in 7.1 @0 POST, close 7.1, open 7.2, in 7.2 @0 GET ");
}

static void test_what_is_hidden_from_here_on_is_told(void **state)
{
	(void)state;
	conn_accepted(3);
	reads(3, "GET ", 0);
	stream_hidden(3);
	assert_string_equal(records(), "open 3.1, in 3.1 @0 GET , opaque 3.1 (3)");
	assert_false(conn_watched(3));
	stream_hidden(3);
	conn_accepted(4);
	conn_duplicated(4, 5);
	stream_hidden(5);
	assert_false(conn_watched(4) && conn_lives(conn_of(4)));
	assert_string_equal(records(), "open 4.1, opaque 4.1 (3)");
}

static void test_duplicates_stand_for_one_connection_until_the_last_is_closed(void **state)
{
	(void)state;
	conn_accepted(7);
	reads(7, "GET ", 0);
	conn_duplicated(7, 9);
	conn_duplicated(9, 12);
	writes(12, "HT");
	conn_closing(7);
	writes(9, "TP");
	conn_closing(12);
	assert_string_equal(records(), "open 7.1, in 7.1 @0 GET , out 7.1 @0 HT, out 7.1 @2 TP");
	/* A new connection on 7 has no place while 9 holds the old one. */
	conn_accepted(7);
	assert_false(conn_watched(7));
	assert_int_equal(played.unwatched, 1);
	conn_closing(9);
	assert_string_equal(records(), "close 7.1");
	conn_accepted(7);
	assert_string_equal(records(), "open 7.2");
}

static void test_dup2_over_a_connection_closes_it(void **state)
{
	(void)state;
	conn_accepted(7);
	conn_accepted(8);
	conn_duplicated(2, 7); /* of a descriptor that is not watched */
	assert_false(conn_watched(7));
	conn_duplicated(8, 8);
	assert_string_equal(records(), "open 7.1, open 8.1, close 7.1");
}

static void test_a_range_closes_what_is_watched_in_it(void **state)
{
	(void)state;
	conn_accepted(5);
	conn_accepted(6);
	conn_accepted(8);
	conn_closing_range(6, 7);
	assert_true(conn_watched(5) && conn_watched(8));
	assert_string_equal(records(), "open 5.1, open 6.1, open 8.1, close 6.1");
	conn_closing_range(6, UINT32_MAX);
	assert_true(conn_watched(5));
	assert_string_equal(records(), "close 8.1");
}

static void test_a_vfork_child_changes_nothing(void **state)
{
	(void)state;
	conn_accepted(5);
	played.own_process = false;
	conn_closing(5);
	conn_closing_range(0, UINT32_MAX);
	conn_duplicated(5, 6);
	conn_accepted(9);
	assert_true(conn_watched(5));
	assert_false(conn_watched(6));
	assert_string_equal(records(), "open 5.1");
}

static void test_a_call_that_comes_back_to_another_connection_records_nothing(void **state)
{
	(void)state;
	conn_accepted(5);
	reads(5, "GET ", 0);
	struct stream_mark mark = stream_before_read(5);
	conn_closing(5);
	after_read(mark, "late", 4, 0);
	after_write(mark, "late", 4);
	conn_accepted(5);
	after_read(mark, "late", 4, 0);
	after_write(mark, "late", 4);
	reads(5, "PUT ", 0);
	after_read(mark, "late", 4, 0);
	after_write(mark, "late", 4);
	assert_string_equal(records(), "open 5.1, in 5.1 @0 GET , close 5.1, open 5.2, "
				       "in 5.2 @0 PUT ");
}

static void close_and_accept_5(void)
{
	conn_closing(5);
	conn_accepted(5);
}

/* While the thread that comes late is between its last look at the connection and its record: where the
 * successor's bytes lie does not change. */
static void test_a_successor_begins_at_0_whoever_comes_late(void **state)
{
	(void)state;
	uint64_t offset;
	conn_accepted(5);
	reads(5, "GET ", 0);
	writes(5, "HTTP");
	struct conn_id first = conn_of(5);
	played.meanwhile = close_and_accept_5;
	reads(5, "late", 0);
	assert_false(conn_count(&conn_slots[5].in_bytes, first, 4, &offset));
	assert_false(conn_count(&conn_slots[5].out_bytes, first, 4, &offset));
	reads(5, "PUT ", 0);
	writes(5, "HTTP");
	assert_string_equal(records(),
			    "open 5.1, in 5.1 @0 GET , out 5.1 @0 HTTP, close 5.1, open 5.2, "
			    "in 5.2 @0 PUT , out 5.2 @0 HTTP");
}

static void test_descriptors_past_the_table_are_counted(void **state)
{
	(void)state;
	conn_accepted((int)CONN_MAX);
	conn_accepted((int)CONN_MAX - 1);
	assert_int_equal(played.unwatched, 1);
	assert_true(conn_watched((int)CONN_MAX - 1));
	assert_false(conn_watched((int)CONN_MAX));
	assert_false(conn_watched(-1));
	/* Nor are they taken for those whose place in it they would have. */
	conn_accepted(5);
	assert_true(conn_watched(5));
	assert_false(conn_watched((int)CONN_MAX + 5));
	assert_false(conn_watched((int)(5 - CONN_MAX)));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, records_setup)
	const struct CMUnitTest tests[] = {
		TEST(test_a_connection_from_accept_to_close),
		TEST(test_accept_on_a_live_descriptor_is_the_close_nobody_saw),
		TEST(test_what_is_hidden_from_here_on_is_told),
		TEST(test_duplicates_stand_for_one_connection_until_the_last_is_closed),
		TEST(test_dup2_over_a_connection_closes_it),
		TEST(test_a_range_closes_what_is_watched_in_it),
		TEST(test_a_vfork_child_changes_nothing),
		TEST(test_a_call_that_comes_back_to_another_connection_records_nothing),
		TEST(test_a_successor_begins_at_0_whoever_comes_late),
		TEST(test_descriptors_past_the_table_are_counted),
	};
	return RECORDS_RUN("shim/conn", tests);
}
