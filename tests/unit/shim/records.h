/*
 * records.h - what the hooks tell about descriptors and bytes, and the records that come of it, as
 * words. All tests run twice: bytes go through the functions for a vector, and through those for one
 * buffer, which take the short way into the ring.
 */
#ifndef TESTS_RECORDS_H
#define TESTS_RECORDS_H

#include "tests/unit/shim/played_boot.h"

#include "shim/stream.h"
#include "shim/sys.h"

#include <fcntl.h>
#include <sys/socket.h>

#define LANE_BYTES WIRE_LANE_BYTES_MIN

static bool one_buffer;

#define RECORDS_RUN(name, tests)                                                                   \
	({                                                                                         \
		int failed = cmocka_run_group_tests_name(name ", vectors", tests, NULL, NULL);     \
		one_buffer = true;                                                                 \
		failed + cmocka_run_group_tests_name(name ", one buffer", tests, NULL, NULL);      \
	})

static inline int *fake_errno_location(void)
{
	static int error;
	return &error;
}

/* The kernel is asked about the numbers that the tests close, also about 0: which must not be what the
 * tests were started with. By system calls: the functions of these names are hooks here. */
static inline void nothing_on_0(void)
{
	long null = sys_open(AT_FDCWD, "/dev/null", O_RDWR, 0);
	if (null > 0) {
		sys3(SYS_dup3, null, 0, 0);
		sys1(SYS_close, null);
	}
}

static inline int records_setup(void **state)
{
	(void)state;
	nothing_on_0();
	static _Alignas(64) uint8_t map[PLAYED_MAP_BYTES(LANE_BYTES)];
	memset(map, 0, sizeof(map));
	shim_real.errno_location = fake_errno_location;
	*fake_errno_location() = ECONNRESET;
	return played_begin(map, LANE_BYTES) ? 0 : -1;
}

/* All records so far, a word each, and forgets them. */
static inline const char *records(void)
{
	static const char *const names[] = {"?",   "pad",  "open",  "in",   "out",
					    "eof", "shut", "close", "fail", "opaque"};
	static char text[2048];
	struct wire_record *r;
	size_t at = 0;
	text[0] = '\0';
	while ((r = played_record())) {
		size_t n = r->length - WIRE_RECORD_BYTES - r->pad;
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s %u.%u", at ? ", " : "",
				       names[r->type], r->fd, r->generation);
		if (n)
			at += (size_t)snprintf(text + at, sizeof(text) - at, " @%d %.*s",
					       (int)r->offset, (int)n, (char *)(r + 1));
		if (r->info)
			at += (size_t)snprintf(text + at, sizeof(text) - at, " (%u)", r->info);
		played_lane()->tail += r->length;
	}
	return text;
}

static inline void after_read(struct stream_mark mark, const char *bytes, ssize_t moved, int flags)
{
	size_t n = bytes ? strlen(bytes) : 0;
	struct iovec iov = {(void *)(uintptr_t)bytes, n};
	if (one_buffer)
		assert_int_equal(stream_read_into(mark, iov.iov_base, n, moved, flags), moved);
	else
		stream_after_read(mark, &iov, moved, n > 0, flags);
}

static inline void after_write(struct stream_mark mark, const char *bytes, ssize_t moved)
{
	size_t n = bytes ? strlen(bytes) : 0;
	struct iovec iov = {(void *)(uintptr_t)bytes, n};
	if (one_buffer)
		assert_int_equal(stream_written_from(mark, bytes, n, moved, 0), moved);
	else
		stream_after_write(mark, &iov, moved, 0);
}

static inline void reads(int fd, const char *bytes, int flags)
{
	after_read(stream_before_read(fd), bytes, (ssize_t)strlen(bytes), flags);
}

static inline void writes(int fd, const char *bytes)
{
	after_write(stream_before_write(fd), bytes, (ssize_t)strlen(bytes));
}

#endif
