/*
 * The consumer against the shim's own producer, and against words that no shim writes.
 */
#include "tests/unit/intake/read_ring.h"

static void test_what_is_put_comes_out_lap_after_lap(void **state)
{
	struct fixture *f = *state;
	uint64_t offset = 0;
	for (unsigned i = 0; i < 3000; i++) {
		size_t n = 1 + (i * 7919u) % 40000;
		put_stream(f, 0, offset, n);
		offset += n;
		if (i % 2 || n > 10000)
			drain(f, 0, 1, true);
	}
	drain(f, 0, 1, true);
	assert_int_equal(f->bytes, offset);
	assert_int_equal(f->broken_offsets, 0);
	assert_int_equal(f->wrong_bytes, 0);
	struct wire_lane *lane = made_lane(&f->m, 0);
	assert_int_equal(lane->dropped_records, 0);
	assert_true(lane->head > 100 * LANE_BYTES);
	assert_int_equal(lane->tail, lane->head);
	assert_int_equal(lane->read, lane->tail);
	/* Nothing of a prompt stays behind, and all of it reads "reserved only" in the next lap. */
	for (uint32_t i = 0; i < LANE_BYTES; i++)
		assert_int_equal(((uint8_t *)(lane + 1))[i], 0);
}

static void test_a_long_drain_makes_room_on_its_way(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 40; i++)
		put_stream(f, 0, i * 1000u, 1000);
	struct wire_lane *lane = made_lane(&f->m, 0);
	size_t passed = ring_reader_drain(f->reader, 0, 30, 1, true, on_record, f);
	assert_int_equal(passed, 30);
	assert_int_equal(lane->tail, 30 * (WIRE_RECORD_BYTES + 1000));
	assert_int_equal(ring_reader_drain(f->reader, 0, 30, 1, true, on_record, f), 10);
	assert_int_equal(f->bytes, 40000);
}

static void test_an_unpublished_record_is_waited_for(void **state)
{
	struct fixture *f = *state;
	put_stream(f, 0, 0, 100);
	put_stream(f, 0, 100, 100);
	made_control(&f->m, WIRE_CLOSE, 0, 1, 0);
	struct wire_record *second = made_record(&f->m, 0, WIRE_RECORD_BYTES + 104);
	uint32_t length = second->length;
	second->length = length | WIRE_BUSY;
	drain(f, 0, 1, true);
	assert_int_equal(f->records, 1);
	second->length = 0;
	drain(f, 0, 1, true);
	assert_int_equal(f->records, 1);
	second->length = length;
	drain(f, 0, 1, true);
	assert_int_equal(f->records, 3);
	assert_int_equal(f->broken_offsets, 0);
	assert_int_equal(ring_reader_loss(f->reader, 0).skipped, 0);
}

static void test_what_the_dead_left_is_skipped(void **state)
{
	struct fixture *f = *state;
	put_stream(f, 0, 0, 100);
	put_stream(f, 0, 100, 100);
	made_control(&f->m, WIRE_CLOSE, 0, 1, 0);
	made_record(&f->m, 0, 0)->length |= WIRE_BUSY;
	assert_int_equal(drain(f, 0, 1, false), 3);
	assert_int_equal(f->records, 2);
	assert_int_equal(f->bytes, 100);
	assert_int_equal(f->last_type, WIRE_CLOSE);
	assert_int_equal(ring_reader_loss(f->reader, 0).skipped, 1);
}

/* The hole lies before the end of the circle; what begins behind that is found again. */
static void test_without_its_length_the_circle_is_given_up_to_its_end(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 2; i++)
		put_stream(f, 0, i * 16000u, 16000);
	drain(f, 0, 1, true);
	for (unsigned i = 2; i < 5; i++)
		put_stream(f, 0, i * 16000u, 16000);
	made_record(&f->m, 0, made_lane(&f->m, 0)->tail)->length = 0;
	assert_int_equal(drain(f, 0, 1, true), 0);
	drain(f, 0, 1, false);
	assert_int_equal(f->bytes, 3 * 16000);
	assert_int_equal(f->next_offset, 5 * 16000);
	assert_int_equal(f->wrong_bytes, 0);
	assert_int_equal(ring_reader_loss(f->reader, 0).skipped, 1);
	assert_int_equal(made_lane(&f->m, 0)->tail, made_lane(&f->m, 0)->head);
}

