/*
 * What moved over a watched connection, as records of the ring.
 */
#include "tests/unit/shim/records.h"

#include "shim/sys.h"

/* The time of the record that is next to be read, which is passed over. */
static uint64_t next_time(enum wire_type type)
{
	struct wire_record *r = played_record();
	assert_non_null(r);
	assert_int_equal(r->type, type);
	played_lane()->tail += r->length;
	return r->time;
}

/* What the server does is stamped before the peer can know of it, what the client does after it. */
static void test_which_side_of_a_call_its_stamp_is_of(void **state)
{
	(void)state;
	played.now_ns = 1;
	conn_accepted(7);
	struct stream_mark mark = stream_before_read(7);
	played.now_ns = 2;
	after_read(mark, "GET /", 5, 0);
	mark = stream_before_write(7);
	played.now_ns = 3;
	after_write(mark, "GET /", 5);
	mark = stream_before_write(7);
	played.now_ns = 4;
	stream_shut(mark, SHUT_WR);
	assert_int_equal(next_time(WIRE_OPEN), 1);
	assert_int_equal(next_time(WIRE_IN), 2);
	assert_int_equal(next_time(WIRE_OUT), 2);
	assert_int_equal(next_time(WIRE_SHUT), 3);
}

/* A server that waits with epoll closes a connection whose client left, and reads no end of it. */
static void test_a_departure_that_nobody_read_is_told_before_the_close(void **state)
{
	(void)state;
	for (int n = 0; n < 3; n++) {
		int pair[2], leaves = n == 1;
		/* A seccomp filter may kill for a call that the program does not make. */
		played.may_call = n < 2;
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		conn_accepted(pair[0]);
		reads(pair[0], "GET /", 0);
		if (n)
			sys2(SYS_shutdown, pair[1], SHUT_WR);
		records();
		stream_before_farewell(conn_of(pair[0]), pair[0]);
		assert_int_equal(strncmp(records(), "eof", 3) == 0, leaves);
		conn_closing(pair[0]);
		const char *said = records();
		assert_non_null(strstr(said, "close"));
		assert_int_equal(strncmp(said, "eof", 3) == 0, leaves);
		sys1(SYS_close, pair[0]);
		sys1(SYS_close, pair[1]);
	}
}

