/*
 * What the hooks tell about descriptors and bytes, against the records that come of it. The shim's
 * life in a process (boot.h) is played by this file.
 */
#include "tests/unit/test.h"

#include <sys/socket.h>

#include "shim/boot.h"
#include "shim/conn.h"
#include "shim/real.h"
#include "shim/ring.h"
#include "shim/stream.h"
#include "shim/sys.h"
#include "shim/tls.h"

#define LANE_BYTES WIRE_LANE_BYTES_MIN

bool boot_enabled = true;
bool boot_wipe_missing;
struct ring boot_ring;
struct shim_real shim_real;
static bool own_process;
static int unwatched;

void boot_activate(void)
{
}

void boot_serve(void)
{
}

void boot_activate_for_one(void)
{
}

static bool may_call;
bool boot_may_call(void)
{
	return may_call;
}

static bool has_ring = true;
bool boot_has_ring(void)
{
	return own_process && has_ring;
}

bool boot_is_active(void)
{
	return own_process;
}

bool boot_own_process(void)
{
	return own_process;
}

static uint64_t now_ns;
uint64_t boot_now_ns(void)
{
	return now_ns;
}

void boot_count_unwatched(void)
{
	unwatched++;
}

static int *fake_errno_location(void)
{
	static int error = ECONNRESET;
	return &error;
}

/* As where the kernel does not wipe them in forked children; and as they are where it did. */
static bool fresh_tables(void)
{
	boot_wipe_missing = true;
	bool made = conn_prepare();
	boot_wipe_missing = false;
	return made;
}

static int setup(void **state)
{
	(void)state;
	static _Alignas(64) uint8_t map[WIRE_HEADER_BYTES + WIRE_LANE_HEADER_BYTES + LANE_BYTES];
	memset(map, 0, sizeof(map));
	ring_init(&boot_ring, map, 1, LANE_BYTES);
	shim_real.errno_location = fake_errno_location;
	*fake_errno_location() = ECONNRESET;
	own_process = may_call = true;
	unwatched = 0;
	return fresh_tables() ? 0 : -1;
}

/* All records so far, a word each, and forgets them. */
static const char *records(void)
{
	static const char *const names[] = {"?",   "pad",  "open",  "in",   "out",
					    "eof", "shut", "close", "fail", "opaque"};
	static char text[2048];
	struct wire_lane *lane = (struct wire_lane *)(boot_ring.map + WIRE_HEADER_BYTES);
	size_t at = 0;
	text[0] = '\0';
	while (lane->tail < lane->head) {
		struct wire_record *r = (struct wire_record *)((uint8_t *)(lane + 1) + lane->tail);
		size_t n = r->length - WIRE_RECORD_BYTES - r->pad;
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s %u.%u", at ? ", " : "",
				       names[r->type], r->fd, r->generation);
		if (n)
			at += (size_t)snprintf(text + at, sizeof(text) - at, " @%d %.*s",
					       (int)r->offset, (int)n, (char *)(r + 1));
		if (r->info)
			at += (size_t)snprintf(text + at, sizeof(text) - at, " (%u)", r->info);
		lane->tail += r->length;
	}
	return text;
}

/* All tests run twice: bytes go through the functions for a vector, and through those for one buffer,
 * which take the short way into the ring. */
static bool one_buffer;

static void after_read(struct stream_mark mark, const char *bytes, ssize_t moved, int flags)
{
	size_t n = bytes ? strlen(bytes) : 0;
	struct iovec iov = {(void *)(uintptr_t)bytes, n};
	if (one_buffer)
		assert_int_equal(stream_read_into(mark, iov.iov_base, n, moved, flags), moved);
	else
		stream_after_read(mark, &iov, moved, n > 0, flags);
}

static void after_write(struct stream_mark mark, const char *bytes, ssize_t moved)
{
	size_t n = bytes ? strlen(bytes) : 0;
	struct iovec iov = {(void *)(uintptr_t)bytes, n};
	if (one_buffer)
		assert_int_equal(stream_written_from(mark, bytes, n, moved, 0), moved);
	else
		stream_after_write(mark, &iov, moved, 0);
}

static void reads(int fd, const char *bytes, int flags)
{
	after_read(stream_before_read(fd), bytes, (ssize_t)strlen(bytes), flags);
}

