/*
 * Words of a ring overwritten at random while others use it.
 *
 *   hostile_words server SECONDS SEED   the shim's end: whatever the agent's side does to the words, no
 *                                       call waits and nothing outside of the map is written
 *   hostile_words agent SECONDS SEED    the agent's end: whatever the server's side does to them, no
 *                                       drain waits and no record is longer than one can be
 *
 * Built with ASan. The server's map has its own guards: pages that cannot be touched, and bytes between
 * them and the map that must stay.
 */
#include "tests/chaos/writing.h"

#include "agent/intake/ring_reader.h"
#include "shim/ring.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WRITERS	      3u
#define LANES	      4u
#define LANE_BYTES    WIRE_LANE_BYTES_MIN
#define DRAIN_RECORDS 4096u
#define BOUND_NS      10000000000u /* of one call, by far: the machine may be busy */
#define CANARY	      0x5a

/* In the first lane, and two in the last, behind which the map ends. */
static const uint32_t descriptor[WRITERS] = {4, 7, 11};

static struct {
	uint8_t *map;
	size_t bytes;
	struct ring ring;
	bool is_over;
	uint64_t calls, slowest_ns; /* of the writers */
} shared;

static bool is_over(void)
{
	return __atomic_load_n(&shared.is_over, __ATOMIC_RELAXED);
}

