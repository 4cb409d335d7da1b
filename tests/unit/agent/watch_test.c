/*
 * One watched process, from the bytes in its ring to its metrics. The module is no part of a stage's
 * archive: it is included here.
 */
#include "tests/unit/agent/exchange.h"
#include "tests/unit/intake/live_process.h"

#include "agent/report.c"
#include "agent/watch.c"

#include <arpa/inet.h>
#include <sys/socket.h>

#define LANES	   2u
#define LANE_BYTES WIRE_LANE_BYTES_MIN

struct fixture {
	struct made_ring m;
	struct directory dir;
	struct watch *watch;
	pid_t server;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	made_directory(&f->m);
	f->server = start_sleeper("server");
	made_ring_file(&f->m, "1-2-0.ring", (uint32_t)f->server, ticks_of(f->server), LANES,
		       LANE_BYTES);
	f->dir.fd = f->m.dir_fd;
	f->watch = watch_new(&f->dir, f->m.name, NULL);
	assert_non_null(f->watch);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	watch_free(f->watch);
	end_child(&f->server);
	made_ring_remove(&f->m);
	free(f);
	return 0;
}

/* All there is, and a look at the whole ring. */
static void drain(struct fixture *f)
{
	f->watch->quiet_drains = QUIET_DRAINS;
	while (watch_drain(f->watch))
		;
}

/* The sum of a metric's points; those with `error` only, unless it is CALL_ERRORS. */
static int64_t sum_of(struct fixture *f, enum metrics_id id, enum call_error error)
{
	struct export_process e = {0};
	int64_t sum = 0;
	assert_true(watch_export(f->watch, &e, false));
	for (size_t i = 0; i < metrics_snapshot_count(e.metrics, id); i++) {
		struct metrics_point p = metrics_snapshot_point(e.metrics, id, i);
		if (error == CALL_ERRORS || p.labels.error == error)
			sum += metrics_instruments[id].kind == METRICS_HISTOGRAM ? (int64_t)p.count
										 : p.value;
	}
	metrics_snapshot_free(e.metrics);
	return sum;
}

static int64_t all_of(struct fixture *f, enum metrics_id id)
{
	return sum_of(f, id, CALL_ERRORS);
}

static int64_t connections(struct fixture *f, enum metrics_tally which)
{
	struct export_process e = {0};
	int64_t value = 0;
	assert_true(watch_export(f->watch, &e, false));
	for (size_t i = 0; i < metrics_snapshot_count(e.metrics, METRICS_CONNECTIONS); i++) {
		struct metrics_point p = metrics_snapshot_point(e.metrics, METRICS_CONNECTIONS, i);
		if (p.labels.tally == which)
			value = p.value;
	}
	metrics_snapshot_free(e.metrics);
	return value;
}

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

static void put_opaque(struct fixture *f, uint32_t fd, uint16_t why)
{
	const struct ring_note note = {
		.type = WIRE_OPAQUE, .info = why, .fd = fd, .generation = 1, .time = 1};
	ring_put_control(&f->m.producer, &note);
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

/* ---- connections that the kernel knows and the ring does not ---- */

static bool nowhere(void *user, uint64_t inode)
{
	(void)user;
	(void)inode;
	return false;
}

/* One look, to its end; false if none was to be had. */
static bool look(struct fixture *f, uint64_t now_ns)
{
	if (!watch_look(f->watch, now_ns, 50, nowhere, NULL))
		return false;
	while (f->watch->looking)
		assert_true(watch_look(f->watch, now_ns, 50, nowhere, NULL));
	return true;
}

static void looks(struct fixture *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		f->watch->next_look_ns = 0;
		look(f, 1000);
	}
}

/* The watched process is this one. Reads what is in the ring. */
static void watch_ourselves(struct fixture *f)
{
	made_header(&f->m)->pid = (uint32_t)getpid();
	made_header(&f->m)->start_ticks = ticks_of(getpid());
	watch_free(f->watch);
	f->watch = watch_new(&f->dir, f->m.name, NULL);
	assert_non_null(f->watch);
	drain(f);
}

