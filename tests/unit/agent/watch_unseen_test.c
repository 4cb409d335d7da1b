/*
 * Connections that the kernel knows and the ring does not.
 */
#include "tests/unit/agent/watched.h"

#include <arpa/inet.h>
#include <sys/socket.h>

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, watched_setup, watched_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_connections_that_the_ring_did_not_tell_of),
		TEST(test_connections_of_a_time_before_this_agent_are_not_called_unseen),
		TEST(test_connections_whose_records_are_missing_are_not_called_unseen),
		TEST(test_another_namespace_is_not_looked_at),
	};
	return cmocka_run_group_tests_name("agent/watch_unseen", tests, NULL, NULL);
}
