/*
 * Real connections of this process, as the kernel knows them, beside records that tell of some. The
 * process that is looked at is our own.
 */
#include "tests/unit/test.h"

#include "agent/intake/unseen.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
	struct unseen *unseen;
	struct flow *flow;
	struct process process;
	int listener;
	uint16_t port;
	bool complete;
	uint64_t elsewhere; /* the inode that another process was told of */
};
static struct fixture fx;

static void *on_opened(void *user)
{
	(void)user;
	return NULL;
}

static void make_flow(void)
{
	const struct flow_sink sink = {.opened =
					       on_opened}; /* not followed: nothing more is told */
	fx.flow = flow_new(&sink);
}

static int open_listener(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const struct sockaddr *a = family == AF_INET ? (void *)&a4 : (void *)&a6;
	if (bind(fd, a, family == AF_INET ? sizeof(a4) : sizeof(a6)) != 0 || listen(fd, 128) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int setup(void **state)
{
	(void)state;
	fx = (struct fixture){.complete = true, .process.pid = (uint32_t)getpid()};
	fx.unseen = unseen_new();
	make_flow();
	fx.listener = open_listener(AF_INET);
	assert_true(fx.listener >= 0);
	return fx.unseen && fx.flow ? 0 : -1;
}

/* All descriptors of a test are gone when the next one begins. */
static int teardown(void **state)
{
	(void)state;
	unseen_free(fx.unseen);
	flow_free(fx.flow);
	closefrom(3);
	return 0;
}

/* A connection to the listener; its two descriptors. */
struct pair {
	int client, server;
};

static struct pair connected_to(int listener)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	struct pair p = {.client = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	assert_int_equal(connect(p.client, (struct sockaddr *)&a, len), 0);
	p.server = accept(listener, NULL, NULL);
	assert_true(p.server >= 0);
	return p;
}

static void told(enum wire_type type, int fd, uint32_t generation)
{
	struct ring_record rec = {.type = (uint8_t)type,
				  .info = type == WIRE_OPAQUE ? WIRE_OPAQUE_TLS : 0,
				  .fd = (uint32_t)fd,
				  .generation = generation};
	flow_record(fx.flow, &rec);
}

static bool is_elsewhere(void *user, uint64_t inode)
{
	assert_ptr_equal(user, &fx);
	return inode == fx.elsewhere;
}

static int look(void)
{
	const struct unseen_known known = {fx.flow, fx.complete, is_elsewhere, &fx};
	int err;
	while ((err = unseen_look(fx.unseen, &fx.process, &known)) == 1)
		;
	if (!err)
		flow_forget_unread(fx.flow);
	return err;
}

static void looks(unsigned n, uint64_t not_seen)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(look(), 0);
	assert_int_equal(unseen_total(fx.unseen).not_seen, not_seen);
	assert_int_equal(unseen_total(fx.unseen).io_uring, 0);
}

static uint64_t inode_of(int fd)
{
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void test_a_connection_counts_at_the_second_look_and_once(void **state)
{
	(void)state;
	struct pair p = connected_to(fx.listener);
	looks(1, 0);
	assert_false(unseen_has(fx.unseen, inode_of(p.server)));
	looks(1, 1);
	assert_true(unseen_has(fx.unseen, inode_of(p.server)));
	assert_false(unseen_has(fx.unseen, inode_of(p.client)));
	assert_false(unseen_has(fx.unseen, inode_of(fx.listener)));
	looks(3, 1);
	/* Its duplicate is the same connection; another is another. */
	assert_true(dup(p.server) >= 0);
	looks(3, 1);
	connected_to(fx.listener);
	looks(3, 2);
	close(p.server);
	looks(2, 2);
}

static void test_what_the_ring_told_of_is_not_counted(void **state)
{
	(void)state;
	struct pair early = connected_to(fx.listener), late = connected_to(fx.listener);
	struct pair encrypted = connected_to(fx.listener);
	told(WIRE_OPEN, early.server, 1);
	told(WIRE_OPAQUE, encrypted.server, 1);
	looks(1, 0);
	told(WIRE_OPEN, late.server, 1); /* its record was on the way */
	looks(3, 0);
	assert_true(unseen_has(fx.unseen, inode_of(encrypted.server)));
	/* Its descriptor is used again, by one that nobody told of. */
	close(encrypted.server);
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	getsockname(fx.listener, (struct sockaddr *)&a, &len);
	int client = fcntl(socket(AF_INET, SOCK_STREAM, 0), F_DUPFD, 500);
	close(encrypted.server);
	assert_int_equal(connect(client, (struct sockaddr *)&a, len), 0);
	assert_int_equal(accept(fx.listener, NULL, NULL), encrypted.server);
	looks(3, 1);
}

/* It is accepted and found unreadable while a look goes on that had read its descriptor before. */
static void test_what_comes_and_goes_during_a_look(void **state)
{
	(void)state;
	const struct unseen_known known = {fx.flow, true, is_elsewhere, &fx};
	struct pair p = connected_to(fx.listener);
	assert_int_equal(unseen_look(fx.unseen, &fx.process, &known), 1);
	assert_int_equal(unseen_look(fx.unseen, &fx.process, &known), 1);
	told(WIRE_OPEN, p.server, 1);
	told(WIRE_OPAQUE, p.server, 1);
	looks(3, 0);
}

static void test_outbound_and_waiting_ones_are_not_counted(void **state)
{
	(void)state;
	struct pair p = connected_to(fx.listener);
	told(WIRE_OPEN, p.server, 1); /* p.client is outbound */
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	getsockname(fx.listener, (struct sockaddr *)&a, &len);
	int waits = socket(AF_INET, SOCK_STREAM, 0), two[2];
	assert_int_equal(connect(waits, (struct sockaddr *)&a, len), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, two), 0);
	looks(3, 0);
	/* A port that nobody listens on any more may be anything. */
	int other = open_listener(AF_INET);
	connected_to(other);
	close(other);
	looks(3, 0);
}

static void test_the_other_family(void **state)
{
	(void)state;
	int listener = open_listener(AF_INET6);
	if (listener < 0)
		skip();
	connected_to(listener);
	looks(2, 1);
}

static void test_records_that_may_be_missing_are_nobodys_fault(void **state)
{
	(void)state;
	struct pair before = connected_to(fx.listener);
	fx.complete = false;
	looks(1, 0);
	fx.complete = true;
	looks(3, 0);
	connected_to(fx.listener);
	looks(1, 0);
	fx.complete = false; /* its record may have been lost meanwhile */
	looks(1, 0);
	fx.complete = true;
	looks(3, 0);
	connected_to(fx.listener);
	looks(2, 1);
	close(before.server);
}

static void test_a_process_that_shares_the_socket_was_told(void **state)
{
	(void)state;
	struct pair p = connected_to(fx.listener);
	looks(1, 0);
	fx.elsewhere = inode_of(p.server);
	looks(1, 0);
	fx.elsewhere = 0;
	looks(2, 0);
}

/* dup(9) = 10, close(9): the flow has it at 9. */
static void test_a_duplicate_that_outlives_what_was_told(void **state)
{
	(void)state;
	struct pair p = connected_to(fx.listener);
	told(WIRE_OPEN, p.server, 1);
	looks(1, 0);
	assert_true(dup(p.server) >= 0);
	close(p.server);
	looks(3, 0);
	/* Its descriptor is used again, by a client's. */
	assert_int_equal(connected_to(fx.listener).client, p.server);
	looks(3, 1);
	told(WIRE_CLOSE, p.server, 1);
	looks(2, 1);
}

/* As before, but no look came in between: one of the two is the one that was told. */
static void test_a_duplicate_that_nobody_saw_at_home(void **state)
{
	(void)state;
	struct pair p = connected_to(fx.listener);
	int home = 600;
	told(WIRE_OPEN, home, 1);
	looks(3, 0);
	connected_to(fx.listener);
	looks(3, 1);
	told(WIRE_CLOSE, home, 1);
	looks(2, 2);
	close(p.server);
}

static void test_looks_that_fail_change_nothing(void **state)
{
	(void)state;
	connected_to(fx.listener);
	looks(1, 0);
	fx.process.pid = INT32_MAX;
	assert_int_equal(look(), -ENOENT);
	fx.process.pid = (uint32_t)getpid();
	fx.process.start_ticks = 1; /* another process had that pid */
	assert_int_equal(look(), -ESRCH);
	fx.process.start_ticks = 0;
	looks(1, 1);
	fx.process.pid = INT32_MAX;
	assert_int_equal(look(), -ENOENT);
	fx.process.pid = (uint32_t)getpid();
	looks(2, 1);
}

static void test_a_process_that_is_not_ours(void **state)
{
	(void)state;
	if (geteuid() == 0) { /* the kernel refuses root nothing: be somebody */
		pid_t child = fork();
		if (child == 0) {
			fx.process.pid = 1;
			_exit(setresuid(65534, 65534, 65534) == 0 && look() == -EACCES ? 0 : 1);
		}
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
		return;
	}
	fx.process.pid = 1;
	assert_int_equal(look(), -EACCES);
}

/* struct io_uring_params is 120 bytes, zero is a fair wish. */
static void test_a_process_with_an_io_uring(void **state)
{
	(void)state;
	uint64_t params[15] = {0};
	int ring = (int)syscall(SYS_io_uring_setup, 4, params);
	if (ring < 0)
		skip();
	connected_to(fx.listener);
	assert_int_equal(look(), 0);
	assert_int_equal(look(), 0);
	assert_int_equal(unseen_total(fx.unseen).io_uring, 1);
	close(ring);
	connected_to(fx.listener);
	assert_int_equal(look(), 0);
	assert_int_equal(look(), 0);
	assert_int_equal(unseen_total(fx.unseen).io_uring, 1);
	assert_int_equal(unseen_total(fx.unseen).not_seen, 1);
}

/* More than one piece of the kernel's lists, and descriptors in another order than inodes. */
static void test_many(void **state)
{
	(void)state;
	enum { MANY = 400 };
	for (int i = 0; i < MANY; i++) {
		struct pair p = connected_to(fx.listener);
		int server = fcntl(p.server, F_DUPFD, 3000 - i);
		assert_int_equal(server, 3000 - i);
		close(p.server);
		if (i % 2)
			told(WIRE_OPEN, server, 1);
	}
	looks(3, MANY / 2);
	/* None of them was taken for another. */
	flow_end(fx.flow, FLOW_CLOSED, 1);
	looks(3, MANY / 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_connection_counts_at_the_second_look_and_once),
		TEST(test_what_the_ring_told_of_is_not_counted),
		TEST(test_what_comes_and_goes_during_a_look),
		TEST(test_outbound_and_waiting_ones_are_not_counted),
		TEST(test_the_other_family),
		TEST(test_records_that_may_be_missing_are_nobodys_fault),
		TEST(test_a_process_that_shares_the_socket_was_told),
		TEST(test_a_duplicate_that_outlives_what_was_told),
		TEST(test_a_duplicate_that_nobody_saw_at_home),
		TEST(test_looks_that_fail_change_nothing),
		TEST(test_a_process_that_is_not_ours),
		TEST(test_a_process_with_an_io_uring),
		TEST(test_many),
	};
	return cmocka_run_group_tests_name("intake/unseen", tests, NULL, NULL);
}