/* A connection to ourselves. Returns the accepted descriptor. */
static int connect_raw(int *client)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	*client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(connect(*client, (struct sockaddr *)&a, len), 0);
	int fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	return fd;
}

static void test_connections_that_the_ring_did_not_tell_of(void **state)
{
	struct fixture *f = *state;
	int client;
	watch_ourselves(f);
	connect_raw(&client);
	looks(f, 1);
	assert_false(look(f, 1049)); /* not yet */
	assert_int_equal(connections(f, METRICS_CONN_UNSEEN), 0);
	assert_true(look(f, 1050));
	looks(f, 2);
	assert_int_equal(connections(f, METRICS_CONN_UNSEEN), 1);
	assert_int_equal(watch_stats(f->watch).unseen.not_seen, 1);
	/* Encrypted ones, of which nothing more is told, are known. */
	int fd = connect_raw(&client);
	put_opaque(f, (uint32_t)fd, WIRE_OPAQUE_TLS);
	drain(f);
	looks(f, 3);
	assert_int_equal(connections(f, METRICS_CONN_UNSEEN), 1);
	assert_int_equal(connections(f, METRICS_CONN_ENCRYPTED), 1);
	/* Another image has the process now; what was counted stays. */
	watch_superseded(f->watch);
	connect_raw(&client);
	looks(f, 2);
	watch_finish(f->watch);
	assert_int_equal(connections(f, METRICS_CONN_UNSEEN), 1);
	closefrom(client - 1);
}

/* An agent that ended had read their records. */
static void test_connections_of_a_time_before_this_agent_are_not_called_unseen(void **state)
{
	struct fixture *f = *state;
	int client, fd = connect_raw(&client);
	put_request(&f->m, (uint32_t)fd);
	drain(f);
	watch_ourselves(f);
	looks(f, 4);
	assert_int_equal(connections(f, METRICS_CONN_UNSEEN), 0);
	connect_raw(&client);
	looks(f, 3);
	assert_int_equal(connections(f, METRICS_CONN_UNSEEN), 1);
	closefrom(fd - 2);
}

static void test_connections_whose_records_are_missing_are_not_called_unseen(void **state)
{
	struct fixture *f = *state;
	int client;
	watch_ourselves(f);
	int fd = connect_raw(&client);
	looks(f, 1);
	made_lane(&f->m, 0)->dropped_controls = 1;
	looks(f, 3);
	assert_int_equal(connections(f, METRICS_CONN_UNSEEN), 0);
	/* They are in the ring, behind one that is not complete. */
	uint32_t other = (uint32_t)connect_raw(&client);
	put_request(&f->m, other);
	made_record(&f->m, other % LANES, 0)->length |= WIRE_BUSY;
	drain(f);
	looks(f, 3);
	made_record(&f->m, other % LANES, 0)->length &= ~WIRE_BUSY;
	drain(f);
	looks(f, 3);
	assert_int_equal(connections(f, METRICS_CONN_UNSEEN), 0);
	closefrom(fd - 2);
}

static void test_another_namespace_is_not_looked_at(void **state)
{
	struct fixture *f = *state;
	int client;
	int fd = connect_raw(&client);
	made_header(&f->m)->pid_ns++;
	watch_ourselves(f);
	looks(f, 3);
	assert_int_equal(connections(f, METRICS_CONN_UNSEEN), 0);
	closefrom(fd - 2);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_call_becomes_metrics),
		TEST(test_the_death_of_the_process_ends_its_calls),
		TEST(test_what_the_ring_lost_is_in_metrics_and_status),
		TEST(test_a_second_agent_goes_on_where_the_first_was),
		TEST(test_connections_are_counted_by_kind),
		TEST(test_connections_that_the_ring_did_not_tell_of),
		TEST(test_connections_of_a_time_before_this_agent_are_not_called_unseen),
		TEST(test_connections_whose_records_are_missing_are_not_called_unseen),
		TEST(test_another_namespace_is_not_looked_at),
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
