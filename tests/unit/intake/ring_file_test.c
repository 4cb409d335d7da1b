/*
 * Files that are rings, and files that are none; and who else has one mapped.
 */
#include "tests/unit/intake/read_ring.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

static int open_name(struct fixture *f, const char *name)
{
	struct ring_reader *r = NULL;
	struct process p;
	int err = ring_reader_open(f->m.dir_fd, name, &r, &p);
	ring_reader_close(r);
	return err;
}

static void test_only_a_private_regular_file_is_opened(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(open_name(f, "9-9-9.ring"), -ENOENT);
	assert_int_equal(symlinkat(f->m.name, f->m.dir_fd, "link.ring"), 0);
	assert_int_equal(open_name(f, "link.ring"), -ELOOP);
	unlinkat(f->m.dir_fd, "link.ring", 0);
	assert_int_equal(mkfifoat(f->m.dir_fd, "fifo.ring", 0600), 0);
	assert_int_equal(open_name(f, "fifo.ring"), -EINVAL);
	unlinkat(f->m.dir_fd, "fifo.ring", 0);
	assert_int_equal(fchmodat(f->m.dir_fd, f->m.name, 0640, 0), 0);
	assert_int_equal(open_name(f, f->m.name), -EINVAL);
	assert_int_equal(fchmodat(f->m.dir_fd, f->m.name, 0600, 0), 0);
	if (geteuid() == 0) {
		assert_int_equal(fchownat(f->m.dir_fd, f->m.name, 65534, (gid_t)-1, 0), 0);
		assert_int_equal(open_name(f, f->m.name), -EINVAL);
		assert_int_equal(fchownat(f->m.dir_fd, f->m.name, 0, (gid_t)-1, 0), 0);
	}
	assert_int_equal(open_name(f, f->m.name), 0);
	char path[160];
	snprintf(path, sizeof(path), "%s/%s", f->m.dir, f->m.name);
	assert_int_equal(truncate(path, (off_t)f->m.bytes - 8), 0);
	assert_int_equal(open_name(f, f->m.name), -EINVAL);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(open_name(f, f->m.name), -EINVAL);
}

/* What opening it says, when its mode is this; and leaves it as it is. */
static int open_as(struct made_ring *m, mode_t mode)
{
	struct stat st;
	struct ring_reader *r = NULL;
	struct process p;
	fchmodat(m->dir_fd, m->name, mode, 0);
	int err = ring_reader_open(m->dir_fd, m->name, &r, &p);
	ring_reader_close(r);
	fstatat(m->dir_fd, m->name, &st, 0);
	return (st.st_mode & 07777) == (err ? mode : WIRE_FILE_MODE) ? err : 1;
}

/* As a user who is not root: by its name not even its own user cuts the file short, the agent opens it
 * to write all the same, and leaves it as it was. Returns the step that failed, or 0. */
static int steps_of_an_ordinary_user(struct made_ring *m)
{
	char path[160];
	struct stat st;
	struct ring_reader *r = NULL;
	struct process p;
	made_directory(m);
	made_ring_file(m, "1-2-0.ring", 1, 2, LANES, LANE_BYTES);
	snprintf(path, sizeof(path), "%s/%s", m->dir, m->name);
	if (truncate(path, 0) == 0 || errno != EACCES || open(path, O_WRONLY) >= 0)
		return 1;
	if (ring_reader_open(m->dir_fd, m->name, &r, &p) != 0)
		return 2;
	if (fstatat(m->dir_fd, m->name, &st, 0) != 0 || (st.st_mode & 07777) != WIRE_FILE_MODE)
		return 3;
	ring_reader_tell(r, 0, 7); /* the map is one to write to */
	if (truncate(path, 0) == 0 || made_lane(m, 0)->told != 7)
		return 4;
	made_header(m)->magic = 0; /* what is no ring is left as it is */
	if (open_as(m, 0400) != -EINVAL || open_as(m, 0200) != -EACCES)
		return 5;
	made_header(m)->magic = WIRE_MAGIC; /* an agent died while it had the right */
	if (open_as(m, 0600) != 0 || truncate(path, 0) == 0)
		return 6;
	ring_reader_close(r);
	made_ring_remove(m);
	return 0;
}

static void test_its_own_user_does_not_cut_it_by_its_name(void **state)
{
	(void)state;
	int status;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		static struct made_ring m;
		if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
			_exit(99);
		_exit(steps_of_an_ordinary_user(&m));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Every 32-bit word of what decides about the map, with every kind of value. */
static void test_no_header_makes_a_map_that_is_not_there(void **state)
{
	static const uint32_t values[] = {0,	 1,	2,     3,	 4,	     5,
					  63,	 64,	65,    128,	 0x7fffffff, 0x80000000,
					  65535, 65536, 65537, 1u << 26, 1u << 27,   UINT32_MAX};
	struct fixture *f = *state;
	uint32_t *words = (uint32_t *)f->m.map;
	for (size_t w = 0; w < 32; w++) {
		uint32_t right = words[w];
		for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
			words[w] = values[i];
			int err = open_name(f, f->m.name);
			bool decides = w < 6;
			if (!decides || values[i] == right)
				assert_int_equal(err, 0);
			else
				assert_int_equal(err, w == 2 ? -EPROTO : -EINVAL);
		}
		words[w] = right;
	}
}