/* Only what is as old as the hole goes with it: the rest may be written to at this moment. */
static void test_without_its_length_a_living_process_loses_what_is_as_old(void **state)
{
	struct fixture *f = *state;
	put_stream(f, 0, 0, 100);
	put_stream(f, 0, 100, 100);
	made_record(&f->m, 0, 0)->length = 0;
	uint64_t offset = 200;
	for (uint64_t now = SECOND; now < 20 * SECOND; now += SECOND, offset += 8) {
		drain(f, 0, now, true);
		put_stream(f, 0, offset, 8);
	}
	drain(f, 0, 20 * SECOND, true);
	assert_int_equal(f->bytes, offset - 200);
	assert_int_equal(ring_reader_loss(f->reader, 0).skipped, 1);
}

/* Others of its process record on: after a while its owner will not come back. */
static void test_a_record_is_skipped_when_its_process_goes_on_without_it(void **state)
{
	struct fixture *f = *state;
	put_stream(f, 0, 0, 100);
	made_record(&f->m, 0, 0)->length |= WIRE_BUSY;
	uint64_t now = SECOND, offset = 100;
	for (; now < 9 * SECOND; now += SECOND / 2) {
		put_stream(f, 0, offset, 8);
		offset += 8;
		assert_int_equal(drain(f, 0, now, true), 0);
	}
	for (; now < 13 * SECOND; now += SECOND / 2) {
		put_stream(f, 0, offset, 8);
		offset += 8;
		drain(f, 0, now, true);
	}
	assert_int_equal(f->bytes, offset - 100);
	assert_int_equal(ring_reader_loss(f->reader, 0).skipped, 1);
}

/* The whole process was stopped: its thread comes back and fills in. */
static void test_a_record_of_a_stopped_process_is_not_skipped(void **state)
{
	struct fixture *f = *state;
	put_stream(f, 0, 0, 100);
	made_record(&f->m, 0, 0)->length |= WIRE_BUSY;
	for (uint64_t now = SECOND; now < 1000 * SECOND; now += SECOND)
		assert_int_equal(drain(f, 0, now, true), 0);
	put_stream(f, 0, 100, 100);
	assert_int_equal(drain(f, 0, 2000 * SECOND, true), 0);
	made_record(&f->m, 0, 0)->length &= ~WIRE_BUSY;
	drain(f, 0, 2000 * SECOND, true);
	assert_int_equal(f->bytes, 200);
	assert_int_equal(f->broken_offsets, 0);
}

static void test_what_is_no_record_is_passed_over(void **state)
{
	struct fixture *f = *state;
	uint64_t at = 0;
	for (unsigned i = 0; i < 6; i++)
		put_stream(f, 0, i * 16u, 16);
	const uint64_t step = WIRE_RECORD_BYTES + 16;
	made_record(&f->m, 0, at += step)->type = 0;
	made_record(&f->m, 0, at += step)->type = WIRE_OPAQUE + 1;
	made_record(&f->m, 0, at += step)->pad = WIRE_ALIGN;
	made_record(&f->m, 0, at += step)->pad = 255;
	drain(f, 0, 1, true);
	assert_int_equal(f->records, 2);
	assert_int_equal(ring_reader_loss(f->reader, 0).skipped, 4);
}

static void test_a_pad_longer_than_the_payload_is_no_record(void **state)
{
	struct fixture *f = *state;
	made_control(&f->m, WIRE_OPEN, 0, 1, 0);
	made_record(&f->m, 0, 0)->pad = 1;
	drain(f, 0, 1, true);
	assert_int_equal(f->records, 0);
}

