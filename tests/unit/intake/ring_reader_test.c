/*
 * The consumer against the shim's own producer, and against words that no shim writes.
 */
#include "tests/unit/intake/made_ring.h"

#include "agent/intake/counter.h"
#include "agent/intake/ring_reader.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define LANES	   2u
#define LANE_BYTES WIRE_LANE_BYTES_MIN
#define SECOND	   1000000000ull

struct fixture {
	struct made_ring m;
	struct ring_reader *reader;
	struct process process;
	/* what was read */
	size_t records;
	uint64_t bytes, next_offset, broken_offsets, wrong_bytes;
	uint8_t last_type;
	uint64_t last_time_ns;
};

static int open_reader(struct fixture *f)
{
	return ring_reader_open(f->m.dir_fd, f->m.name, &f->reader, &f->process);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	made_directory(&f->m);
	made_ring_file(&f->m, "1-2-0.ring", 1, 2, LANES, LANE_BYTES);
	assert_int_equal(open_reader(f), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	ring_reader_close(f->reader);
	made_ring_remove(&f->m);
	free(f);
	return 0;
}

/* Byte number n of every stream in these tests. */
static uint8_t byte_of(uint64_t n)
{
	return (uint8_t)(n * 131 + (n >> 8));
}

static void on_record(void *user, const struct ring_record *rec)
{
	struct fixture *f = user;
	f->records++;
	f->last_type = rec->type;
	f->last_time_ns = rec->time_ns;
	if (rec->type != WIRE_IN && rec->type != WIRE_OUT)
		return;
	f->broken_offsets += rec->offset != f->next_offset;
	for (size_t i = 0; i < rec->payload.len; i++)
		f->wrong_bytes += rec->payload.at[i] != byte_of(rec->offset + i);
	f->bytes += rec->payload.len;
	f->next_offset = rec->offset + rec->payload.len;
}

static size_t drain(struct fixture *f, uint32_t lane, uint64_t now_ns, bool lives)
{
	return ring_reader_drain(f->reader, lane, SIZE_MAX, now_ns, lives, on_record, f);
}

static void put_stream(struct fixture *f, uint32_t fd, uint64_t offset, size_t n)
{
	static uint8_t bytes[100000];
	for (size_t i = 0; i < n; i++)
		bytes[i] = byte_of(offset + i);
	made_put(&f->m, WIRE_IN, fd, 1, offset, bytes, n);
}

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
		teardown(state);
		setup(state);
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

/* ---- files that are none of ours ---- */

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

/* ---- who has it mapped ---- */

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

/* ---- a reader that is killed ---- */

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

/* ---- time --------------------------------------------------------------------------------------- */

static uint64_t mono_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void put_at(struct fixture *f, uint64_t time)
{
	struct ring_note note = {.type = WIRE_OPEN, .fd = 0, .generation = 1, .time = time};
	ring_put_control(&f->m.producer, &note);
}

static void reopen_counting(struct fixture *f)
{
	ring_reader_close(f->reader);
	made_header(&f->m)->clock = WIRE_CLOCK_COUNTER;
	assert_int_equal(open_reader(f), 0);
}

/* Another process of another PID namespace, where that can be had, takes the times. */
static void test_times_of_the_counter_become_those_of_the_clock(void **state)
{
	struct fixture *f = *state;
	int to[2];
	if (!counter_is_kernels(0))
		skip();
	reopen_counting(f);
	assert_int_equal(pipe(to), 0);
	for (unsigned i = 0; i < 20; i++) {
		pid_t child = fork();
		if (!child) {
			unshare(CLONE_NEWPID);
			pid_t inner = fork();
			if (inner) {
				waitpid(inner, NULL, 0);
				_exit(0);
			}
			uint64_t around[2] = {mono_ns()};
			put_at(f, wire_counter() | WIRE_TIME_COUNTER);
			around[1] = mono_ns();
			_exit(write(to[1], around, sizeof(around)) != sizeof(around));
		}
		uint64_t around[2];
		assert_int_equal(waitpid(child, NULL, 0), child);
		assert_int_equal(read(to[0], around, sizeof(around)), sizeof(around));
		assert_int_equal(drain(f, 0, 0, true), 1);
		assert_true(f->last_time_ns + 10000 >= around[0]);
		assert_true(f->last_time_ns <= around[1] + 10000);
	}
	put_at(f, 12345);
	drain(f, 0, 0, true);
	assert_int_equal(f->last_time_ns, 12345);
	close(to[0]);
	close(to[1]);
}

static void test_no_time_is_to_come(void **state)
{
	struct fixture *f = *state;
	const uint64_t hostile[] = {WIRE_TIME_COUNTER, UINT64_MAX,
				    UINT64_MAX >> 1 | WIRE_TIME_COUNTER, WIRE_TIME_COUNTER | 1,
				    wire_counter() * 2 | WIRE_TIME_COUNTER};
	const struct counter_pair pairs[] = {{0, 0}, {UINT64_MAX, 1}, {1, UINT64_MAX}, {1, 1}};
	for (size_t p = 0; p < sizeof(pairs) / sizeof(*pairs); p++) {
		made_header(&f->m)->made_counter = pairs[p].counter;
		made_header(&f->m)->made_mono_ns = pairs[p].mono_ns;
		reopen_counting(f);
		for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
			put_at(f, hostile[i]);
			assert_int_equal(drain(f, 0, 0, true), 1);
			assert_true(f->last_time_ns <= mono_ns());
		}
	}
}

static void test_a_counter_that_is_no_good_is_not_used_any_more(void **state)
{
	struct fixture *f = *state;
	reopen_counting(f);
	drain(f, 0, 0, true);
	assert_int_equal(made_header(&f->m)->clock,
			 counter_is_kernels(0) ? WIRE_CLOCK_COUNTER : WIRE_CLOCK_MONOTONIC);
	counter_machine()->broken = true;
	drain(f, 0, 0, true);
	counter_machine()->broken = false;
	assert_int_equal(made_header(&f->m)->clock, WIRE_CLOCK_MONOTONIC);
	assert_false(ring_reader_broken(f->reader));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_put_comes_out_lap_after_lap),
		TEST(test_a_long_drain_makes_room_on_its_way),
		TEST(test_the_next_reader_goes_on_at_the_tail),
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
		TEST(test_only_a_private_regular_file_is_opened),
		TEST(test_no_header_makes_a_map_that_is_not_there),
		TEST(test_sizes_past_the_limits),
		TEST(test_text_without_an_end_gets_one),
		TEST(test_it_is_seen_whether_a_producer_has_the_ring),
		TEST(test_memory_is_given_back_when_nobody_has_the_ring),
		TEST(test_the_question_hurts_nobody),
		TEST(test_what_a_killed_reader_began_to_give_back_is_given_back),
		TEST(test_a_place_that_no_reader_was_at_is_not_believed),
		TEST(test_a_killed_reader_leaves_what_the_next_can_read),
		TEST(test_times_of_the_counter_become_those_of_the_clock),
		TEST(test_no_time_is_to_come),
		TEST(test_a_counter_that_is_no_good_is_not_used_any_more),
	};
	return cmocka_run_group_tests_name("intake/ring_reader", tests, NULL, NULL);
}
