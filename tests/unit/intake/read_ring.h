/*
 * read_ring.h - a ring of made_ring.h under the agent's reader, and a tally of what was read of it.
 */
#ifndef TESTS_READ_RING_H
#define TESTS_READ_RING_H

#include "tests/unit/intake/made_ring.h"

#include "agent/intake/ring_reader.h"

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

static inline int open_reader(struct fixture *f)
{
	return ring_reader_open(f->m.dir_fd, f->m.name, &f->reader, &f->process);
}

static inline int read_ring_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	made_directory(&f->m);
	made_ring_file(&f->m, "1-2-0.ring", 1, 2, LANES, LANE_BYTES);
	assert_int_equal(open_reader(f), 0);
	*state = f;
	return 0;
}

static inline int read_ring_teardown(void **state)
{
	struct fixture *f = *state;
	ring_reader_close(f->reader);
	made_ring_remove(&f->m);
	free(f);
	return 0;
}

/* Byte number n of every stream in these tests. */
static inline uint8_t byte_of(uint64_t n)
{
	return (uint8_t)(n * 131 + (n >> 8));
}

static inline void on_record(void *user, const struct ring_record *rec)
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

static inline size_t drain(struct fixture *f, uint32_t lane, uint64_t now_ns, bool lives)
{
	return ring_reader_drain(f->reader, lane, SIZE_MAX, now_ns, lives, on_record, f);
}

static inline void put_stream(struct fixture *f, uint32_t fd, uint64_t offset, size_t n)
{
	static uint8_t bytes[100000];
	for (size_t i = 0; i < n; i++)
		bytes[i] = byte_of(offset + i);
	made_put(&f->m, WIRE_IN, fd, 1, offset, bytes, n);
}

#endif
