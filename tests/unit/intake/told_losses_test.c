/*
 * What a ring lost is told once, whoever reads it.
 */
#include "tests/unit/intake/read_ring.h"

#include "agent/intake/told_losses.h"

/* Of both lanes. */
static uint64_t records(struct told_losses *t, struct fixture *f)
{
	return told_losses_records(t, f->reader, 0) + told_losses_records(t, f->reader, 1);
}

/* Another agent, which has what the one before it left in the ring. */
static struct told_losses begin_again(struct fixture *f)
{
	struct told_losses t;
	ring_reader_close(f->reader);
	assert_int_equal(open_reader(f), 0);
	told_losses_begin(&t, f->reader);
	return t;
}

static void test_what_the_ring_lost_is_told_once(void **state)
{
	struct fixture *f = *state;
	struct told_losses t = begin_again(f);
	assert_int_equal(records(&t, f), 0);
	made_lane(&f->m, 0)->dropped_records = 5;
	made_lane(&f->m, 1)->dropped_records = 2;
	assert_int_equal(records(&t, f), 7);
	assert_int_equal(records(&t, f), 0);
	made_lane(&f->m, 1)->dropped_records = 3;
	assert_int_equal(records(&t, f), 1);
}

/* The counters are in the server's reach: whatever stands in them, nothing is told that was not lost. */
static void test_a_loss_that_cannot_be_is_not_told(void **state)
{
	struct fixture *f = *state;
	struct told_losses t = begin_again(f);
	const uint64_t written_over[] = {UINT64_MAX, UINT64_MAX - 4, 1ULL << 63, 1ULL << 48};
	made_lane(&f->m, 0)->dropped_records = 5;
	assert_int_equal(records(&t, f), 5);
	for (size_t i = 0; i < sizeof(written_over) / sizeof(*written_over); i++) {
		made_lane(&f->m, 1)->dropped_records = written_over[i];
		made_lane(&f->m, 1)->dropped_bytes = written_over[i];
		assert_int_equal(records(&t, f), 0);
		assert_int_equal(ring_reader_loss(f->reader, 1).bytes, 0);
	}
	made_lane(&f->m, 1)->dropped_records = 2;
	assert_int_equal(records(&t, f), 2);
	/* Nor is one taken back. */
	made_lane(&f->m, 1)->dropped_records = 1;
	assert_int_equal(records(&t, f), 0);
	made_lane(&f->m, 1)->dropped_records = 3;
	assert_int_equal(records(&t, f), 1);
}

/* What is skipped is a loss of the reader's own, which no counter of the ring has. */
static void test_what_was_skipped_is_told_once(void **state)
{
	struct fixture *f = *state;
	struct told_losses t = begin_again(f);
	put_stream(f, 0, 0, 100);
	made_record(&f->m, 0, 0)->length |= WIRE_BUSY;
	drain(f, 0, 1, false);
	assert_int_equal(records(&t, f), 1);
	assert_int_equal(records(&t, f), 0);
	told_losses_note(&t, f->reader);
	assert_int_equal(made_lane(&f->m, 0)->told, 0);
}

static void test_the_next_agent_tells_what_was_not_noted(void **state)
{
	struct fixture *f = *state;
	struct told_losses t = begin_again(f);
	made_lane(&f->m, 0)->dropped_records = 5;
	made_header(&f->m)->unwatched = 3;
	assert_int_equal(records(&t, f), 5);
	assert_int_equal(told_losses_unwatched(&t, f->reader), 3);
	told_losses_note(&t, f->reader);
	made_lane(&f->m, 0)->dropped_records = 7; /* read, and not exported any more */
	assert_int_equal(records(&t, f), 2);
	t = begin_again(f);
	assert_int_equal(told_losses_unwatched(&t, f->reader), 0);
	made_lane(&f->m, 1)->dropped_records = 1;
	made_header(&f->m)->unwatched = 4;
	assert_int_equal(records(&t, f), 3);
	assert_int_equal(told_losses_unwatched(&t, f->reader), 1);
	/* A third one has nothing to tell. */
	told_losses_note(&t, f->reader);
	t = begin_again(f);
	assert_int_equal(records(&t, f), 0);
	assert_int_equal(told_losses_unwatched(&t, f->reader), 0);
}

/* These words, too, are in the server's reach. One that no counter can have come to is as good as none. */
static void test_more_than_was_lost_was_not_told(void **state)
{
	struct fixture *f = *state;
	made_lane(&f->m, 0)->dropped_records = 7;
	made_lane(&f->m, 0)->told = UINT64_MAX;
	made_lane(&f->m, 1)->dropped_records = 1;
	made_lane(&f->m, 1)->told = 1000;
	made_header(&f->m)->unwatched = 4;
	made_header(&f->m)->unwatched_told = UINT64_MAX;
	struct told_losses t = begin_again(f);
	assert_int_equal(records(&t, f), 7);
	assert_int_equal(told_losses_unwatched(&t, f->reader), 0);
	made_lane(&f->m, 0)->dropped_records = 8;
	made_lane(&f->m, 1)->dropped_records = 2;
	made_header(&f->m)->unwatched = 5;
	assert_int_equal(records(&t, f), 2);
	assert_int_equal(told_losses_unwatched(&t, f->reader), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, read_ring_setup, read_ring_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_what_the_ring_lost_is_told_once),
		TEST(test_a_loss_that_cannot_be_is_not_told),
		TEST(test_what_was_skipped_is_told_once),
		TEST(test_the_next_agent_tells_what_was_not_noted),
		TEST(test_more_than_was_lost_was_not_told),
	};
	return cmocka_run_group_tests_name("intake/told_losses", tests, NULL, NULL);
}