static void test_a_length_that_cannot_be_costs_its_lane_alone(void **state)
{
	static const uint32_t lengths[] = {
		1, 7, 12, 4096, LANE_BYTES, 0x7ffffff8, WIRE_BUSY | 12, WIRE_BUSY | 4096};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		struct fixture *f = *state;
		put_stream(f, 0, 0, 16);
		put_stream(f, 1, 0, 16);
		made_record(&f->m, 0, 0)->length = lengths[i];
		drain(f, 0, 1, true);
		assert_true(ring_reader_lane_broken(f->reader, 0));
		assert_int_equal(ring_reader_loss(f->reader, 0).skipped, 1);
		assert_int_equal(f->records, 0);
		assert_false(ring_reader_broken(f->reader));
		drain(f, 1, 1, true);
		assert_int_equal(f->records, 1);
		read_ring_teardown(state);
		read_ring_setup(state);
	}
}

/* Behind the last lane the file ends, and what is mapped. */
static void test_a_record_does_not_run_over_the_end_of_the_circle(void **state)
{
	struct fixture *f = *state;
	struct wire_lane *lane = made_lane(&f->m, 1);
	ring_reader_close(f->reader);
	lane->head = lane->tail = 5ull * LANE_BYTES - 64;
	assert_int_equal(open_reader(f), 0);
	lane->head += 128;
	*made_record(&f->m, 1, lane->tail) =
		(struct wire_record){.length = 128, .type = WIRE_IN, .fd = 1, .generation = 1};
	assert_int_equal(drain(f, 1, 1, true), 0);
	assert_int_equal(f->records, 0);
	assert_true(ring_reader_lane_broken(f->reader, 1));
}

static void test_a_length_beyond_a_payload_is_no_record(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 3; i++)
		put_stream(f, 0, i * WIRE_PAYLOAD_MAX, WIRE_PAYLOAD_MAX);
	made_record(&f->m, 0, 0)->length = 2 * (WIRE_RECORD_BYTES + WIRE_PAYLOAD_MAX);
	drain(f, 0, 1, true);
	assert_int_equal(f->records, 1);
	assert_int_equal(f->bytes, WIRE_PAYLOAD_MAX);
}

static void test_a_head_that_cannot_be_breaks_its_lane(void **state)
{
	struct fixture *f = *state;
	put_stream(f, 0, 0, 100);
	drain(f, 0, 1, true);
	made_lane(&f->m, 0)->head += LANE_BYTES + 8;
	assert_int_equal(drain(f, 0, 1, true), 0);
	assert_true(ring_reader_lane_broken(f->reader, 0));
	made_lane(&f->m, 1)->head = UINT64_MAX;
	assert_int_equal(drain(f, 1, 1, true), 0);
	assert_true(ring_reader_broken(f->reader));
}

/* It is where a hole would end. */
static void test_a_head_between_two_places_breaks_its_lane(void **state)
{
	struct fixture *f = *state;
	made_lane(&f->m, 0)->head = 4;
	assert_int_equal(drain(f, 0, 1, false), 0);
	assert_true(ring_reader_lane_broken(f->reader, 0));
}

static void test_a_tail_that_cannot_be_is_found_at_the_beginning(void **state)
{
	struct fixture *f = *state;
	ring_reader_close(f->reader);
	made_lane(&f->m, 0)->tail = 8;
	made_lane(&f->m, 1)->head = made_lane(&f->m, 1)->tail = 4;
	assert_int_equal(open_reader(f), 0);
	assert_true(ring_reader_broken(f->reader));
	assert_int_equal(ring_reader_loss(f->reader, 0).skipped, 1);
	assert_int_equal(drain(f, 0, 1, true), 0);
}

/* A later tail is nobody's word but ours. */
static void test_a_tail_that_another_wrote_is_not_read(void **state)
{
	struct fixture *f = *state;
	put_stream(f, 0, 0, 100);
	made_lane(&f->m, 0)->tail = 1u << 20;
	drain(f, 0, 1, true);
	assert_int_equal(f->bytes, 100);
	assert_int_equal(made_lane(&f->m, 0)->tail, made_lane(&f->m, 0)->head);
}

static void test_a_file_that_is_cut_costs_the_ring(void **state)
{
	struct fixture *f = *state;
	ring_reader_setup(); /* cmocka has a handler of its own in each test */
	put_stream(f, 0, 0, 30000);
	char path[160];
	snprintf(path, sizeof(path), "%s/%s", f->m.dir, f->m.name);
	assert_int_equal(truncate(path, WIRE_HEADER_BYTES + 4096), 0);
	drain(f, 0, 1, true);
	assert_true(ring_reader_broken(f->reader));
	assert_int_equal(drain(f, 1, 1, true), 0);
	assert_int_equal(ring_reader_loss(f->reader, 1).records, 0);
	assert_int_equal(ring_reader_unwatched(f->reader), 0);
	assert_int_equal(ring_reader_fill(f->reader, 0), 0);
}