static void *write_on(void *user)
{
	static uint8_t bytes[WRITE_MAX];
	uint32_t fd = (uint32_t)(uintptr_t)user;
	uint64_t random = fd * 77 + 1, slowest = 0, calls = 0;
	for (uint64_t offset = 0; !is_over(); calls++) {
		size_t n = next_bytes(&random);
		uint64_t began = now_ns();
		struct ring_note note = {.type = n ? WIRE_OUT : WIRE_EOF,
					 .fd = fd,
					 .generation = 1,
					 .time = began,
					 .offset = offset};
		const struct iovec iov = {bytes, n};
		if (!n)
			ring_put_control(&shared.ring, &note);
		else if (!ring_put_at_once(&shared.ring, &note, bytes, n))
			ring_put_data(&shared.ring, &note, &iov, n);
		offset += n;
		uint64_t took = now_ns() - began;
		slowest = took > slowest ? took : slowest;
	}
	__atomic_fetch_add(&shared.calls, calls, __ATOMIC_RELAXED);
	uint64_t most = __atomic_load_n(&shared.slowest_ns, __ATOMIC_RELAXED);
	while (slowest > most &&
	       !__atomic_compare_exchange_n(&shared.slowest_ns, &most, slowest, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return NULL;
}

/* What a word is made to be: near to what it was, one that is somewhere else, a small one, anything. */
static uint64_t hostile(uint64_t was, uint64_t *random)
{
	uint64_t r = next_random(random);
	switch (r % 6) {
	case 0:
		return was + r / 6 % 4096 * 8;
	case 1:
		return was - r / 6 % 4096 * 8;
	case 2:
		return r / 6 % LANE_BYTES;
	case 3:
		return r % 12 ? 0 : UINT64_MAX;
	case 4:
		return r / 6 % 40000 | (r & 64 ? WIRE_BUSY : 0);
	default:
		return next_random(random);
	}
}

/* The length of the record that is read next: one that fits, but is not its own. */
static void lengthen(uint32_t lane, uint64_t random)
{
	struct wire_lane *l =
		(struct wire_lane *)(void *)(shared.map + wire_lane_offset(lane, LANE_BYTES));
	uint64_t tail = __atomic_load_n(&l->tail, __ATOMIC_RELAXED) % LANE_BYTES & ~7ULL;
	uint32_t *word = (uint32_t *)(void *)((uint8_t *)(l + 1) + tail);
	__atomic_store_n(word, (uint32_t)(random % (LANE_BYTES / 8) * 8), __ATOMIC_RELAXED);
}

/* One word: mostly of a lane's header, else of the first records or anywhere. */
static void overwrite_one(uint64_t *random)
{
	uint64_t r = next_random(random);
	size_t at = r / 64 % (shared.bytes / 8) * 8;
	if (r % 8 == 6) {
		lengthen(r / 8 % LANES, r / 64);
		return;
	}
	if (r % 8 < 6)
		at = wire_lane_offset(r / 8 % LANES, LANE_BYTES) +
		     r / 64 % (r & 4 ? WIRE_LANE_HEADER_BYTES / 8 : 512) * 8;
	uint64_t *word = (uint64_t *)(void *)(shared.map + at);
	__atomic_store_n(word, hostile(__atomic_load_n(word, __ATOMIC_RELAXED), random),
			 __ATOMIC_RELAXED);
}

static void start(pthread_t *threads)
{
	shared.is_over = false;
	for (uint32_t n = 0; n < WRITERS; n++) {
		if (pthread_create(&threads[n], NULL, write_on, (void *)(uintptr_t)descriptor[n]))
			exit(2);
	}
}

static void end(const pthread_t *threads)
{
	__atomic_store_n(&shared.is_over, true, __ATOMIC_RELAXED);
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += BOUND_NS / 1000000000u;
	for (uint32_t n = 0; n < WRITERS; n++) {
		if (pthread_timedjoin_np(threads[n], NULL, &until) != 0) {
			printf("hostile_words: a writer does not come back\n");
			exit(1);
		}
	}
}

/* ---- against the server ------------------------------------------------------------------------- */

static size_t page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* guard page | canaries | the map, up to its end | guard page. Returns the first canary. */
static uint8_t *guarded_map(void)
{
	shared.bytes = wire_file_bytes(LANES, LANE_BYTES);
	size_t room = (shared.bytes + page() - 1) / page() * page();
	uint8_t *all = mmap(NULL, room + 2 * page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED || mprotect(all + page(), room, PROT_READ | PROT_WRITE) != 0)
		exit(2);
	memset(all + page(), CANARY, room - shared.bytes);
	shared.map = all + page() + room - shared.bytes;
	return all + page();
}

static int against_the_server(uint64_t until, uint64_t random)
{
	pthread_t threads[WRITERS];
	uint8_t *canary = guarded_map();
	uint64_t words = 0;
	ring_init(&shared.ring, shared.map, LANES, LANE_BYTES);
	start(threads);
	for (; now_ns() < until; words++)
		overwrite_one(&random);
	end(threads);
	for (; canary < shared.map; canary++) {
		if (*canary != CANARY) {
			printf("hostile_words: a byte in front of the map was written\n");
			return 1;
		}
	}
	printf("words=%" PRIu64 " calls=%" PRIu64 " slowest_us=%" PRIu64 "\n", words, shared.calls,
	       shared.slowest_ns / 1000);
	return shared.calls == 0 || shared.slowest_ns > BOUND_NS;
}

/* ---- against the agent -------------------------------------------------------------------------- */

static uint64_t records;

static void on_record(void *user, const struct ring_record *rec)
{
	(void)user;
	uint8_t sum = 0;
	/* ASan looks at each byte. */
	for (size_t i = 0; i < rec->payload.len; i++)
		sum = (uint8_t)(sum + rec->payload.at[i]);
	if (rec->payload.len > WIRE_PAYLOAD_MAX || rec->type < WIRE_OPEN ||
	    rec->type > WIRE_OPAQUE) {
		printf("hostile_words: no record: type %u, %zu bytes, sum %u\n", rec->type,
		       rec->payload.len, sum);
		exit(1);
	}
	records++;
}

static int make_file(int dir)
{
	int fd = openat(dir, "1-1-0.ring", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	shared.bytes = wire_file_bytes(LANES, LANE_BYTES);
	if (fd < 0 || ftruncate(fd, (off_t)shared.bytes) != 0)
		return -1;
	shared.map = mmap(NULL, shared.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct wire_header h = {.magic = WIRE_MAGIC,
				.version = WIRE_VERSION,
				.header_bytes = WIRE_HEADER_BYTES,
				.lanes = LANES,
				.lane_bytes = LANE_BYTES,
				.pid = 1,
				.start_ticks = 1,
				.program = "hostile"};
	close(fd);
	if (shared.map == MAP_FAILED)
		return -1;
	memcpy(shared.map, &h, sizeof(h));
	return 0;
}

/* A ring of a few milliseconds: what is broken stays so. It may be opened in the middle of it, as by an
 * agent that was started again. Returns the slowest drain. */
static uint64_t one_ring(int dir, uint64_t *random)
{
	pthread_t threads[WRITERS];
	struct ring_reader *reader = NULL;
	struct process p;
	uint64_t slowest = 0;
	unsigned words = (unsigned)(next_random(random) % 2000);
	unsigned open_at = (unsigned)(next_random(random) % (words + 1));
	if (make_file(dir) != 0)
		exit(2);
	ring_init(&shared.ring, shared.map, LANES, LANE_BYTES);
	start(threads);
	for (unsigned i = 0; i <= words; i++) {
		if (i >= open_at && !reader &&
		    ring_reader_open(dir, "1-1-0.ring", &reader, &p) != 0)
			reader = NULL; /* its header was overwritten */
		for (uint32_t n = 0; reader && n < LANES; n++) {
			uint64_t began = now_ns();
			ring_reader_drain(reader, n, DRAIN_RECORDS, began, i % 2, on_record, NULL);
			ring_reader_fill(reader, n);
			ring_reader_loss(reader, n);
			uint64_t took = now_ns() - began;
			slowest = took > slowest ? took : slowest;
		}
		overwrite_one(random);
	}
	end(threads);
	ring_reader_close(reader);
	munmap(shared.map, shared.bytes);
	unlinkat(dir, "1-1-0.ring", 0);
	return slowest;
}

static int against_the_agent(uint64_t until, uint64_t random)
{
	char path[] = "/tmp/inferwire-words-XXXXXX";
	int dir = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	uint64_t rings = 0, slowest = 0;
	if (dir < 0)
		return 2;
	ring_reader_setup();
	for (; now_ns() < until; rings++) {
		uint64_t took = one_ring(dir, &random);
		slowest = took > slowest ? took : slowest;
	}
	close(dir);
	rmdir(path);
	printf("rings=%" PRIu64 " records=%" PRIu64 " slowest_us=%" PRIu64 "\n", rings, records,
	       slowest / 1000);
	return rings == 0 || records == 0 || slowest > BOUND_NS;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	uint64_t until = now_ns() + strtoull(argv[2], NULL, 10) * 1000000000u;
	uint64_t random = strtoull(argv[3], NULL, 10) * 2 + 1;
	if (strcmp(argv[1], "server") == 0)
		return against_the_server(until, random);
	if (strcmp(argv[1], "agent") == 0)
		return against_the_agent(until, random);
	return 2;
}
