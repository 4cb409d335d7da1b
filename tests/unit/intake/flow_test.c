/*
 * Records in, a trace of what the connections were told out.
 */
#include "tests/unit/test.h"

#include "agent/intake/flow.h"

#include <sys/socket.h>

struct fixture {
	struct flow *flow;
	char trace[2000];
	size_t len;
	unsigned next_conn;
	bool refuse;
};
static struct fixture fx;

__attribute__((format(printf, 1, 2))) static void trace(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(fx.trace + fx.len, sizeof(fx.trace) - fx.len, format, args);
	va_end(args);
	assert_true(n >= 0 && (size_t)n < sizeof(fx.trace) - fx.len);
	fx.len += (size_t)n;
}

static unsigned number(void *conn)
{
	return (unsigned)(uintptr_t)conn;
}

static void *on_opened(void *user)
{
	assert_ptr_equal(user, &fx);
	if (fx.refuse)
		return NULL;
	trace("%u:open ", ++fx.next_conn);
	return (void *)(uintptr_t)fx.next_conn;
}

static void on_bytes(void *conn, enum flow_direction d, struct span bytes, uint64_t time_ns)
{
	(void)time_ns;
	trace("%u:%s(%.*s) ", number(conn), d == FLOW_IN ? "in" : "out", (int)bytes.len,
	      (const char *)bytes.at);
}

static void on_gap(void *conn, enum flow_direction d, uint64_t bytes, uint64_t time_ns)
{
	(void)time_ns;
	if (bytes == FLOW_UNKNOWN)
		trace("%u:%s-gap(?) ", number(conn), d == FLOW_IN ? "in" : "out");
	else
		trace("%u:%s-gap(%llu) ", number(conn), d == FLOW_IN ? "in" : "out",
		      (unsigned long long)bytes);
}

static void on_lost_in(void *conn)
{
	trace("%u:lost-in ", number(conn));
}

static void on_eof(void *conn, uint64_t time_ns)
{
	(void)time_ns;
	trace("%u:eof ", number(conn));
}

static void on_shut(void *conn, uint64_t time_ns)
{
	(void)time_ns;
	trace("%u:shut ", number(conn));
}

static void on_failed(void *conn, int error, uint64_t time_ns)
{
	(void)time_ns;
	trace("%u:failed(%d) ", number(conn), error);
}

static void on_ended(void *conn, enum flow_end how, uint64_t time_ns)
{
	(void)time_ns;
	trace("%u:%s ", number(conn),
	      how == FLOW_CLOSED ? "closed"
	      : how == FLOW_DIED ? "died"
				 : "lost");
}

static int setup(void **state)
{
	(void)state;
	fx = (struct fixture){0};
	const struct flow_sink sink = {on_opened, on_bytes,  on_gap,   on_lost_in, on_eof,
				       on_shut,	  on_failed, on_ended, &fx};
	fx.flow = flow_new(&sink);
	return fx.flow ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	flow_free(fx.flow);
	return 0;
}

static void put(enum wire_type type, uint32_t fd, uint32_t generation, uint64_t offset,
		const char *text)
{
	struct ring_record rec = {.type = (uint8_t)type,
				  .fd = fd,
				  .generation = generation,
				  .time_ns = 1,
				  .offset = offset,
				  .payload = span_str(text)};
	flow_record(fx.flow, &rec);
}

static void put_info(enum wire_type type, uint32_t fd, uint32_t generation, uint64_t offset,
		     uint16_t info)
{
	struct ring_record rec = {.type = (uint8_t)type,
				  .fd = fd,
				  .generation = generation,
				  .offset = offset,
				  .info = info};
	flow_record(fx.flow, &rec);
}

static void expect(const char *want)
{
	assert_string_equal(fx.trace, want);
	fx.len = 0;
	fx.trace[0] = '\0';
}

static void test_the_usual_life(void **state)
{
	(void)state;
	put(WIRE_OPEN, 7, 3, 0, "");
	put(WIRE_IN, 7, 3, 0, "GET");
	put(WIRE_OUT, 7, 3, 0, "200");
	put(WIRE_IN, 7, 3, 3, " /");
	put(WIRE_EOF, 7, 3, 5, "");
	put(WIRE_CLOSE, 7, 3, 3, "");
	expect("1:open 1:in(GET) 1:out(200) 1:in( /) 1:eof 1:closed ");
	struct flow_stats s = flow_stats(fx.flow);
	assert_int_equal(s.opened, 1);
	assert_int_equal(s.live, 0);
	assert_int_equal(s.records, 6);
	assert_int_equal(s.bytes, 8);
	assert_int_equal(s.gaps, 0);
}