static void test_what_is_not_http_is_told_once_and_left_alone(void **state)
{
	(void)state;
	static const struct {
		const char *first, *want;
	} rows[] = {
		{"\xff", "open 9.1, opaque 9.1 (2)"},
		{"get /", "open 9.1, opaque 9.1 (2)"},
		{" GET", "open 9.1, opaque 9.1 (2)"},
		{"G", "open 9.1, in 9.1 @0 G"},
		{"PRI * H", "open 9.1, in 9.1 @0 PRI * H"},
		{"M-SEARCH *", "open 9.1, in 9.1 @0 M-SEARCH *"},
		{"ABCDEFGHIJKLMNOPQ", "open 9.1, opaque 9.1 (2)"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		records_setup(NULL);
		conn_accepted(9);
		reads(9, rows[i].first, 0);
		assert_string_equal(records(), rows[i].want);
		conn_closing(9);
		conn_accepted(9);
		assert_non_null(strstr(records(), "open 9.2"));
	}
}

static void test_a_server_that_speaks_first_is_no_http_server(void **state)
{
	(void)state;
	conn_accepted(3);
	writes(3, "220 mail");
	assert_string_equal(records(), "open 3.1, opaque 3.1 (2)");
	assert_false(conn_watched(3));
}

static void test_a_server_of_http2_may_speak_first(void **state)
{
	(void)state;
	static const char settings[] = "\0\0\6\4\0\0\0\0\0\0\3\0\0\0\144";
	static const struct {
		const char *bytes;
		size_t len;
		bool is;
	} rows[] = {
		{settings, 15, true},
		{"\0\0\0\4\0\0\0\0\0", 9, true},
		{"\0\0\0\4\0\0\0\0", 8, false},
		{"\0\0\0\4\1\0\0\0\0", 9, false},
		{"\0\0\0\4\0\0\0\0\1", 9, false},
		{"\0\0\5\4\0\0\0\0\0", 9, false},
		{"\0\0\0\6\0\0\0\0\0", 9, false},
		{"\0\1\0\4\0\0\0\0\0", 9, false},
		{"\1\0\0\4\0\0\0\0\0", 9, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iovec iov[2] = {{(void *)(uintptr_t)rows[i].bytes, 5},
				       {(void *)(uintptr_t)(rows[i].bytes + 5), rows[i].len - 5}};
		records_setup(NULL);
		conn_accepted(3);
		stream_after_write(stream_before_write(3), iov, (ssize_t)rows[i].len, 0);
		assert_int_equal(conn_watched(3), rows[i].is);
		reads(3, "PRI", 0);
		assert_true(!strstr(records(), "in 3.1 @0 PRI") == !rows[i].is);
	}
}

static void test_unseen_bytes_are_a_gap_of_known_length(void **state)
{
	(void)state;
	conn_accepted(5);
	reads(5, "GET ", 0);
	reads(5, "xyz", MSG_TRUNC);
	reads(5, "abc", 0);
	writes(5, "a");
	stream_written_unseen(stream_before_write(5), 1000);
	writes(5, "b");
	assert_string_equal(records(), "open 5.1, in 5.1 @0 GET , in 5.1 @7 abc, out 5.1 @0 a, "
				       "out 5.1 @1001 b");
}

/* Whatever the next library says: no byte behind the buffer is read. */
static void test_more_than_the_buffer_is_a_gap(void **state)
{
	(void)state;
	if (!one_buffer) /* of a vector only its maker knows the end */
		return;
	conn_accepted(5);
	reads(5, "GET ", 0);
	after_read(stream_before_read(5), "ab", 3, 0);
	after_write(stream_before_write(5), "ab", 3);
	reads(5, "c", 0);
	writes(5, "d");
	assert_string_equal(records(), "open 5.1, in 5.1 @0 GET , in 5.1 @7 c, out 5.1 @3 d");
}

static void test_a_long_call_becomes_several_records(void **state)
{
	(void)state;
	static char bytes[WIRE_PAYLOAD_MAX + 5];
	memset(bytes, 'y', sizeof(bytes) - 1);
	conn_accepted(5);
	reads(5, "GET ", 0);
	records();
	writes(5, bytes);
	struct wire_record *r = played_record();
	assert_non_null(r);
	assert_int_equal(r->length, WIRE_RECORD_BYTES + WIRE_PAYLOAD_MAX);
	r = (struct wire_record *)((uint8_t *)r + r->length);
	assert_int_equal(r->length, WIRE_RECORD_BYTES + 8);
	assert_int_equal(r->pad, 4);
	assert_int_equal(r->offset, WIRE_PAYLOAD_MAX);
}

static void test_a_full_lane_counts_what_it_drops(void **state)
{
	(void)state;
	static char bytes[1001];
	memset(bytes, 'y', sizeof(bytes) - 1);
	conn_accepted(5);
	reads(5, "GET ", 0);
	for (unsigned i = 0; i < 100; i++)
		writes(5, bytes);
	struct wire_lane *lane = played_lane();
	uint64_t kept = lane->head / 1032;
	assert_int_equal(kept, (LANE_BYTES - WIRE_LANE_RESERVE) / 1032);
	assert_int_equal(lane->dropped_records, 100 - kept);
	assert_int_equal(lane->dropped_bytes, 1000 * (100 - kept));
	assert_int_equal(conn_counted(&conn_slots[5].out_bytes), 100000);
}

/* As if nobody read it, or all of it. */
static void be_full(bool full)
{
	struct wire_lane *lane = played_lane();
	lane->tail = full ? lane->head - LANE_BYTES : lane->head;
	boot_ring.lane[0].tail_seen = lane->tail;
}

/* The answer may be the next record that fits, and the last one. */
static void test_an_answer_tells_that_a_part_of_the_request_is_missing(void **state)
{
	(void)state;
	conn_accepted(5);
	reads(5, "PUT ", 0);
	writes(5, "HTTP");
	be_full(true);
	writes(5, "lost");
	be_full(false);
	writes(5, "x");
	assert_string_equal(records(), "out 5.1 @8 x");
	be_full(true);
	reads(5, "lost", 0);
	writes(5, "lost");
	be_full(false);
	writes(5, "a");
	writes(5, "b");
	assert_string_equal(records(), "out 5.1 @13 a (2), out 5.1 @14 b");
	be_full(true);
	reads(5, "lost", 0);
	be_full(false);
	reads(5, "c", 0);
	writes(5, "d");
	assert_string_equal(records(), "in 5.1 @12 c, out 5.1 @15 d");
	/* What the kernel moved unseen is missing, too. */
	stream_read_unseen(stream_before_read(5), 7);
	writes(5, "e");
	stream_written_unseen(stream_before_write(5), 7);
	writes(5, "f");
	assert_string_equal(records(), "out 5.1 @16 e (2), out 5.1 @24 f");
}

/* And from the next record on in another where it is changed. */
static void test_times_are_in_the_clock_of_the_header(void **state)
{
	(void)state;
	struct wire_header *h = (struct wire_header *)boot_ring.map;
	h->clock = WIRE_CLOCK_COUNTER;
	uint64_t before = wire_counter();
	conn_accepted(5);
	struct stream_mark read = stream_before_read(5), write = stream_before_write(5);
	uint64_t between = wire_counter();
	after_read(read, "GET ", 4, 0);
	after_write(write, "x", 1);
	uint64_t after = wire_counter() | WIRE_TIME_COUNTER;
	before |= WIRE_TIME_COUNTER;
	between |= WIRE_TIME_COUNTER;
	uint64_t opened = next_time(WIRE_OPEN), in = next_time(WIRE_IN), out = next_time(WIRE_OUT);
	assert_true(before <= opened && opened <= between);
	assert_true(between <= in && in <= after);
	assert_true(opened <= out && out <= between);
	h->clock = WIRE_CLOCK_MONOTONIC;
	played.now_ns = 8;
	reads(5, "a", 0);
	writes(5, "b");
	assert_int_equal(next_time(WIRE_IN), 8);
	assert_int_equal(next_time(WIRE_OUT), 8);
}

static void test_failures_that_end_a_connection_are_told(void **state)
{
	(void)state;
	conn_accepted(5);
	after_read(stream_before_read(5), "x", -1, 0);
	*fake_errno_location() = EAGAIN;
	after_read(stream_before_read(5), "x", -1, 0);
	*fake_errno_location() = EPIPE;
	after_write(stream_before_write(5), NULL, -1);
	char want[64];
	snprintf(want, sizeof(want), "open 5.1, fail 5.1 (%d), fail 5.1 (%d)", ECONNRESET, EPIPE);
	assert_string_equal(records(), want);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, records_setup)
	const struct CMUnitTest tests[] = {
		TEST(test_which_side_of_a_call_its_stamp_is_of),
		TEST(test_a_departure_that_nobody_read_is_told_before_the_close),
		TEST(test_what_is_not_http_is_told_once_and_left_alone),
		TEST(test_a_server_that_speaks_first_is_no_http_server),
		TEST(test_a_server_of_http2_may_speak_first),
		TEST(test_unseen_bytes_are_a_gap_of_known_length),
		TEST(test_more_than_the_buffer_is_a_gap),
		TEST(test_a_long_call_becomes_several_records),
		TEST(test_a_full_lane_counts_what_it_drops),
		TEST(test_an_answer_tells_that_a_part_of_the_request_is_missing),
		TEST(test_times_are_in_the_clock_of_the_header),
		TEST(test_failures_that_end_a_connection_are_told),
	};
	return RECORDS_RUN("shim/stream", tests);
}
