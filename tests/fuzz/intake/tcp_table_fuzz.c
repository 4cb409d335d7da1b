/*
 * The kernel's table of connections as input, in chunks of any size: whatever is in it, the reader ends,
 * and finds the same rows as it does a line at a time.
 */
#include "tests/fuzz/must.h"

#include "agent/intake/tcp_table.h"

#include <sys/mman.h>
#include <unistd.h>

static void add_up(void *user, const struct tcp_table_row *row)
{
	uint64_t *sum = user;
	*sum = *sum * 31 + row->inode * 7 + row->local_port * 3u + row->state + 1;
}

static uint64_t by_lines(const uint8_t *data, size_t size)
{
	struct span rest = span_of(data, size);
	uint64_t sum = 0;
	const uint8_t *end;
	while (rest.len && (end = memchr(rest.at, '\n', rest.len))) {
		struct tcp_table_row row;
		if (tcp_table_row(span_take(&rest, (size_t)(end - rest.at)), &row))
			add_up(&sum, &row);
		span_skip(&rest, 1);
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct tcp_table t;
	uint64_t sum = 0;
	if (!size || size > TCP_TABLE_CHUNK_BYTES)
		return 0;
	if (fd < 0)
		fd = memfd_create("table", 0);
	if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		return 0;
	lseek(fd, 0, SEEK_SET);
	t.fd = fd;
	t.bytes = t.kept = 0;
	while (tcp_table_read(&t, data[0] + 1u, add_up, &sum) == 1)
		;
	must(t.bytes == size && sum == by_lines(data, size), "other rows than a line at a time");
	return 0;
}