static void test_connections_do_not_mix(void **state)
{
	(void)state;
	put(WIRE_OPEN, 7, 1, 0, "");
	put(WIRE_OPEN, 100000, 1, 0, "");
	put(WIRE_OPEN, 8, 1, 0, "");
	put(WIRE_IN, 100000, 1, 0, "b");
	put(WIRE_IN, 7, 1, 0, "a");
	put(WIRE_CLOSE, 7, 1, 0, "");
	put(WIRE_IN, 100000, 1, 1, "c");
	expect("1:open 2:open 3:open 2:in(b) 1:in(a) 1:closed 2:in(c) ");
	assert_int_equal(flow_stats(fx.flow).live, 2);
	flow_end(fx.flow, FLOW_DIED, 5);
	expect("3:died 2:died ");
	assert_int_equal(flow_stats(fx.flow).live, 0);
}

static void test_a_jump_is_a_gap_of_known_length(void **state)
{
	(void)state;
	put(WIRE_OPEN, 7, 1, 0, "");
	put(WIRE_IN, 7, 1, 0, "ab");
	put(WIRE_IN, 7, 1, 10, "kl");
	put(WIRE_OUT, 7, 1, 4, "x");
	put(WIRE_EOF, 7, 1, 15, "");
	put(WIRE_CLOSE, 7, 1, 9, "");
	expect("1:open 1:in(ab) 1:in-gap(8) 1:in(kl) 1:out-gap(4) 1:out(x) 1:in-gap(3) 1:eof "
	       "1:out-gap(4) 1:closed ");
	assert_int_equal(flow_stats(fx.flow).gaps, 4);
}

static void test_what_goes_out_tells_that_what_came_in_is_missing(void **state)
{
	(void)state;
	put(WIRE_OPEN, 7, 1, 0, "");
	put(WIRE_IN, 7, 1, 0, "ab");
	struct ring_record rec = {
		.type = WIRE_OUT, .fd = 7, .generation = 1, .payload = span_str("x")};
	rec.info = WIRE_LOST_IN | WIRE_TEXT_OF_TLS;
	flow_record(fx.flow, &rec);
	put(WIRE_OUT, 7, 1, 1, "y");
	put(WIRE_IN, 7, 1, 10, "c");
	expect("1:open 1:in(ab) 1:lost-in 1:out(x) 1:out(y) 1:in-gap(8) 1:in(c) ");
	put(WIRE_OPEN, 8, 1, 0, "");
	rec.fd = 8;
	rec.type = WIRE_IN;
	flow_record(fx.flow, &rec);
	expect("2:open 2:in(x) ");
}

static void test_a_failure_tells_what_was_written_before_it(void **state)
{
	(void)state;
	put(WIRE_OPEN, 7, 1, 0, "");
	put(WIRE_OUT, 7, 1, 0, "ab");
	put_info(WIRE_FAIL, 7, 1, 6, 32);
	put(WIRE_CLOSE, 7, 1, 6, "");
	expect("1:open 1:out(ab) 1:out-gap(4) 1:failed(32) 1:closed ");
}

static void test_the_side_that_is_shut(void **state)
{
	(void)state;
	put(WIRE_OPEN, 7, 1, 0, "");
	put_info(WIRE_SHUT, 7, 1, 0, SHUT_RD);
	put_info(WIRE_SHUT, 7, 1, 0, SHUT_WR);
	put_info(WIRE_SHUT, 7, 1, 0, SHUT_RDWR);
	expect("1:open 1:shut 1:shut ");
}

static void test_bytes_that_were_there_already_contradict(void **state)
{
	(void)state;
	put(WIRE_OPEN, 7, 1, 0, "");
	put(WIRE_IN, 7, 1, 0, "abcd");
	put(WIRE_IN, 7, 1, 2, "cd");
	put(WIRE_IN, 7, 1, 4, "ef");
	put(WIRE_OUT, 7, 1, 0, "x");
	expect("1:open 1:in(abcd) 1:lost ");
	assert_int_equal(flow_stats(fx.flow).live, 1); /* the connection is; its session is not */
	put(WIRE_CLOSE, 7, 1, 1, "");
	put(WIRE_OPEN, 7, 2, 0, "");
	expect("2:open ");
	assert_int_equal(flow_stats(fx.flow).live, 1);
}

