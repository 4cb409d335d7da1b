/*
 * Which descriptors that come and go in messages become, stay and cease to be watched. The messages'
 * control data are written here; what the descriptors are is asked of real sockets.
 */
#include "tests/unit/shim/played_boot.h"

#include "shim/handover.h"
#include "shim/stream.h"
#include "shim/sys.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/un.h>

/* The libc's names are the shim's hooks here, which lead nowhere. */
static void shut(int fd)
{
	sys1(SYS_close, fd);
}

/* A listener, a client's end and the accepted end. */
static int listener, client, served;

static void listen_and_accept(const struct sockaddr *name, socklen_t len)
{
	listener = socket(name->sa_family, SOCK_STREAM, 0);
	client = socket(name->sa_family, SOCK_STREAM, 0);
	struct sockaddr_storage bound;
	socklen_t bound_len = sizeof(bound);
	assert_int_equal(bind(listener, name, len), 0);
	assert_int_equal(sys2(SYS_listen, listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&bound, &bound_len), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&bound, bound_len), 0);
	served = (int)sys3(SYS_accept, listener, NULL, NULL);
	assert_true(served >= 0);
}

static int setup(void **state)
{
	(void)state;
	static _Alignas(64) uint8_t map[PLAYED_MAP_BYTES(WIRE_LANE_BYTES_MIN)];
	memset(map, 0, sizeof(map));
	struct sockaddr_in name = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	listen_and_accept((struct sockaddr *)&name, sizeof(name));
	return played_begin(map, WIRE_LANE_BYTES_MIN) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	shut(listener);
	shut(client);
	shut(served);
	return 0;
}

/* The types of all records so far, and forgets them. */
static const char *records(void)
{
	static const char *const names[] = {"?",    "pad ",  "open ",  "in ",	"out ",
					    "eof ", "shut ", "close ", "fail ", "opaque "};
	static char text[256];
	struct wire_record *r;
	text[0] = '\0';
	while ((r = played_record())) {
		strncat(text, names[r->type], sizeof(text) - strlen(text) - 1);
		played_lane()->tail += r->length;
	}
	return text;
}

/* Room for some control data, aligned as a program's is. */
static union {
	struct cmsghdr first;
	uint8_t bytes[512];
} control;

/* Appends control data to the message. */
static void add(struct msghdr *msg, int level, int type, const int *values, size_t n)
{
	struct cmsghdr *c = (struct cmsghdr *)(control.bytes + msg->msg_controllen);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), values, n * sizeof(int));
	msg->msg_control = control.bytes;
	msg->msg_controllen += CMSG_SPACE(n * sizeof(int));
}

static struct msghdr rights(const int *fds, size_t n)
{
	memset(&control, 0, sizeof(control));
	struct msghdr msg = {0};
	add(&msg, SOL_SOCKET, SCM_RIGHTS, fds, n);
	return msg;
}

static void received(int fd)
{
	struct msghdr msg = rights(&fd, 1);
	handover_received(&msg);
}

static void reads(int fd, const char *bytes)
{
	struct iovec iov = {(void *)(uintptr_t)bytes, strlen(bytes)};
	stream_after_read(stream_before_read(fd), &iov, (ssize_t)iov.iov_len, true, 0);
}

static void test_a_connection_that_arrives_is_one_of_ours(void **state)
{
	(void)state;
	received(served);
	assert_true(conn_watched(served));
	reads(served, "GET /");
	assert_string_equal(records(), "open in ");
}

static void test_what_is_no_accepted_connection_is_not_watched(void **state)
{
	(void)state;
	int pair[2], file = open("/dev/null", O_RDONLY), fresh = socket(AF_INET, SOCK_STREAM, 0);
	int datagrams = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	int fds[] = {file, fresh, datagrams, pair[0], listener, 9999, -1};
	struct msghdr msg = rights(fds, sizeof(fds) / sizeof(*fds));
	handover_received(&msg);
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		assert_false(conn_watched(fds[i]));
	assert_string_equal(records(), "");
	shut(file);
	shut(fresh);
	shut(datagrams);
	shut(pair[0]);
	shut(pair[1]);
}

static void test_an_accepted_unix_socket_has_a_name(void **state)
{
	(void)state;
	teardown(NULL);
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	/* Any abstract name that is free. */
	listen_and_accept((struct sockaddr *)&name, sizeof(sa_family_t));
	received(served);
	assert_true(conn_watched(served));
	received(client);
	assert_false(conn_watched(client));
}

/* The number was a connection's, which was closed where nobody saw it. */
static void test_a_number_does_not_inherit_what_it_stood_for(void **state)
{
	(void)state;
	conn_accepted(served);
	reads(served, "GET /");
	shut(served);
	assert_int_equal(open("/dev/null", O_RDONLY), served);
	received(served);
	assert_false(conn_watched(served));
	assert_string_equal(records(), "open in close ");
}

static void test_a_connection_in_place_of_another(void **state)
{
	(void)state;
	conn_accepted(served);
	reads(served, "GET /");
	received(served);
	assert_true(conn_watched(served));
	assert_string_equal(records(), "open in close open ");
}

static void test_a_connection_that_is_sent_away(void **state)
{
	(void)state;
	struct msghdr msg = rights(&served, 1);
	conn_accepted(served);
	handover_sent(&msg);
	assert_true(conn_watched(served));
	assert_string_equal(records(), "open ");
	reads(served, "GET /");
	handover_sent(&msg);
	assert_false(conn_watched(served));
	assert_string_equal(records(), "in opaque ");
	handover_sent(&msg);
	assert_string_equal(records(), "");
}

static void test_every_part_of_the_control_data_is_seen_and_no_more(void **state)
{
	(void)state;
	struct msghdr msg = {0};
	memset(&control, 0, sizeof(control));
	int other = client;
	add(&msg, SOL_SOCKET, SCM_CREDENTIALS, (int[]){served, served, served}, 3);
	handover_received(&msg);
	assert_false(conn_watched(served));
	add(&msg, SOL_SOCKET, SCM_RIGHTS, (int[]){listener, served}, 2);
	add(&msg, SOL_SOCKET, SCM_RIGHTS, &other, 1);
	handover_received(&msg);
	assert_true(conn_watched(served));
	assert_true(conn_watched(other));
}

static void test_lengths_that_cannot_be_are_not_followed(void **state)
{
	(void)state;
	struct msghdr msg = rights(&served, 1);
	static const size_t lengths[] = {0, 1, sizeof(struct cmsghdr) - 1, CMSG_LEN(8) + 1,
					 SIZE_MAX - 7};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		control.first.cmsg_len = lengths[i];
		handover_received(&msg);
	}
	control.first.cmsg_len = CMSG_LEN(sizeof(int));
	for (msg.msg_controllen = 0; msg.msg_controllen < CMSG_LEN(sizeof(int));
	     msg.msg_controllen++)
		handover_received(&msg);
	assert_string_equal(records(), "");
	handover_received(&msg);
	assert_string_equal(records(), "open ");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_connection_that_arrives_is_one_of_ours),
		TEST(test_what_is_no_accepted_connection_is_not_watched),
		TEST(test_an_accepted_unix_socket_has_a_name),
		TEST(test_a_number_does_not_inherit_what_it_stood_for),
		TEST(test_a_connection_in_place_of_another),
		TEST(test_a_connection_that_is_sent_away),
		TEST(test_every_part_of_the_control_data_is_seen_and_no_more),
		TEST(test_lengths_that_cannot_be_are_not_followed),
	};
	return cmocka_run_group_tests_name("shim/handover", tests, NULL, NULL);
}