static void writes(int fd, const char *bytes)
{
	after_write(stream_before_write(fd), bytes, (ssize_t)strlen(bytes));
}

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

/* The time of the record that is next to be read, which is passed over. */
static uint64_t next_time(enum wire_type type)
{
	struct wire_lane *lane = (struct wire_lane *)(boot_ring.map + WIRE_HEADER_BYTES);
	struct wire_record *r = (struct wire_record *)((uint8_t *)(lane + 1) + lane->tail);
	assert_true(lane->tail < lane->head);
	assert_int_equal(r->type, type);
	lane->tail += r->length;
	return r->time;
}

/* What the server does is stamped before the peer can know of it, what the client does after it. */
static void test_which_side_of_a_call_its_stamp_is_of(void **state)
{
	(void)state;
	now_ns = 1;
	conn_accepted(7);
	struct stream_mark mark = stream_before_read(7);
	now_ns = 2;
	after_read(mark, "GET /", 5, 0);
	mark = stream_before_write(7);
	now_ns = 3;
	after_write(mark, "GET /", 5);
	mark = stream_before_write(7);
	now_ns = 4;
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
		may_call =
			n <
			2; /* a seccomp filter may kill for a call that the program does not make */
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
		setup(NULL);
		conn_accepted(9);
		reads(9, rows[i].first, 0);
		assert_string_equal(records(), rows[i].want);
		conn_closing(9);
		conn_accepted(9);
		assert_non_null(strstr(records(), "open 9.2"));
	}
}

