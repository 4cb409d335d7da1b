/*
 * One watched process, from the bytes in its ring to its metrics.
 */
#include "tests/unit/agent/watched.h"

static void test_a_call_becomes_metrics(void **state)
{
	struct fixture *f = *state;
	put_request(&f->m, 8);
	drain(f);
	assert_int_equal(all_of(f, METRICS_CONCURRENT_REQUESTS), 1);
	put_response(&f->m, 8);
	drain(f);
	assert_int_equal(all_of(f, METRICS_CONCURRENT_REQUESTS), 0);
	assert_int_equal(sum_of(f, METRICS_REQUESTS_TOTAL, CALL_OK), 1);
	assert_int_equal(all_of(f, METRICS_REQUEST_DURATION), 1);
	struct watch_stats s = watch_stats(f->watch);
	assert_int_equal(s.calls_started, 1);
	assert_int_equal(s.calls_ended, 1);
	assert_int_equal(s.calls_lost, 0);
	assert_int_equal(s.flow.live, 0);
	assert_false(watch_has_ended(f->watch));
}

static void test_the_death_of_the_process_ends_its_calls(void **state)
{
	struct fixture *f = *state;
	put_request(&f->m, 8);
	put_request(&f->m, 9);
	drain(f);
	end_child(&f->server);
	put_response(&f->m, 9); /* it was in the ring before */
	assert_true(watch_has_ended(f->watch));
	drain(f);
	watch_finish(f->watch);
	assert_int_equal(sum_of(f, METRICS_REQUESTS_TOTAL, CALL_SERVER_CRASH), 1);
	assert_int_equal(sum_of(f, METRICS_REQUESTS_TOTAL, CALL_OK), 1);
	assert_int_equal(all_of(f, METRICS_CONCURRENT_REQUESTS), 0);
	assert_int_equal(watch_pidfd(f->watch), -1);
}

static void test_what_the_ring_lost_is_in_metrics_and_status(void **state)
{
	struct fixture *f = *state;
	made_lane(&f->m, 0)->dropped_records = 5;
	made_lane(&f->m, 1)->dropped_records = 2;
	made_lane(&f->m, 1)->dropped_bytes = 999;
	drain(f);
	drain(f);
	assert_int_equal(all_of(f, METRICS_RECORDS_DROPPED), 7);
	assert_int_equal(watch_stats(f->watch).dropped_records, 7);
	assert_int_equal(watch_stats(f->watch).dropped_bytes, 999);
}

static void begin_again(struct fixture *f)
{
	watch_free(f->watch);
	f->watch = watch_new(&f->dir, f->m.name, NULL);
	assert_non_null(f->watch);
	drain(f);
}

/* The sums of two agents that followed each other are those of one: what the first has exported is not
 * told again, and what was lost while there was none is. */
static void test_a_second_agent_goes_on_where_the_first_was(void **state)
{
	struct fixture *f = *state;
	put_request(&f->m, 8);
	made_lane(&f->m, 0)->dropped_records = 5;
	made_header(&f->m)->unwatched = 3;
	drain(f);
	assert_int_equal(all_of(f, METRICS_RECORDS_DROPPED), 5);
	assert_int_equal(connections(f, METRICS_CONN_UNWATCHED), 3);
	assert_int_equal(connections(f, METRICS_CONN_HTTP), 1);
	made_lane(&f->m, 0)->dropped_records = 7; /* which it does not export any more */
	drain(f);
	begin_again(f);
	assert_int_equal(all_of(f, METRICS_RECORDS_DROPPED), 2);
	assert_int_equal(connections(f, METRICS_CONN_UNWATCHED), 0);
	made_lane(&f->m, 1)->dropped_records = 1;
	made_header(&f->m)->unwatched = 4;
	put_response(&f->m, 8);
	put_request(&f->m, 9);
	drain(f);
	assert_int_equal(all_of(f, METRICS_RECORDS_DROPPED), 3);
	assert_int_equal(connections(f, METRICS_CONN_UNWATCHED), 1);
	assert_int_equal(connections(f, METRICS_CONN_HTTP), 1);
}