static void test_a_close_that_says_less_contradicts(void **state)
{
	(void)state;
	put(WIRE_OPEN, 7, 1, 0, "");
	put(WIRE_OUT, 7, 1, 0, "abcd");
	put(WIRE_CLOSE, 7, 1, 2, "");
	expect("1:open 1:out(abcd) 1:lost ");
	assert_int_equal(flow_stats(fx.flow).live, 0);
}

static void test_a_successor_ends_what_lost_its_close(void **state)
{
	(void)state;
	put(WIRE_OPEN, 7, 3, 0, "");
	put(WIRE_OPEN, 7, 4, 0, "");
	put(WIRE_IN, 7, 6, 0, "x");
	expect("1:open 1:lost 2:open 2:lost 3:open 3:in(x) ");
	assert_int_equal(flow_stats(fx.flow).opened, 3);
	assert_int_equal(flow_stats(fx.flow).live, 1);
}

static void test_a_lost_open_is_implied(void **state)
{
	(void)state;
	put(WIRE_IN, 7, 1, 0, "GET");
	put(WIRE_OUT, 7, 1, 0, "200");
	expect("1:open 1:in(GET) 1:out(200) ");
}

static void test_a_connection_is_joined_in_the_middle(void **state)
{
	(void)state;
	put(WIRE_OUT, 7, 1, 500, "x");
	put(WIRE_IN, 7, 1, 30, "y");
	put(WIRE_OUT, 7, 1, 501, "z");
	expect("1:open 1:in-gap(?) 1:out-gap(?) 1:out(x) 1:in-gap(30) 1:in(y) 1:out(z) ");
	put(WIRE_EOF, 8, 1, 40, "");
	put(WIRE_IN, 8, 1, 40, "n");
	expect("2:open 2:in-gap(?) 2:out-gap(?) 2:eof 2:in(n) ");
}

static void test_nothing_but_an_end_opens_nothing(void **state)
{
	(void)state;
	put(WIRE_CLOSE, 7, 1, 100, "");
	put_info(WIRE_OPAQUE, 8, 1, 0, WIRE_OPAQUE_TLS);
	expect("");
	assert_int_equal(flow_stats(fx.flow).opened, 0);
	assert_int_equal(flow_stats(fx.flow).encrypted, 1);
	put(WIRE_IN, 7, 1, 100, "late");
	expect("");
}

/* Another thread's record that came after the close, and a predecessor's. */
static void test_what_comes_late_is_nobodys(void **state)
{
	(void)state;
	put(WIRE_OPEN, 7, 3, 0, "");
	put(WIRE_CLOSE, 7, 3, 0, "");
	put(WIRE_IN, 7, 3, 0, "late");
	put_info(WIRE_FAIL, 7, 3, 9, 104);
	put(WIRE_CLOSE, 7, 3, 0, "");
	expect("1:open 1:closed ");
	put(WIRE_OPEN, 7, 4, 0, "");
	put(WIRE_OUT, 7, 3, 0, "late");
	put(WIRE_CLOSE, 7, 2, 0, "");
	put(WIRE_OPEN, 7, 4, 0, "");
	put(WIRE_IN, 7, 4, 0, "a");
	expect("2:open 2:in(a) ");
	assert_int_equal(flow_stats(fx.flow).opened, 2);
	assert_int_equal(flow_stats(fx.flow).live, 1);
}

static void test_what_cannot_be_read_ends_there(void **state)
{
	(void)state;
	put(WIRE_OPEN, 7, 1, 0, "");
	put_info(WIRE_OPAQUE, 7, 1, 0, WIRE_OPAQUE_TLS);
	put(WIRE_OPEN, 8, 1, 0, "");
	put_info(WIRE_OPAQUE, 8, 1, 0, WIRE_OPAQUE_OTHER);
	put(WIRE_IN, 8, 1, 0, "x");
	expect("1:open 1:lost 2:open 2:lost ");
	assert_int_equal(flow_stats(fx.flow).encrypted, 1);
	assert_int_equal(flow_stats(fx.flow).opaque, 1);
	assert_int_equal(flow_stats(fx.flow).live, 0);
}

