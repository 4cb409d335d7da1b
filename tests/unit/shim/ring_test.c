/*
 * The producer against a ring in plain memory. The map ends against an unmapped page, so that a byte
 * written past it is a fault.
 */
#include "tests/unit/test.h"

#include <sys/mman.h>
#include <unistd.h>

#include "shim/ring.h"

#define LANES	   2u
#define LANE_BYTES WIRE_LANE_BYTES_MIN

struct fixture {
	uint8_t *pages;
	size_t bytes;
	struct ring ring;
};

static int setup(void **state)
{
	static struct fixture f;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t file = wire_file_bytes(LANES, LANE_BYTES);
	size_t room = (file + page - 1) / page * page;
	f.bytes = room + 2 * page;
	f.pages = mmap(NULL, f.bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(mprotect(f.pages + page, room, PROT_READ | PROT_WRITE), 0);
	ring_init(&f.ring, f.pages + page + room - file, LANES, LANE_BYTES);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	return munmap(f->pages, f->bytes);
}

static struct wire_lane *lane_of(const struct fixture *f, uint32_t n)
{
	return (struct wire_lane *)(f->ring.map + wire_lane_offset(n, LANE_BYTES));
}

static struct wire_record *record_at(const struct fixture *f, uint32_t n, uint64_t position)
{
	return (struct wire_record *)((uint8_t *)(lane_of(f, n) + 1) + position % LANE_BYTES);
}

static void put(struct fixture *f, uint32_t fd, const char *bytes, size_t n, uint64_t offset)
{
	struct ring_note note = {.type = WIRE_IN, .fd = fd, .generation = 1, .offset = offset};
	struct iovec iov = {(void *)(uintptr_t)bytes, n};
	ring_put_data(&f->ring, &note, &iov, n);
}

static void control(struct fixture *f, uint32_t fd)
{
	struct ring_note note = {.type = WIRE_CLOSE, .fd = fd, .generation = 1};
	ring_put_control(&f->ring, &note);
}

/* The example that wire.h works in hex. */
static void test_a_record_is_the_bytes_of_the_picture(void **state)
{
	struct fixture *f = *state;
	struct ring_note note = {
		.type = WIRE_IN, .fd = 7, .generation = 3, .time = 123456789, .offset = 0};
	struct iovec iov = {(void *)(uintptr_t) "GET /", 5};
	ring_put_data(&f->ring, &note, &iov, 5);
	static const uint8_t want[40] = {
		0x28, 0, 0, 0, 3, 3, 0, 0, 7, 0, 0, 0, 3,   0,	 0,   0,   0x15, 0xcd, 0x5b, 7,
		0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'G', 'E', 'T', ' ', '/',	 0,    0,    0};
	assert_memory_equal(record_at(f, 1, 0), want, sizeof(want));
	assert_int_equal(lane_of(f, 1)->head, 40);
	assert_int_equal(lane_of(f, 0)->head, 0);
}

/* The short way gives the same bytes, for each length, and does nothing where it cannot. */
static void test_the_short_way_gives_the_same_records(void **state)
{
	struct fixture *f = *state;
	static uint8_t bytes[WIRE_PAYLOAD_MAX + 1];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 131 + (i >> 8) + 1);
	struct ring_note note = {
		.type = WIRE_OUT, .info = 9, .generation = 3, .time = 5, .offset = 77};
	for (size_t n = 1; n <= 400; n++) {
		for (uint32_t fd = 0; fd < 2; fd++) {
			struct wire_lane *lane = lane_of(f, fd);
			memset(lane, 0, sizeof(*lane) + LANE_BYTES);
			f->ring.lane[fd].tail_seen = 0;
		}
		struct iovec iov = {bytes + n % 7, n};
		note.fd = 0;
		ring_put_data(&f->ring, &note, &iov, n);
		note.fd = 1;
		assert_true(ring_put_at_once(&f->ring, &note, iov.iov_base, n));
		assert_int_equal(lane_of(f, 0)->head, lane_of(f, 1)->head);
		record_at(f, 1, 0)->fd = 0;
		assert_memory_equal(record_at(f, 0, 0), record_at(f, 1, 0), 512);
		assert_memory_equal(record_at(f, 1, 0) + 1, iov.iov_base, n);
	}
	assert_false(ring_put_at_once(&f->ring, &note, bytes, sizeof(bytes)));
	while (ring_put_at_once(&f->ring, &note, bytes, 1000))
		;
	struct wire_lane *lane = lane_of(f, 1);
	uint64_t head = lane->head;
	assert_true(LANE_BYTES - WIRE_LANE_RESERVE - head < WIRE_RECORD_BYTES + 1000);
	assert_int_equal(lane->dropped_records, 0);
	/* The end of the circle is near: the long way makes the filler. */
	lane->tail = f->ring.lane[1].tail_seen = lane->head = LANE_BYTES - 64;
	assert_false(ring_put_at_once(&f->ring, &note, bytes, 100));
	assert_int_equal(lane->head, LANE_BYTES - 64);
	assert_true(ring_put_at_once(&f->ring, &note, bytes, 32));
	assert_int_equal(lane->head, LANE_BYTES);
}

