/*
 * Connections of TLS: which have their plain text read, and what is told of the others.
 */
#include "tests/unit/shim/records.h"

#include "shim/tls.h"

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

/* Objects are known by their addresses: each has one that none before it had, in whatever test. */
static void *fresh(size_t bytes)
{
	static _Alignas(16) uint8_t room[4096];
	static size_t used;
	uint8_t *at = room + used;
	used += (bytes + 15) / 16 * 16;
	assert_true(used <= sizeof(room));
	return at;
}

/* An SSL on a BIO; fd -1: the BIO is none of a socket. */
static void **fresh_ssl(void *bio, int fd)
{
	void **ssl = fresh(4 * sizeof(void *));
	ssl[0] = bio;
	ssl[1] = (void *)(intptr_t)fd;
	return ssl;
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
	void *bio = fresh(1), **ssl = fresh_ssl(bio, -1);
	conn_accepted(9);
	handshake_and(9, 0);
	tls_hello_written(bio, hello(1), 64);
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
	void *bios[] = {fresh(1), fresh(1)};
	void **one = fresh_ssl(bios[0], -1), **two = fresh_ssl(bios[1], -1);
	conn_accepted(5);
	conn_accepted(6);
	reads_hello(5, 1);
	reads_hello(6, 2);
	tls_hello_written(bios[1], hello(2), 64);
	tls_hello_written(bios[0], hello(1), 64);
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
	void *bio = fresh(1), *yes = (void *)1;
	void **one = fresh_ssl(bio, -1), **two = fresh_ssl(bio, -1);
	void **client = fresh_ssl(bio, -1), **early = fresh_ssl(bio, -1);
	one[2] = two[2] = early[2] = yes;
	one[3] = client[3] = (void *)1;
	two[3] = (void *)2;
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
	void *bio = fresh(1), **ssl = fresh_ssl(bio, 7), **outbound = fresh_ssl(bio, 8);
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
	void **ssl = fresh_ssl(fresh(1), 7);
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

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, records_setup)
	const struct CMUnitTest tests[] = {
		TEST(test_ciphertext_is_not_copied_and_told_when_nobody_saw_through_it),
		TEST(test_ciphertext_that_goes_on_is_told_while_it_does),
		TEST(test_a_handshake_alone_is_no_ciphertext_that_was_missed),
		TEST(test_memory_bios_are_told_apart_by_their_hellos),
		TEST(test_a_tls_object_on_a_bio_of_the_programs_own_knows_the_hello),
		TEST(test_a_tls_object_on_a_socket_says_which),
		TEST(test_plain_text_that_is_not_http_is_left_alone),
		TEST(test_more_tls_objects_than_places_are_nobodys),
	};
	return RECORDS_RUN("shim/tls", tests);
}