static void expect_kinds(uint64_t http, uint64_t tls, uint64_t encrypted, uint64_t opaque)
{
	struct flow_stats s = flow_stats(fx.flow);
	assert_int_equal(s.http, http);
	assert_int_equal(s.tls, tls);
	assert_int_equal(s.encrypted, encrypted);
	assert_int_equal(s.opaque, opaque);
}

static void put_text(enum wire_type type, uint32_t fd, uint32_t generation, uint64_t offset,
		     uint16_t info)
{
	struct ring_record rec = {.type = (uint8_t)type,
				  .info = info,
				  .fd = fd,
				  .generation = generation,
				  .offset = offset,
				  .payload = span_str("x")};
	flow_record(fx.flow, &rec);
}

static void test_each_connection_is_of_one_kind(void **state)
{
	(void)state;
	put(WIRE_OPEN, 3, 1, 0, "");
	put(WIRE_OPEN, 4, 1, 0, "");
	put(WIRE_OPEN, 5, 1, 0, "");
	put(WIRE_CLOSE, 5, 1, 0, ""); /* nothing was said */
	expect_kinds(0, 0, 0, 0);
	put_text(WIRE_IN, 3, 1, 0, 0);
	put_text(WIRE_OUT, 3, 1, 0, 0);
	put_text(WIRE_IN, 4, 1, 0, WIRE_TEXT_OF_TLS);
	put_text(WIRE_OUT, 4, 1, 0, WIRE_TEXT_OF_TLS);
	expect_kinds(1, 1, 0, 0);
	put_info(WIRE_OPAQUE, 3, 1, 0, WIRE_OPAQUE_TLS); /* it was counted */
	put_info(WIRE_OPAQUE, 3, 1, 0, WIRE_OPAQUE_TLS);
	expect_kinds(1, 1, 0, 0);
	put_info(WIRE_OPAQUE, 6, 2, 0, WIRE_OPAQUE_TLS); /* its OPEN was dropped */
	put_info(WIRE_OPAQUE, 6, 2, 0, WIRE_OPAQUE_TLS);
	put_info(WIRE_OPAQUE, 6, 1, 0, WIRE_OPAQUE_OTHER); /* late */
	expect_kinds(1, 1, 1, 0);
	put(WIRE_OPEN, 3, 2, 0, "");
	put_info(WIRE_OPAQUE, 3, 2, 0, WIRE_OPAQUE_OTHER);
	put_text(WIRE_IN, 4, 2, 0, 0);
	expect_kinds(2, 1, 1, 1);
	flow_end(fx.flow, FLOW_DIED, 1);
	expect_kinds(2, 1, 1, 1);
}

static void test_what_is_known_of_a_descriptor(void **state)
{
	(void)state;
	assert_int_equal(flow_knows(fx.flow, 7, 100), FLOW_NOT_TOLD);
	put(WIRE_OPEN, 7, 1, 0, "");
	put_info(WIRE_OPAQUE, 8, 1, 0, WIRE_OPAQUE_TLS);
	assert_int_equal(flow_knows(fx.flow, 7, 100), FLOW_OPEN);
	assert_int_equal(flow_knows(fx.flow, 7, 101), FLOW_NOT_TOLD);
	assert_int_equal(flow_knows(fx.flow, 7, 100), FLOW_OPEN);
	assert_int_equal(flow_knows(fx.flow, 8, 100), FLOW_UNREAD);
	assert_int_equal(flow_knows(fx.flow, 9, 100), FLOW_NOT_TOLD);
	assert_int_equal(flow_knows(fx.flow, UINT32_MAX, 100), FLOW_NOT_TOLD);
	put(WIRE_OPEN, 8, 2, 0, "");
	put(WIRE_CLOSE, 8, 2, 0, "");
	assert_int_equal(flow_knows(fx.flow, 8, 100), FLOW_NOT_TOLD);
	put_info(WIRE_OPAQUE, 7, 1, 0, WIRE_OPAQUE_OTHER);
	assert_int_equal(flow_knows(fx.flow, 7, 100), FLOW_UNREAD);
	flow_forget_unread(fx.flow);
	assert_int_equal(flow_knows(fx.flow, 7, 100), FLOW_UNREAD);
	flow_forget_unread(fx.flow);
	assert_int_equal(flow_knows(fx.flow, 7, 100), FLOW_NOT_TOLD);
}

static bool is_even(void *user, uint32_t fd)
{
	assert_ptr_equal(user, &fx);
	return fd % 2 == 0;
}

