/*
 * made_ring.h - a ring file in a directory of its own, with the shim's producer at its end and every
 * word of it in reach.
 */
#ifndef TESTS_MADE_RING_H
#define TESTS_MADE_RING_H

#include "tests/unit/test.h"

#include "shim/ring.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct made_ring {
	char dir[64];
	int dir_fd;
	char name[64];
	uint8_t *map;
	size_t bytes;
	struct ring producer;
};

static inline struct wire_header *made_header(const struct made_ring *m)
{
	return (struct wire_header *)m->map;
}

static inline struct wire_lane *made_lane(const struct made_ring *m, uint32_t n)
{
	return (struct wire_lane *)(m->map + wire_lane_offset(n, m->producer.lane_bytes));
}

static inline struct wire_record *made_record(const struct made_ring *m, uint32_t n, uint64_t at)
{
	uint8_t *circle = (uint8_t *)(made_lane(m, n) + 1);
	return (struct wire_record *)(circle + at % m->producer.lane_bytes);
}

static inline void made_ring_file(struct made_ring *m, const char *name, uint32_t pid,
				  uint64_t start_ticks, uint32_t lanes, uint32_t lane_bytes)
{
	snprintf(m->name, sizeof(m->name), "%s", name);
	m->bytes = wire_file_bytes(lanes, lane_bytes);
	int fd = openat(m->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, WIRE_FILE_MODE);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)m->bytes), 0);
	m->map = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(m->map, MAP_FAILED);
	close(fd);
	struct stat st;
	assert_int_equal(stat("/proc/self/ns/pid", &st), 0);
	struct wire_header *h = made_header(m);
	h->magic = WIRE_MAGIC;
	h->version = WIRE_VERSION;
	h->header_bytes = WIRE_HEADER_BYTES;
	h->lanes = lanes;
	h->lane_bytes = lane_bytes;
	h->pid = pid;
	h->uid = geteuid();
	h->start_ticks = start_ticks;
	h->pid_ns = st.st_ino;
	snprintf(h->program, sizeof(h->program), "llama-server");
	memcpy(h->command_line, "llama-server\0-m\0x.gguf\0", 24);
	ring_init(&m->producer, m->map, lanes, lane_bytes);
}

static inline void made_directory(struct made_ring *m)
{
	*m = (struct made_ring){.dir_fd = -1};
	snprintf(m->dir, sizeof(m->dir), "/tmp/inferwire-test-XXXXXX");
	assert_non_null(mkdtemp(m->dir));
	m->dir_fd = open(m->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(m->dir_fd >= 0);
}

/* The directory must hold nothing else by now. */
static inline void made_ring_remove(struct made_ring *m)
{
	if (m->map)
		munmap(m->map, m->bytes);
	if (m->name[0])
		unlinkat(m->dir_fd, m->name, 0);
	close(m->dir_fd);
	assert_int_equal(rmdir(m->dir), 0);
}

static inline void made_put(struct made_ring *m, enum wire_type type, uint32_t fd,
			    uint32_t generation, uint64_t offset, const void *bytes, size_t n)
{
	struct ring_note note = {
		.type = type, .fd = fd, .generation = generation, .time = 1, .offset = offset};
	struct iovec iov = {(void *)(uintptr_t)bytes, n};
	if (type == WIRE_IN || type == WIRE_OUT)
		ring_put_data(&m->producer, &note, &iov, n);
	else
		ring_put_control(&m->producer, &note);
}

static inline void made_control(struct made_ring *m, enum wire_type type, uint32_t fd,
				uint32_t generation, uint64_t offset)
{
	made_put(m, type, fd, generation, offset, "", 0);
}

#endif
