/*
 * A ring that was read before, by an agent that ended or was killed.
 */
#include "tests/unit/intake/read_ring.h"

#include <signal.h>
#include <sys/wait.h>

static void test_the_next_reader_goes_on_at_the_tail(void **state)
{
	struct fixture *f = *state;
	put_stream(f, 0, 0, 100);
	drain(f, 0, 1, true);
	put_stream(f, 0, 100, 100);
	ring_reader_close(f->reader);
	assert_int_equal(open_reader(f), 0);
	drain(f, 0, 1, true);
	assert_int_equal(f->bytes, 200);
	assert_int_equal(f->broken_offsets, 0);
	assert_string_equal(f->process.program, "llama-server");
	assert_int_equal(f->process.command_line_len, 23);
}

/* Between its last two stores; and what no reader can have left there. */
static void test_what_a_killed_reader_began_to_give_back_is_given_back(void **state)
{
	struct fixture *f = *state;
	struct wire_lane *lane = made_lane(&f->m, 0);
	const uint64_t first = WIRE_RECORD_BYTES + 104;
	put_stream(f, 0, 0, 100);
	put_stream(f, 0, 100, 100);
	made_record(&f->m, 0, 0)->length = 0;
	lane->read = first;
	ring_reader_close(f->reader);
	assert_int_equal(open_reader(f), 0);
	assert_int_equal(lane->tail, first);
	for (uint32_t i = 0; i < first; i++)
		assert_int_equal(((uint8_t *)(lane + 1))[i], 0);
	f->next_offset = 100;
	drain(f, 0, 1, true);
	assert_int_equal(f->bytes, 100);
	assert_int_equal(f->broken_offsets + f->wrong_bytes, 0);
}

static void test_a_place_that_no_reader_was_at_is_not_believed(void **state)
{
	struct fixture *f = *state;
	struct wire_lane *lane = made_lane(&f->m, 0);
	const uint64_t places[] = {
		1, 4, LANE_BYTES / 2, 2 * LANE_BYTES, UINT64_MAX, UINT64_MAX - 7};
	put_stream(f, 0, 0, 100);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		lane->read = places[i];
		ring_reader_close(f->reader);
		assert_int_equal(open_reader(f), 0);
		assert_int_equal(lane->tail, 0);
	}
	drain(f, 0, 1, true);
	assert_int_equal(f->bytes, 100);
	/* Over the end of the circle. */
	ring_reader_close(f->reader);
	lane->tail = LANE_BYTES - 64;
	lane->head = lane->read = LANE_BYTES + 64;
	assert_int_equal(open_reader(f), 0);
	assert_int_equal(lane->tail, LANE_BYTES - 64);
}

static void nothing(void *user, const struct ring_record *rec)
{
	(void)user;
	(void)rec;
}

/* Reads on and on until it is killed, wherever that finds it. */
static void read_for_ever(const struct made_ring *m)
{
	struct ring_reader *r;
	struct process p;
	if (ring_reader_open(m->dir_fd, m->name, &r, &p) != 0)
		_exit(1);
	for (;;)
		ring_reader_drain(r, 0, SIZE_MAX, 1, true, nothing, NULL);
}

static void test_a_killed_reader_leaves_what_the_next_can_read(void **state)
{
	struct fixture *f = *state;
	uint64_t offset = 0;
	for (unsigned round = 0; round < 150; round++) {
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0)
			read_for_ever(&f->m);
		unsigned wait = 200 + (round * 7919u) % 3000;
		for (unsigned i = 0; i < wait; i++, offset += 300)
			put_stream(f, 0, offset, 300);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		ring_reader_close(f->reader);
		assert_int_equal(open_reader(f), 0);
		f->wrong_bytes = 0;
		drain(f, 0, 1, true);
		assert_int_equal(made_lane(&f->m, 0)->tail, made_lane(&f->m, 0)->head);
		assert_int_equal(f->wrong_bytes, 0);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, read_ring_setup, read_ring_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_next_reader_goes_on_at_the_tail),
		TEST(test_what_a_killed_reader_began_to_give_back_is_given_back),
		TEST(test_a_place_that_no_reader_was_at_is_not_believed),
		TEST(test_a_killed_reader_leaves_what_the_next_can_read),
	};
	return cmocka_run_group_tests_name("intake/next_reader", tests, NULL, NULL);
}