static void test_a_check_looks_at_the_open_ones_of_its_lane(void **state)
{
	(void)state;
	for (uint32_t fd = 5; fd < 9; fd++)
		put(WIRE_OPEN, fd, 1, 0, "");
	put(WIRE_CLOSE, 7, 1, 0, "");
	expect("1:open 2:open 3:open 4:open 3:closed ");
	flow_check(fx.flow, 0, 2, is_even, &fx, 1);
	expect("");
	flow_check(fx.flow, 1, 2, is_even, &fx, 1);
	expect("1:lost ");
	assert_int_equal(flow_stats(fx.flow).live, 2);
}

static void test_a_connection_that_is_not_followed_is_counted(void **state)
{
	(void)state;
	fx.refuse = true;
	put(WIRE_OPEN, 7, 1, 0, "");
	put(WIRE_IN, 7, 1, 5, "x");
	put(WIRE_EOF, 7, 1, 6, "");
	put_info(WIRE_SHUT, 7, 1, 0, SHUT_WR);
	put(WIRE_CLOSE, 7, 1, 0, "");
	put(WIRE_OUT, 8, 1, 100, "x");
	expect("");
	assert_int_equal(flow_stats(fx.flow).opened, 2);
	assert_int_equal(flow_stats(fx.flow).live, 1);
}

static void test_numbers_that_cannot_be(void **state)
{
	(void)state;
	put(WIRE_OPEN, UINT32_MAX, 1, 0, "");
	put(WIRE_IN, 1u << 20, 1, 0, "x");
	put(WIRE_OPEN, 7, 0, 0, "");
	expect("");
	put(WIRE_OPEN, 7, UINT32_MAX, 0, "");
	put(WIRE_IN, 7, UINT32_MAX, UINT64_MAX - 1, "abcd");
	put(WIRE_IN, 7, UINT32_MAX, 2, "e");
	put(WIRE_CLOSE, 7, UINT32_MAX, UINT64_MAX, "");
	expect("1:open 1:in-gap(18446744073709551614) 1:in(abcd) 1:in(e) "
	       "1:out-gap(?) 1:closed ");
}

/* A server whose limit is raised: each descriptor of the shim's table has its connection. */
static void test_descriptors_above_65535(void **state)
{
	(void)state;
	static const uint32_t fds[] = {4464, 65535, 65536, 70000, (1u << 20) - 1};
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		put(WIRE_OPEN, fds[i], 1, 0, "");
	expect("1:open 2:open 3:open 4:open 5:open ");
	put(WIRE_IN, 70000, 1, 0, "x"); /* 70,000 is 4,464 in 16 bits */
	put(WIRE_CLOSE, (1u << 20) - 1, 1, 0, "");
	expect("4:in(x) 5:closed ");
	assert_int_equal(flow_stats(fx.flow).live, 4);
}

static void test_what_is_open_is_lost_when_the_flow_goes(void **state)
{
	(void)state;
	put(WIRE_OPEN, 7, 1, 0, "");
	flow_free(fx.flow);
	fx.flow = NULL;
	expect("1:open 1:lost ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_usual_life),
		TEST(test_connections_do_not_mix),
		TEST(test_a_jump_is_a_gap_of_known_length),
		TEST(test_what_goes_out_tells_that_what_came_in_is_missing),
		TEST(test_a_failure_tells_what_was_written_before_it),
		TEST(test_the_side_that_is_shut),
		TEST(test_bytes_that_were_there_already_contradict),
		TEST(test_a_close_that_says_less_contradicts),
		TEST(test_a_successor_ends_what_lost_its_close),
		TEST(test_a_lost_open_is_implied),
		TEST(test_a_connection_is_joined_in_the_middle),
		TEST(test_nothing_but_an_end_opens_nothing),
		TEST(test_what_comes_late_is_nobodys),
		TEST(test_what_cannot_be_read_ends_there),
		TEST(test_each_connection_is_of_one_kind),
		TEST(test_what_is_known_of_a_descriptor),
		TEST(test_a_check_looks_at_the_open_ones_of_its_lane),
		TEST(test_a_connection_that_is_not_followed_is_counted),
		TEST(test_numbers_that_cannot_be),
		TEST(test_descriptors_above_65535),
		TEST(test_what_is_open_is_lost_when_the_flow_goes),
	};
	return cmocka_run_group_tests_name("intake/flow", tests, NULL, NULL);
}