static void test_connections_are_counted_by_kind(void **state)
{
	struct fixture *f = *state;
	put_request(&f->m, 8);
	put_opaque(f, 9, WIRE_OPAQUE_TLS);
	put_opaque(f, 11, WIRE_OPAQUE_OTHER);
	put_opaque(f, 12, WIRE_OPAQUE_OTHER);
	made_header(&f->m)->unwatched = 4;
	drain(f);
	assert_int_equal(connections(f, METRICS_CONN_HTTP), 1);
	assert_int_equal(connections(f, METRICS_CONN_TLS), 0);
	assert_int_equal(connections(f, METRICS_CONN_ENCRYPTED), 1);
	assert_int_equal(connections(f, METRICS_CONN_OPAQUE), 2);
	assert_int_equal(connections(f, METRICS_CONN_UNWATCHED), 4);
	/* What the process, which we do not trust, takes back. */
	made_header(&f->m)->unwatched = 3;
	assert_int_equal(connections(f, METRICS_CONN_UNWATCHED), 4);
}

/* A ring in which nothing comes costs little, and hides nothing for long. */
static void test_a_quiet_ring_is_looked_at_now_and_then(void **state)
{
	struct fixture *f = *state;
	drain(f);
	made_lane(&f->m, 0)->dropped_records = 5;
	for (unsigned i = 0; i < QUIET_DRAINS; i++)
		assert_int_equal(watch_drain(f->watch), 0);
	assert_int_equal(all_of(f, METRICS_RECORDS_DROPPED), 0);
	watch_drain(f->watch);
	assert_int_equal(all_of(f, METRICS_RECORDS_DROPPED), 5);
	made_lane(&f->m, 0)->dropped_records = 6;
	put_request(&f->m, 8);
	watch_drain(f->watch); /* not quiet any more */
	assert_int_equal(all_of(f, METRICS_RECORDS_DROPPED), 6);
}

static void test_a_broken_ring_is_an_end(void **state)
{
	struct fixture *f = *state;
	put_request(&f->m, 8);
	put_request(&f->m, 9);
	drain(f);
	made_lane(&f->m, 0)->head = UINT64_MAX;
	drain(f);
	assert_int_equal(all_of(f, METRICS_CALLS_LOST), 1);
	assert_int_equal(all_of(f, METRICS_CONCURRENT_REQUESTS), 1);
	assert_false(watch_has_ended(f->watch));
	put_response(&f->m, 9);
	drain(f);
	assert_int_equal(sum_of(f, METRICS_REQUESTS_TOTAL, CALL_OK), 1);
	made_lane(&f->m, 1)->head = UINT64_MAX;
	drain(f);
	assert_true(watch_has_ended(f->watch));
	assert_true(watch_is_broken(f->watch));
	watch_finish(f->watch);
	assert_int_equal(sum_of(f, METRICS_REQUESTS_TOTAL, CALL_SERVER_CRASH), 0);
	assert_int_equal(all_of(f, METRICS_CONCURRENT_REQUESTS), 0);
	assert_int_equal(all_of(f, METRICS_RECORDS_DROPPED), 2);
}

/* Its CLOSE did not fit. What the kernel says of the descriptor, a while later, decides. */
static void test_connections_whose_close_was_lost_are_looked_for(void **state)
{
	struct fixture *f = *state;
	uint32_t open_fd = (uint32_t)f->m.dir_fd; /* the server has it from us */
	uint32_t lane = open_fd % LANES, closed_fd = 4000 + lane;
	put_request(&f->m, open_fd);
	put_request(&f->m, closed_fd);
	drain(f);
	made_lane(&f->m, lane)->dropped_controls = 1;
	drain(f);
	assert_int_equal(all_of(f, METRICS_CONCURRENT_REQUESTS), 2);
	assert_true(f->watch->lane[lane].check_at_ns > 0);
	f->watch->lane[lane].check_at_ns = 1;
	drain(f);
	assert_int_equal(watch_stats(f->watch).calls_lost, 1);
	assert_int_equal(all_of(f, METRICS_CONCURRENT_REQUESTS), 1);
	assert_int_equal(f->watch->lane[lane].check_at_ns, 0);
}