/* A file of the right size for what it says, but past what wire.h allows. */
static void test_sizes_past_the_limits(void **state)
{
	static const struct {
		uint32_t lanes, lane_bytes;
	} sizes[] = {{WIRE_LANES_MAX * 2, WIRE_LANE_BYTES_MIN},
		     {1, WIRE_LANE_BYTES_MIN / 2},
		     {1, WIRE_LANE_BYTES_MAX * 2},
		     {1, WIRE_LANE_BYTES_MIN + 8},
		     {3, WIRE_LANE_BYTES_MIN}};
	struct fixture *f = *state;
	char path[160];
	snprintf(path, sizeof(path), "%s/%s", f->m.dir, f->m.name);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		made_header(&f->m)->lanes = sizes[i].lanes;
		made_header(&f->m)->lane_bytes = sizes[i].lane_bytes;
		off_t n = (off_t)wire_file_bytes(sizes[i].lanes, sizes[i].lane_bytes);
		assert_int_equal(truncate(path, n), 0);
		assert_int_equal(open_name(f, f->m.name), -EINVAL);
	}
}

static void test_text_without_an_end_gets_one(void **state)
{
	struct fixture *f = *state;
	struct wire_header *h = made_header(&f->m);
	memset(h->program, 'x', WIRE_HEADER_BYTES - offsetof(struct wire_header, program));
	ring_reader_close(f->reader);
	assert_int_equal(open_reader(f), 0);
	assert_int_equal(strlen(f->process.program), sizeof(f->process.program) - 1);
	assert_int_equal(strlen(f->process.resource_attributes),
			 sizeof(f->process.resource_attributes) - 1);
	assert_int_equal(f->process.command_line_len, sizeof(f->process.command_line) - 1);
}

static void hold_for_ever(const char *path, size_t bytes, int ready)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd); /* as the shim does: the map is what is left */
	if (map == MAP_FAILED || write(ready, "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void test_it_is_seen_whether_a_producer_has_the_ring(void **state)
{
	struct fixture *f = *state;
	char path[160], byte;
	int ready[2];
	ring_reader_setup();
	assert_true(ring_reader_has_producer(f->reader)); /* made_ring.h's own map */
	munmap(f->m.map, f->m.bytes);
	f->m.map = NULL;
	assert_false(ring_reader_has_producer(f->reader));
	snprintf(path, sizeof(path), "%s/%s", f->m.dir, f->m.name);
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		ring_reader_close(f->reader); /* or it would have two */
		hold_for_ever(path, f->m.bytes, ready[1]);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_true(ring_reader_has_producer(f->reader));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_false(ring_reader_has_producer(f->reader));
	/* The lease was given back: who opens the file does not wait. */
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	close(fd);
	close(ready[0]);
	close(ready[1]);
}

static void test_memory_is_given_back_when_nobody_has_the_ring(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[2 * WIRE_RECORD_BYTES];
	struct stat before, after;
	put_stream(f, 0, 0, 30000);
	ring_reader_discard(f->reader);
	drain(f, 0, 1, true);
	assert_int_equal(f->bytes, 30000);
	put_stream(f, 0, 30000, 10000);
	uint64_t tail = made_lane(&f->m, 0)->tail;
	munmap(f->m.map, f->m.bytes);
	f->m.map = NULL;
	assert_int_equal(fstatat(f->m.dir_fd, f->m.name, &before, 0), 0);
	ring_reader_discard(f->reader);
	assert_int_equal(fstatat(f->m.dir_fd, f->m.name, &after, 0), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_true(after.st_blocks < before.st_blocks);
	int fd = openat(f->m.dir_fd, f->m.name, O_RDONLY | O_CLOEXEC);
	off_t at = (off_t)(wire_lane_offset(0, LANE_BYTES) + WIRE_LANE_HEADER_BYTES + tail);
	assert_int_equal(pread(fd, bytes, sizeof(bytes), at), sizeof(bytes));
	close(fd);
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], 0);
	/* Another agent finds a ring that can be. */
	ring_reader_close(f->reader);
	assert_int_equal(open_reader(f), 0);
	assert_false(ring_reader_broken(f->reader));
	assert_int_equal(drain(f, 0, 1, false), 0);
}

/* Somebody opens it at the very moment: neither is hurt. */
static void test_the_question_hurts_nobody(void **state)
{
	struct fixture *f = *state;
	char path[160];
	ring_reader_setup();
	munmap(f->m.map, f->m.bytes);
	f->m.map = NULL;
	snprintf(path, sizeof(path), "%s/%s", f->m.dir, f->m.name);
	pid_t child = fork();
	assert_true(child >= 0);
	for (unsigned i = 0; child == 0 && i < 20000; i++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			_exit(1);
		close(fd);
	}
	if (child == 0)
		_exit(0);
	int status;
	while (waitpid(child, &status, WNOHANG) == 0)
		ring_reader_has_producer(f->reader);
	assert_int_equal(status, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, read_ring_setup, read_ring_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_only_a_private_regular_file_is_opened),
		cmocka_unit_test(test_its_own_user_does_not_cut_it_by_its_name),
		TEST(test_no_header_makes_a_map_that_is_not_there),
		TEST(test_sizes_past_the_limits),
		TEST(test_text_without_an_end_gets_one),
		TEST(test_it_is_seen_whether_a_producer_has_the_ring),
		TEST(test_memory_is_given_back_when_nobody_has_the_ring),
		TEST(test_the_question_hurts_nobody),
	};
	return cmocka_run_group_tests_name("intake/ring_file", tests, NULL, NULL);
}
