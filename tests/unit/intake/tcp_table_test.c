/* Lines of the kernel's tables, and what is none. */
#include "tests/unit/test.h"

#include "agent/intake/tcp_table.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define V4                                                                                         \
	"   1: 0100007F:1F90 0100007F:D2A4 01 00000000:00000000 00:00000000 00000000  1000       " \
	" "                                                                                        \
	"0 31337 1 0000000000000000 20 4 30 10 -1"
#define V6                                                                                         \
	"  12: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A "    \
	"00000000:00000000 00:00000000 00000000     0        0 4294967296 1 0000000000000000 100 " \
	"0 0 10 0"
#define HEADING                                                                                    \
	"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "      \
	"timeout inode"

/* From memory that ends with it. */
static bool reads(const char *text, size_t len, struct tcp_table_row *row)
{
	char *copy = malloc(len ? len : 1);
	memcpy(copy, text, len);
	bool read = tcp_table_row(span_of(copy, len), row);
	free(copy);
	return read;
}

static void test_both_families(void **state)
{
	(void)state;
	struct tcp_table_row row;
	assert_true(reads(V4, sizeof(V4) - 1, &row));
	assert_int_equal(row.local_port, 8080);
	assert_int_equal(row.state, TCP_TABLE_ESTABLISHED);
	assert_int_equal(row.inode, 31337);
	assert_true(reads(V6, sizeof(V6) - 1, &row));
	assert_int_equal(row.local_port, 80);
	assert_int_equal(row.state, TCP_TABLE_LISTEN);
	assert_int_equal(row.inode, 4294967296);
}

/* Up to the inode it is none; from there on it is the same one. */
static void test_a_line_that_is_cut(void **state)
{
	(void)state;
	static const char *const lines[] = {V4, V6};
	for (size_t i = 0; i < 2; i++) {
		struct tcp_table_row whole, row;
		assert_true(reads(lines[i], strlen(lines[i]), &whole));
		for (size_t n = 0; n < strlen(lines[i]); n++) {
			if (!reads(lines[i], n, &row))
				continue;
			assert_int_equal(row.inode, whole.inode);
			assert_int_equal(row.local_port, whole.local_port);
			assert_int_equal(row.state, whole.state);
		}
		size_t end = (size_t)(strstr(lines[i], " 1 0000000000000000") - lines[i]);
		assert_false(reads(lines[i], end, &row));
		assert_true(reads(lines[i], end + 1, &row));
	}
}

static void test_what_is_no_line(void **state)
{
	(void)state;
	static const char *const lines[] = {
		"",
		" ",
		"::::",
		HEADING,
		"1: 0100007F:1F90 0100007F:D2A4 001 0 0 0 0 0 31337x 1",
		"1: 0100007F:1F90 0100007F:D2A4 01 0 0 0 0 0 -31337 1",
		"1: 0100007F:1F90 0100007F:D2A4 01 0 0 0 0 0 99999999999999999999 1",
		"1: 0100007F:1F90 0100007F:D2A4 101 0 0 0 0 0 31337 1",
		"1: 0100007F:1F90 0100007F:D2A4 zz 0 0 0 0 0 31337 1",
		"1: 0100007F:1F9g 0100007F:D2A4 01 0 0 0 0 0 31337 1",
		"1: 0100007F01F90 0100007F:D2A4 01 0 0 0 0 0 31337 1",
		"1: 0100007:1F90 0100007F:D2A4 01 0 0 0 0 0 31337 1",
		"1: :1F90 0100007F:D2A4 01 0 0 0 0 0 31337 1",
		"1: 1F90 0100007F:D2A4 01 0 0 0 0 0 31337 1",
		"1 0100007F:1F90 0100007F:D2A4 01 0 0 0 0 0 31337 1",
		"1: 0100007F:1F90 01 0 0 0 0 0 31337 1",
		"1: 0100007F:1F90 0100007F:D2A4 01 0 0 0 0 31337",
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct tcp_table_row row = {.inode = 42};
		if (reads(lines[i], strlen(lines[i]), &row))
			fail_msg("a line: '%s'", lines[i]);
		assert_int_equal(row.inode, 42);
	}
	/* The number's width is not fixed, spaces neither. */
	struct tcp_table_row row;
	const char *least = "1: 0100007f:1f90 0100007F:D2A4 1 0 0 0 0 0 7 1";
	assert_true(reads(least, strlen(least), &row));
	assert_int_equal(row.local_port, 8080);
	assert_int_equal(row.inode, 7);
}

struct rows {
	size_t count;
	uint64_t inodes; /* their sum */
};

static void on_row(void *user, const struct tcp_table_row *row)
{
	struct rows *r = user;
	r->count++;
	r->inodes += row->inode;
}

/* Reads `text`, which a child writes in pieces. */
static int read_table(const char *text, size_t len, size_t piece, struct rows *rows)
{
	int ends[2];
	*rows = (struct rows){0};
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		signal(SIGPIPE, SIG_IGN);
		for (size_t at = 0; at < len; at += piece)
			if (write(ends[1], text + at, len - at < piece ? len - at : piece) < 0)
				break;
		_exit(0);
	}
	close(ends[1]);
	struct tcp_table t = {.fd = ends[0]};
	int more;
	while ((more = tcp_table_read(&t, 64, on_row, rows)) == 1)
		;
	assert_int_equal(t.bytes, len);
	close(ends[0]);
	waitpid(child, NULL, 0);
	return more;
}

static void test_a_table_in_pieces(void **state)
{
	(void)state;
	static const char table[] = HEADING "\n" V4 "\n" V6 "\n\n" V4 "\n" V4; /* the last is cut */
	struct rows rows;
	for (size_t piece = 1; piece < sizeof(table); piece += 7) {
		assert_int_equal(read_table(table, sizeof(table) - 1, piece, &rows), 0);
		assert_int_equal(rows.count, 3);
		assert_int_equal(rows.inodes, 2 * 31337 + 4294967296);
	}
	struct tcp_table none = {.fd = -1};
	assert_int_equal(tcp_table_read(&none, 100, on_row, &rows), -EBADF);
}

/* What no kernel writes: lines without an end, and a good one behind them. */
static void test_a_line_that_does_not_end(void **state)
{
	(void)state;
	enum { LONG = 100000 };
	static char table[LONG + sizeof(V4) + 2];
	struct rows rows;
	memset(table, '1', LONG);
	memcpy(table + LONG, "\n" V4 "\n", sizeof(V4) + 1);
	assert_int_equal(read_table(table, LONG + sizeof(V4) + 1, 5000, &rows), 0);
	assert_int_equal(rows.count, 1);
	assert_int_equal(rows.inodes, 31337);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_families),
		cmocka_unit_test(test_a_line_that_is_cut),
		cmocka_unit_test(test_what_is_no_line),
		cmocka_unit_test(test_a_table_in_pieces),
		cmocka_unit_test(test_a_line_that_does_not_end),
	};
	return cmocka_run_group_tests_name("intake/tcp_table", tests, NULL, NULL);
}