static void test_the_end_of_the_process_is_not_taken_for_lost_closes(void **state)
{
	struct fixture *f = *state;
	put_request(&f->m, 4000);
	drain(f);
	made_lane(&f->m, 0)->dropped_controls = 1;
	f->watch->lane[0].check_at_ns = 1;
	end_child(&f->server);
	drain(f);
	assert_true(watch_has_ended(f->watch));
	watch_finish(f->watch);
	assert_int_equal(sum_of(f, METRICS_REQUESTS_TOTAL, CALL_SERVER_CRASH), 1);
	assert_int_equal(watch_stats(f->watch).calls_lost, 0);
}

static void test_an_image_that_exec_replaced_has_ended(void **state)
{
	struct fixture *f = *state;
	assert_false(watch_has_ended(f->watch));
	watch_superseded(f->watch);
	assert_true(watch_has_ended(f->watch));
}

/* Its pid means nothing here; its map does. */
static void test_a_process_of_another_namespace_lives_by_its_ring(void **state)
{
	struct fixture *f = *state;
	made_header(&f->m)->pid_ns++;
	watch_free(f->watch);
	f->watch = watch_new(&f->dir, f->m.name, NULL);
	assert_non_null(f->watch);
	put_request(&f->m, 8);
	drain(f);
	end_child(&f->server); /* not it: a process of our namespace with its pid */
	assert_int_equal(watch_pidfd(f->watch), -1);
	assert_false(watch_has_ended(f->watch));
	munmap(f->m.map, f->m.bytes);
	f->m.map = NULL;
	assert_true(watch_has_ended(f->watch));
	watch_finish(f->watch);
	assert_int_equal(sum_of(f, METRICS_REQUESTS_TOTAL, CALL_SERVER_CRASH), 1);
}

/* A record that is waited for fills its lane; more looks would not help it. */
static void test_a_lane_that_does_not_move_does_not_hurry(void **state)
{
	struct fixture *f = *state;
	put_request(&f->m, 8);
	made_record(&f->m, 0, 0)->length |= WIRE_BUSY;
	assert_int_equal(watch_drain(f->watch), 0);
	made_record(&f->m, 0, 0)->length &= ~WIRE_BUSY;
	assert_true(watch_drain(f->watch) > 0);
	assert_int_equal(watch_drain(f->watch), 0);
}

static void test_what_is_no_ring(void **state)
{
	struct fixture *f = *state;
	assert_null(watch_new(&f->dir, "9-9-9.ring", NULL));
	assert_int_equal(errno, ENOENT);
	made_header(&f->m)->version++;
	assert_null(watch_new(&f->dir, f->m.name, NULL));
	assert_int_equal(errno, EPROTO);
	made_header(&f->m)->magic = 0;
	assert_null(watch_new(&f->dir, f->m.name, NULL));
	assert_int_equal(errno, EINVAL);
}

/* RFC 9562 5.4. */
static void test_the_instance_is_a_random_uuid(void **state)
{
	struct fixture *f = *state;
	struct watch *other = watch_new(&f->dir, f->m.name, NULL);
	const char *id = f->watch->instance_id;
	assert_int_equal(strlen(id), 36);
	assert_int_equal(strspn(id, "0123456789abcdef-"), 36);
	assert_int_equal(id[14], '4');
	assert_non_null(strchr("89ab", id[19]));
	assert_string_not_equal(id, other->instance_id);
	watch_free(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, watched_setup, watched_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_call_becomes_metrics),
		TEST(test_the_death_of_the_process_ends_its_calls),
		TEST(test_what_the_ring_lost_is_in_metrics_and_status),
		TEST(test_a_second_agent_goes_on_where_the_first_was),
		TEST(test_connections_are_counted_by_kind),
		TEST(test_a_quiet_ring_is_looked_at_now_and_then),
		TEST(test_a_broken_ring_is_an_end),
		TEST(test_connections_whose_close_was_lost_are_looked_for),
		TEST(test_the_end_of_the_process_is_not_taken_for_lost_closes),
		TEST(test_a_process_of_another_namespace_lives_by_its_ring),
		TEST(test_an_image_that_exec_replaced_has_ended),
		TEST(test_a_lane_that_does_not_move_does_not_hurry),
		TEST(test_what_is_no_ring),
		TEST(test_the_instance_is_a_random_uuid),
	};
	return cmocka_run_group_tests_name("agent/watch", tests, NULL, NULL);
}