static void test_a_ring_in_which_nothing_came_is_quiet(void **state)
{
	struct fixture *f = *state;
	ring_reader_setup();
	assert_true(ring_reader_is_quiet(f->reader));
	made_control(&f->m, WIRE_OPEN, 1, 1, 0);
	assert_false(ring_reader_is_quiet(f->reader));
	drain(f, 0, 1, true);
	assert_false(ring_reader_is_quiet(f->reader));
	drain(f, 1, 1, true);
	assert_true(ring_reader_is_quiet(f->reader));
	made_lane(&f->m, 0)->head = UINT64_MAX;
	assert_false(ring_reader_is_quiet(f->reader));
	drain(f, 0, 1, true);
	assert_true(ring_reader_is_quiet(f->reader)); /* a broken lane has nothing to say */
	char path[160];
	snprintf(path, sizeof(path), "%s/%s", f->m.dir, f->m.name);
	assert_int_equal(truncate(path, 0), 0);
	assert_false(ring_reader_is_quiet(f->reader)); /* once: its reader looks, and finds out */
	assert_true(ring_reader_broken(f->reader));
	assert_true(ring_reader_is_quiet(f->reader));
}

static void test_how_full_a_lane_is(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(ring_reader_fill(f->reader, 0), 0);
	made_control(&f->m, WIRE_OPEN, 0, 1, 0);
	assert_int_equal(ring_reader_fill(f->reader, 0), 1);
	put_stream(f, 0, 0, LANE_BYTES / 2);
	assert_in_range(ring_reader_fill(f->reader, 0), 500, 510);
	drain(f, 0, 1, true);
	assert_int_equal(ring_reader_fill(f->reader, 0), 0);
}

static void test_what_the_producer_dropped_is_told(void **state)
{
	struct fixture *f = *state;
	put_stream(f, 0, 0, 50000);
	put_stream(f, 0, 50000, 50000);
	uint64_t dropped = ring_reader_loss(f->reader, 0).bytes;
	assert_true(dropped > 0);
	assert_int_equal(ring_reader_loss(f->reader, 0).records, 1);
	drain(f, 0, 1, true);
	assert_int_equal(f->bytes + dropped, 100000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, read_ring_setup, read_ring_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_put_comes_out_lap_after_lap),
		TEST(test_a_long_drain_makes_room_on_its_way),
		TEST(test_an_unpublished_record_is_waited_for),
		TEST(test_what_the_dead_left_is_skipped),
		TEST(test_without_its_length_the_circle_is_given_up_to_its_end),
		TEST(test_without_its_length_a_living_process_loses_what_is_as_old),
		TEST(test_a_record_is_skipped_when_its_process_goes_on_without_it),
		TEST(test_a_record_of_a_stopped_process_is_not_skipped),
		TEST(test_what_is_no_record_is_passed_over),
		TEST(test_a_pad_longer_than_the_payload_is_no_record),
		TEST(test_a_length_that_cannot_be_costs_its_lane_alone),
		TEST(test_a_record_does_not_run_over_the_end_of_the_circle),
		TEST(test_a_length_beyond_a_payload_is_no_record),
		TEST(test_a_head_that_cannot_be_breaks_its_lane),
		TEST(test_a_head_between_two_places_breaks_its_lane),
		TEST(test_a_tail_that_cannot_be_is_found_at_the_beginning),
		TEST(test_a_tail_that_another_wrote_is_not_read),
		TEST(test_a_file_that_is_cut_costs_the_ring),
		TEST(test_a_ring_in_which_nothing_came_is_quiet),
		TEST(test_how_full_a_lane_is),
		TEST(test_what_the_producer_dropped_is_told),
	};
	return cmocka_run_group_tests_name("intake/ring_reader", tests, NULL, NULL);
}
