/*
 * The whole of a ring file as input: whatever is in it, the reader ends, gives nothing that lies
 * outside, and gives back no more than there is. What it finds goes through a flow.
 */
#include "tests/fuzz/must.h"

#include "agent/intake/flow.h"
#include "agent/intake/ring_reader.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define LANES	   2u
#define LANE_BYTES WIRE_LANE_BYTES_MIN

static char path[64]; /* a file with a name: the reader follows no link */
static uint8_t *map;
static size_t bytes;

/* What a flow promises of a connection: opened once, ended once, no calls after that. */
struct fuzz_conn {
	bool open;
};
static struct fuzz_conn conns[1 << 16];
static size_t conn_count;

static void *on_opened(void *user)
{
	(void)user;
	if (conn_count == sizeof(conns) / sizeof(*conns))
		return NULL;
	conns[conn_count].open = true;
	return &conns[conn_count++];
}
static void on_bytes(void *conn, enum flow_direction d, struct span s, uint64_t time_ns)
{
	(void)d, (void)time_ns;
	must(((struct fuzz_conn *)conn)->open, "bytes behind the end");
	must(s.len > 0 && s.len <= WIRE_PAYLOAD_MAX, "bytes of an odd number");
	volatile uint8_t sum = 0;
	for (size_t i = 0; i < s.len; i++)
		sum = (uint8_t)(sum + s.at[i]);
}
static void on_gap(void *conn, enum flow_direction d, uint64_t n, uint64_t time_ns)
{
	(void)d, (void)time_ns;
	must(((struct fuzz_conn *)conn)->open && n > 0, "a gap of nobody");
}
static void on_lost_in(void *conn)
{
	must(((struct fuzz_conn *)conn)->open, "a loss of nobody");
}
static void on_event(void *conn, uint64_t time_ns)
{
	(void)time_ns;
	must(((struct fuzz_conn *)conn)->open, "an event behind the end");
}
static void on_failed(void *conn, int error, uint64_t time_ns)
{
	(void)error;
	on_event(conn, time_ns);
}
static void on_ended(void *conn, enum flow_end how, uint64_t time_ns)
{
	(void)how;
	on_event(conn, time_ns);
	((struct fuzz_conn *)conn)->open = false;
}

static void on_record(void *user, const struct ring_record *rec)
{
	must(rec->type >= WIRE_OPEN && rec->type <= WIRE_OPAQUE, "a type of no name");
	must(rec->payload.len <= WIRE_PAYLOAD_MAX, "a long payload");
	must(!(rec->time_ns & WIRE_TIME_COUNTER), "a time of the counter");
	/* A table by descriptor is allowed to grow; here it would only cost time. */
	struct ring_record small = *rec;
	small.fd &= 0x3ff;
	flow_record(user, &small);
}

static struct wire_lane *lane(uint32_t n)
{
	return (struct wire_lane *)(map + wire_lane_offset(n, LANE_BYTES));
}

static void put_header(void)
{
	*(struct wire_header *)map = (struct wire_header){.magic = WIRE_MAGIC,
							  .version = WIRE_VERSION,
							  .header_bytes = WIRE_HEADER_BYTES,
							  .lanes = LANES,
							  .lane_bytes = LANE_BYTES,
							  .clock = WIRE_CLOCK_COUNTER,
							  .made_counter = 1000,
							  .made_mono_ns = 1000};
}

static void remove_file(void)
{
	unlink(path);
}

static void make_file(void)
{
	bytes = wire_file_bytes(LANES, LANE_BYTES);
	snprintf(path, sizeof(path), "/dev/shm/inferwire-fuzz-XXXXXX");
	int fd = mkstemp(path);
	must(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0, "no file");
	atexit(remove_file);
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(map != MAP_FAILED, "no map");
	close(fd);
	ring_reader_setup();
}

/* Input: [flags] [head / 4, tail / 4, read / 4 of each lane: 4 bytes each] [what is at the tail of lane 0, then
 * of lane 1], around the end of the circle where the tail wants it. */
static void fill(const uint8_t *data, size_t size)
{
	for (uint32_t n = 0; n < LANES; n++) {
		uint32_t words[3];
		memcpy(words, data, sizeof(words));
		data += sizeof(words), size -= sizeof(words);
		lane(n)->head = (uint64_t)words[0] * 4;
		lane(n)->tail = (uint64_t)words[1] * 4;
		lane(n)->read = (uint64_t)words[2] * 4;
	}
	for (uint32_t n = 0; n < LANES; n++) {
		size_t part = n ? size : size / 2;
		uint8_t *circle = (uint8_t *)(lane(n) + 1);
		for (size_t i = 0; i < part; i++)
			circle[(lane(n)->tail + i) % LANE_BYTES] = data[i];
		data += part, size -= part;
	}
}

static void read_all(struct ring_reader *r, struct flow *f, bool lives)
{
	uint64_t now_ns = 1;
	for (unsigned turn = 0; turn < 3; turn++, now_ns += RING_STUCK_NS) {
		for (uint32_t n = 0; n < LANES; n++) {
			size_t passed = ring_reader_drain(r, n, 100, now_ns, lives, on_record, f);
			must(passed <= 100, "more than was asked for");
			lane(n)->dropped_records++;
			if (!ring_reader_lane_broken(r, n))
				must(lane(n)->tail <= lane(n)->head, "a tail past its head");
		}
	}
}

static bool is_open(void *user, uint32_t fd)
{
	(void)user;
	return fd & 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ring_reader *r = NULL;
	struct process p;
	const struct flow_sink sink = {on_opened, on_bytes,  on_gap,   on_lost_in, on_event,
				       on_event,  on_failed, on_ended, NULL};
	if (size < 1 + 12 * LANES || size > LANE_BYTES)
		return 0;
	if (!map)
		make_file();
	memset(map, 0, bytes);
	put_header();
	conn_count = 0;
	uint8_t flags = data[0];
	fill(data + 1, size - 1);
	/* The header, too, with the words of the input. */
	if ((flags & 3) == 3)
		memcpy(map + (size_t)(flags >> 2) * 4, data + 1, 4);
	if (ring_reader_open(AT_FDCWD, path, &r, &p) == 0) {
		struct flow *f = flow_new(&sink);
		must(f && ring_reader_lanes(r) == LANES, "another ring");
		read_all(r, f, flags & 4);
		flow_check(f, 1, LANES, is_open, NULL, 0);
		flow_end(f, FLOW_DIED, 1);
		must(flow_stats(f).live == 0, "a connection that lives on");
		flow_free(f);
		for (size_t i = 0; i < conn_count; i++)
			must(!conns[i].open, "a connection that was never ended");
	}
	ring_reader_close(r);
	return 0;
}