static void test_a_vector_becomes_one_record_and_a_long_call_several(void **state)
{
	struct fixture *f = *state;
	static uint8_t big[WIRE_PAYLOAD_MAX + 100];
	memset(big, 'x', sizeof(big));
	struct iovec iov[4] = {
		{(void *)(uintptr_t) "ab", 2}, {NULL, 0}, {big, sizeof(big)}, {big, 50}};
	struct ring_note note = {.type = WIRE_OUT, .fd = 2, .generation = 1, .offset = 1000};
	ring_put_data(&f->ring, &note, iov, 2 + sizeof(big));
	struct wire_record *first = record_at(f, 0, 0);
	assert_int_equal(first->length, WIRE_RECORD_BYTES + WIRE_PAYLOAD_MAX);
	assert_int_equal(first->offset, 1000);
	assert_memory_equal(first + 1, "abxx", 4);
	struct wire_record *second = record_at(f, 0, first->length);
	assert_int_equal(second->offset, 1000 + WIRE_PAYLOAD_MAX);
	assert_int_equal(second->length - WIRE_RECORD_BYTES - second->pad, 102);
}

static void test_a_full_lane_drops_counts_and_keeps_its_reserve_for_the_ends(void **state)
{
	struct fixture *f = *state;
	static const char text[1000];
	uint64_t put_bytes = 0;
	for (int i = 0; i < 100; i++) {
		put(f, 0, text, sizeof(text), put_bytes);
		put_bytes += sizeof(text);
	}
	struct wire_lane *lane = lane_of(f, 0);
	uint64_t recorded = lane->head / (WIRE_RECORD_BYTES + 1000);
	assert_int_equal(recorded, (LANE_BYTES - WIRE_LANE_RESERVE) / (WIRE_RECORD_BYTES + 1000));
	assert_int_equal(lane->dropped_records, 100 - recorded);
	assert_int_equal(lane->dropped_bytes, (100 - recorded) * 1000);
	assert_int_equal(lane->dropped_controls, 0);
	for (int i = 0; i < 200; i++)
		control(f, 0);
	assert_int_equal(lane->dropped_controls, 0);
	for (int i = 0; i < 100; i++)
		control(f, 0);
	assert_true(lane->dropped_controls > 0);
	assert_true(lane->head <= LANE_BYTES);
	assert_int_equal(lane_of(f, 1)->dropped_records, 0);
}

/* Reads as the agent does: every record whole and in order over many laps of the circle. */
static void test_laps_of_the_circle_keep_every_record_whole(void **state)
{
	struct fixture *f = *state;
	struct wire_lane *lane = lane_of(f, 0);
	static char text[5000];
	uint64_t offset = 0, seen = 0, pads = 0;
	for (unsigned i = 0; i < 2000; i++) {
		size_t n = 1 + (i * 7919u) % sizeof(text);
		memset(text, (int)('a' + i % 26), n);
		put(f, 0, text, n, offset);
		offset += n;
		while (lane->tail < lane->head) {
			struct wire_record *rec = record_at(f, 0, lane->tail);
			uint32_t length = rec->length;
			assert_int_equal(length & WIRE_BUSY, 0);
			assert_int_equal(length % WIRE_ALIGN, 0);
			if (rec->type == WIRE_PAD) {
				pads++;
			} else {
				size_t got = length - WIRE_RECORD_BYTES - rec->pad;
				assert_int_equal(rec->offset, seen);
				assert_int_equal(((uint8_t *)(rec + 1))[got - 1], 'a' + i % 26);
				seen += got;
			}
			memset(rec, 0, length);
			lane->tail += length;
		}
	}
	assert_int_equal(seen, offset);
	assert_true(pads > 10);
	assert_int_equal(lane->dropped_records, 0);
}

/* What the agent could write into its words, and any word of the lane's head: never a byte outside,
 * never a wait. */
static void test_hostile_words_cost_records_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	static char text[20000];
	uint64_t seed = 1;
	for (int i = 0; i < 20000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		struct wire_lane *lane = lane_of(f, (uint32_t)(seed >> 40) & 1);
		uint64_t value = (seed >> 33) & 1 ? seed : (seed >> 45);
		if (i % 3 == 0)
			lane->tail = value;
		else if (i % 7 == 0)
			lane->head = value;
		else if (i % 11 == 0)
			lane->tail = lane->head;
		put(f, (uint32_t)i & 1, text, (size_t)(seed >> 50) % sizeof(text) + 1, seed);
		control(f, (uint32_t)i & 1);
	}
}

/* Nor does it make room: such a lane is full. */
static void test_a_tail_that_cannot_be_makes_no_room(void **state)
{
	struct fixture *f = *state;
	static const char text[1000];
	struct wire_lane *lane = lane_of(f, 0);
	while (!lane->dropped_records)
		put(f, 0, text, sizeof(text), 0);
	const uint64_t head = lane->head;
	const uint64_t tails[] = {head + WIRE_ALIGN, head + LANE_BYTES,
				  head - LANE_BYTES - WIRE_ALIGN, head - WIRE_ALIGN / 2,
				  UINT64_MAX & ~(uint64_t)(WIRE_ALIGN - 1)};
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		lane->tail = tails[i];
		put(f, 0, text, sizeof(text), 0);
		assert_int_equal(lane->dropped_records, i + 2);
		assert_int_equal(lane->head, head);
	}
	lane->tail = head;
	put(f, 0, text, sizeof(text), 0);
	assert_true(lane->head > head);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_record_is_the_bytes_of_the_picture, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_the_short_way_gives_the_same_records, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_a_vector_becomes_one_record_and_a_long_call_several, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_full_lane_drops_counts_and_keeps_its_reserve_for_the_ends, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_laps_of_the_circle_keep_every_record_whole,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_words_cost_records_and_nothing_else,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_tail_that_cannot_be_makes_no_room, setup,
						teardown),
	};
	return cmocka_run_group_tests_name("shim/ring", tests, NULL, NULL);
}