/* A ClientHello's first 43 bytes; `n` makes it another client's. */
static const uint8_t *hello(uint8_t n)
{
	static uint8_t bytes[64];
	memset(bytes, n, sizeof(bytes));
	memcpy(bytes, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
	return bytes;
}

static void reads_hello(int fd, uint8_t n)
{
	struct iovec iov = {(void *)(uintptr_t)hello(n), 64};
	stream_after_read(stream_before_read(fd), &iov, 64, true, 0);
}

static void test_ciphertext_is_not_copied_and_told_when_nobody_saw_through_it(void **state)
{
	(void)state;
	conn_accepted(9);
	reads_hello(9, 1);
	writes(9, "\x16\x03\x03 server hello");
	reads(9, "\x17\x03\x03 secret", 0);
	stream_written_unseen(stream_before_write(9), 100);
	assert_string_equal(records(), "open 9.1");
	conn_closing(9);
	assert_string_equal(records(), "opaque 9.1 (1)");
}

static void *fake_rbio(const void *ssl)
{
	return ((void *const *)ssl)[0];
}

static int fake_fd(const void *ssl)
{
	return (int)(intptr_t)((void *const *)ssl)[1];
}

static const struct openssl library = {.SSL_get_rbio = fake_rbio, .SSL_get_fd = fake_fd};

/* The client's and the server's turns of a handshake, and `more` of each. */
static void handshake_and(int fd, unsigned more)
{
	reads_hello(fd, 1);
	writes(fd, "\x16\x03\x03 server hello");
	reads(fd, "\x14\x03\x03 finished", 0);
	reads(fd, "\x17\x03\x03 finished", 0);
	writes(fd, "\x17\x03\x03 ticket");
	writes(fd, "\x17\x03\x03 ticket");
	for (unsigned i = 0; i < more; i++) {
		reads(fd, "\x17\x03\x03 request", 0);
		writes(fd, "\x17\x03\x03 response");
	}
}

static void test_ciphertext_that_goes_on_is_told_while_it_does(void **state)
{
	(void)state;
	conn_accepted(9);
	handshake_and(9, 1);
	assert_string_equal(records(), "open 9.1");
	reads(9, "\x17\x03\x03 request", 0);
	assert_string_equal(records(), "");
	writes(9, "\x17\x03\x03 response");
	assert_string_equal(records(), "opaque 9.1 (1)");
	assert_false(conn_watched(9));
	conn_closing(9);
	assert_string_equal(records(), "");
	/* One response, streamed. */
	conn_accepted(9);
	handshake_and(9, 0);
	for (unsigned i = 0; i < 60; i++)
		writes(9, "\x17\x03\x03 event");
	assert_string_equal(records(), "open 9.2");
	for (unsigned i = 0; i < 10; i++)
		writes(9, "\x17\x03\x03 event");
	assert_string_equal(records(), "opaque 9.2 (1)");
}

static void test_a_handshake_alone_is_no_ciphertext_that_was_missed(void **state)
{
	(void)state;
	/* It failed. */
	conn_accepted(9);
	reads_hello(9, 1);
	writes(9, "\x16\x03\x03 server hello");
	reads(9, "\x15\x03\x03 alert", 0);
	conn_closing(9);
	assert_string_equal(records(), "open 9.1, close 9.1");
	/* It went well, and a library of ours has it: nothing was said. */
	char bio;
	void *ssl[2] = {&bio, (void *)(intptr_t)-1};
	conn_accepted(9);
	handshake_and(9, 0);
	tls_hello_written(&bio, hello(1), 64);
	conn_closing(9);
	assert_string_equal(records(), "open 9.2, close 9.2");
	/* Nobody has it: the request may have come with the end of the handshake. */
	conn_accepted(9);
	handshake_and(9, 0);
	conn_closing(9);
	assert_string_equal(records(), "open 9.3, opaque 9.3 (1)");
	/* An object on the socket that is asked before the first byte came. */
	ssl[1] = (void *)(intptr_t)9;
	conn_accepted(9);
	tls_conn(&library, ssl);
	handshake_and(9, 0);
	conn_closing(9);
	assert_string_equal(records(), "open 9.4, close 9.4");
}

static struct stream_mark plain(void *ssl)
{
	return (struct stream_mark){.id = tls_conn(&library, ssl), .time = 5};
}

static void plain_in(void *ssl, const char *bytes)
{
	stream_plain_read(plain(ssl), (void *)(uintptr_t)bytes, strlen(bytes));
}

static void plain_out(void *ssl, const char *bytes)
{
	stream_plain_written(plain(ssl), bytes, strlen(bytes));
}

static void test_memory_bios_are_told_apart_by_their_hellos(void **state)
{
	(void)state;
	char bios[2];
	void *one[2] = {&bios[0], (void *)(intptr_t)-1}, *two[2] = {&bios[1], (void *)(intptr_t)-1};
	conn_accepted(5);
	conn_accepted(6);
	reads_hello(5, 1);
	reads_hello(6, 2);
	tls_hello_written(&bios[1], hello(2), 64);
	tls_hello_written(&bios[0], hello(1), 64);
	plain_in(two, "GET /2");
	plain_in(one, "GET /1");
	plain_out(two, "HTTP/1.1 2");
	reads(5, "\x17 ciphertext", 0);
	plain_out(one, "HTTP/1.1 1");
	stream_plain_shut(tls_conn(&library, one));
	stream_plain_eof(tls_conn(&library, two));
	assert_string_equal(records(), "open 5.1, open 6.1, in 6.1 @0 GET /2 (1), "
				       "in 5.1 @0 GET /1 (1), out 6.1 @0 HTTP/1.1 2 (1), "
				       "out 5.1 @0 HTTP/1.1 1 (1), "
				       "shut 5.1 (1), eof 6.1");
	conn_closing(5);
	assert_string_equal(records(), "close 5.1");
	/* The objects' addresses are used again for an outbound connection: nobody's. */
	tls_forget(one);
	assert_int_equal(tls_conn(&library, one).generation, 0);
}

static int fake_is_server(const void *ssl)
{
	return (int)(intptr_t)((void *const *)ssl)[2];
}

static size_t fake_random(const void *ssl, unsigned char *out, size_t n)
{
	memset(out, (int)(intptr_t)((void *const *)ssl)[3], n);
	return n;
}

/* haproxy's BIO is its own, and reads a record's head before the rest of it. */
static void test_a_tls_object_on_a_bio_of_the_programs_own_knows_the_hello(void **state)
{
	(void)state;
	static const struct openssl own_bio = {.SSL_get_rbio = fake_rbio,
					       .SSL_get_fd = fake_fd,
					       .SSL_is_server = fake_is_server,
					       .SSL_get_client_random = fake_random};
	char bio;
	void *no_fd = (void *)(intptr_t)-1, *yes = (void *)1;
	void *one[] = {&bio, no_fd, yes, (void *)1}, *two[] = {&bio, no_fd, yes, (void *)2};
	void *client[] = {&bio, no_fd, NULL, (void *)1}, *early[] = {&bio, no_fd, yes, NULL};
	for (int fd = 5; fd < 8; fd++) {
		/* The last one's client says what no client says by chance. */
		struct iovec head = {(void *)(uintptr_t)hello((uint8_t)((fd - 4) % 3)), 5};
		struct iovec rest = {(uint8_t *)head.iov_base + 5, 59};
		conn_accepted(fd);
		stream_after_read(stream_before_read(fd), &head, 5, true, 0);
		stream_after_read(stream_before_read(fd), &rest, 59, true, 0);
		writes(fd, "\x16\x03\x03 server hello");
	}
	assert_int_equal(tls_conn(&own_bio, two).home, 6);
	assert_int_equal(tls_conn(&own_bio, one).home, 5);
	assert_int_equal(tls_conn(&own_bio, client).generation, 0);
	assert_int_equal(tls_conn(&own_bio, early).generation, 0);
	/* A second hello in the middle of the handshake is another object's. */
	reads_hello(6, 9);
	two[3] = (void *)9;
	tls_forget(two);
	assert_int_equal(tls_conn(&own_bio, two).generation, 0);
}

static void test_a_tls_object_on_a_socket_says_which(void **state)
{
	(void)state;
	char bio;
	void *ssl[2] = {&bio, (void *)(intptr_t)7}, *outbound[2] = {&bio, (void *)(intptr_t)8};
	conn_accepted(7);
	reads_hello(7, 1);
	plain_in(ssl, "POST /");
	plain_in(outbound, "HTTP/1.1 200 of a server we asked");
	assert_string_equal(records(), "open 7.1, in 7.1 @0 POST / (1)");
	tls_forget(ssl);
	conn_closing(7);
	records();
	/* The same object address, another connection on the same descriptor. */
	conn_accepted(7);
	reads_hello(7, 3);
	plain_in(ssl, "GET /");
	assert_string_equal(records(), "open 7.2, in 7.2 @0 GET / (1)");
}

static void test_plain_text_that_is_not_http_is_left_alone(void **state)
{
	(void)state;
	char bio;
	void *ssl[2] = {&bio, (void *)(intptr_t)7};
	conn_accepted(7);
	reads_hello(7, 1);
	plain_out(ssl, "220 mail");
	assert_string_equal(records(), "open 7.1, opaque 7.1 (2)");
	assert_int_equal(tls_conn(&library, ssl).generation, 0);
}

static void test_more_tls_objects_than_places_are_nobodys(void **state)
{
	(void)state;
	static char bios[200000];
	conn_accepted(7);
	reads_hello(7, 1);
	for (size_t i = 0; i < sizeof(bios); i++)
		tls_hello_written(&bios[i], hello(1), 64);
	for (size_t i = 0; i < sizeof(bios); i++) {
		void *ssl[2] = {&bios[i], (void *)(intptr_t)-1};
		struct conn_id id = tls_conn(&library, ssl);
		assert_true(id.generation == 0 || (id.home == 7 && id.generation == 1));
		tls_forget(ssl);
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
		setup(NULL);
		conn_accepted(3);
		stream_after_write(stream_before_write(3), iov, (ssize_t)rows[i].len, 0);
		assert_int_equal(conn_watched(3), rows[i].is);
		reads(3, "PRI", 0);
		assert_true(!strstr(records(), "in 3.1 @0 PRI") == !rows[i].is);
	}
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
	assert_int_equal(unwatched, 1);
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
	conn_closing_range(6, UINT32_MAX);
	assert_true(conn_watched(5));
	assert_string_equal(records(), "open 5.1, open 6.1, open 8.1, close 6.1, close 8.1");
}

static void test_a_vfork_child_changes_nothing(void **state)
{
	(void)state;
	conn_accepted(5);
	own_process = false;
	conn_closing(5);
	conn_closing_range(0, UINT32_MAX);
	conn_duplicated(5, 6);
	conn_accepted(9);
	assert_true(conn_watched(5));
	assert_false(conn_watched(6));
	assert_string_equal(records(), "open 5.1");
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
	struct wire_lane *lane = (struct wire_lane *)(boot_ring.map + WIRE_HEADER_BYTES);
	struct wire_record *r = (struct wire_record *)((uint8_t *)(lane + 1) + lane->tail);
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
	struct wire_lane *lane = (struct wire_lane *)(boot_ring.map + WIRE_HEADER_BYTES);
	uint64_t kept = lane->head / 1032;
	assert_int_equal(kept, (LANE_BYTES - WIRE_LANE_RESERVE) / 1032);
	assert_int_equal(lane->dropped_records, 100 - kept);
	assert_int_equal(lane->dropped_bytes, 1000 * (100 - kept));
	assert_int_equal(conn_slots[5].out_bytes, 100000);
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
	now_ns = 8;
	reads(5, "a", 0);
	writes(5, "b");
	assert_int_equal(next_time(WIRE_IN), 8);
	assert_int_equal(next_time(WIRE_OUT), 8);
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

static void test_descriptors_past_the_table_are_counted(void **state)
{
	(void)state;
	conn_accepted((int)CONN_MAX);
	conn_accepted((int)CONN_MAX - 1);
	assert_int_equal(unwatched, 1);
	assert_true(conn_watched((int)CONN_MAX - 1));
	assert_false(conn_watched((int)CONN_MAX));
	assert_false(conn_watched(-1));
	/* Nor are they taken for those whose place in it they would have. */
	conn_accepted(5);
	assert_true(conn_watched(5));
	assert_false(conn_watched((int)CONN_MAX + 5));
	assert_false(conn_watched((int)(5 - CONN_MAX)));
}

/* What the hook of fork does in the child, whose tables the kernel wiped. */
static void become_child(void)
{
	struct conn_fresh fresh;
	conn_before_fork(&fresh);
	records();
	assert_true(fresh_tables());
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
	has_ring = false;
	reads(7, "GET ", 0);
	writes(7, "HTTP");
	has_ring = true;
	assert_int_equal(unwatched, 1);
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
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_a_connection_from_accept_to_close),
		TEST(test_which_side_of_a_call_its_stamp_is_of),
		TEST(test_a_departure_that_nobody_read_is_told_before_the_close),
		TEST(test_accept_on_a_live_descriptor_is_the_close_nobody_saw),
		TEST(test_what_is_not_http_is_told_once_and_left_alone),
		TEST(test_ciphertext_is_not_copied_and_told_when_nobody_saw_through_it),
		TEST(test_ciphertext_that_goes_on_is_told_while_it_does),
		TEST(test_a_handshake_alone_is_no_ciphertext_that_was_missed),
		TEST(test_memory_bios_are_told_apart_by_their_hellos),
		TEST(test_a_tls_object_on_a_bio_of_the_programs_own_knows_the_hello),
		TEST(test_a_tls_object_on_a_socket_says_which),
		TEST(test_plain_text_that_is_not_http_is_left_alone),
		TEST(test_more_tls_objects_than_places_are_nobodys),
		TEST(test_a_server_that_speaks_first_is_no_http_server),
		TEST(test_a_server_of_http2_may_speak_first),
		TEST(test_what_is_hidden_from_here_on_is_told),
		TEST(test_duplicates_stand_for_one_connection_until_the_last_is_closed),
		TEST(test_dup2_over_a_connection_closes_it),
		TEST(test_a_range_closes_what_is_watched_in_it),
		TEST(test_a_vfork_child_changes_nothing),
		TEST(test_unseen_bytes_are_a_gap_of_known_length),
		TEST(test_more_than_the_buffer_is_a_gap),
		TEST(test_a_long_call_becomes_several_records),
		TEST(test_a_full_lane_counts_what_it_drops),
		TEST(test_times_are_in_the_clock_of_the_header),
		TEST(test_a_call_that_comes_back_to_another_connection_records_nothing),
		TEST(test_failures_that_end_a_connection_are_told),
		TEST(test_descriptors_past_the_table_are_counted),
		TEST(test_a_forked_child_has_what_nothing_was_read_from),
		TEST(test_a_forked_child_that_only_closes_records_nothing),
		TEST(test_a_forked_child_moves_a_connection_to_0_and_1),
		TEST(test_a_forked_child_without_a_ring_counts_it_once),
		TEST(test_what_was_read_before_a_fork_may_be_a_childs),
	};
	int failed = cmocka_run_group_tests_name("shim/conn, vectors", tests, NULL, NULL);
	one_buffer = true;
	return failed + cmocka_run_group_tests_name("shim/conn, one buffer", tests, NULL, NULL);
}
