/*
 * The shim's producer in several threads and the agent's reader at once, through one ring: what was
 * produced is what was read and what was dropped, to the byte; and a producer that is killed anywhere
 * stops nobody.
 */
#include "tests/unit/intake/made_ring.h"

#include "agent/intake/ring_reader.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#define LANES	    2u
#define THREADS	    4u
#define PUTS	    5000u
#define KILL_ROUNDS 100u
#define ONCE	    1000u /* records a drain takes: one that takes all need not end while they are made */

struct fixture {
	struct made_ring m;
	struct ring_reader *reader;
	struct process process;
	uint64_t read_bytes, read_records, wrong;
	uint64_t next[THREADS + 1]; /* offset by connection: they grow and never go back */
};

/* The producers use the reader's mapping: the sanitizer goes by addresses, and through two mappings
 * of one file it would not see the reader's release of a place that a producer then takes. */
static void use_mapping_of_reader(struct made_ring *m)
{
	char line[300];
	FILE *maps = fopen("/proc/self/maps", "r");
	uint8_t *other = NULL;
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		uint8_t *at = (uint8_t *)(uintptr_t)strtoull(line, NULL, 16);
		if (strstr(line, m->name) && at != m->map)
			other = at;
	}
	fclose(maps);
	assert_non_null(other);
	ring_init(&m->producer, other, m->producer.lanes, m->producer.lane_bytes);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	made_directory(&f->m);
	made_ring_file(&f->m, "1-2-0.ring", 1, 2, LANES, WIRE_LANE_BYTES_MIN);
	assert_int_equal(ring_reader_open(f->m.dir_fd, f->m.name, &f->reader, &f->process), 0);
	use_mapping_of_reader(&f->m);
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

static uint8_t byte_of(uint32_t fd, uint64_t n)
{
	return (uint8_t)(n * 131 + fd);
}

static void on_record(void *user, const struct ring_record *rec)
{
	struct fixture *f = user;
	f->read_records++;
	f->read_bytes += rec->payload.len;
	if (rec->fd > THREADS) {
		f->wrong++;
		return;
	}
	f->wrong += rec->offset < f->next[rec->fd];
	f->next[rec->fd] = rec->offset + rec->payload.len;
	for (size_t i = 0; i < rec->payload.len; i++)
		f->wrong += rec->payload.at[i] != byte_of(rec->fd, rec->offset + i);
}

/* Puts of many sizes on one connection, until `puts` or for ever. Returns the bytes. */
static uint64_t produce(struct made_ring *m, uint32_t fd, uint64_t puts, uint64_t offset)
{
	uint8_t bytes[2000];
	uint64_t begin = offset;
	for (uint64_t i = 0; i < puts; i++) {
		size_t n = 1 + (i * 7919u + fd) % sizeof(bytes);
		for (size_t k = 0; k < n; k++)
			bytes[k] = byte_of(fd, offset + k);
		made_put(m, WIRE_IN, fd, 1, offset, bytes, n);
		offset += n;
	}
	return offset - begin;
}

struct producer {
	struct made_ring *m;
	uint32_t fd;
	uint64_t bytes;
};

static void *run_producer(void *user)
{
	struct producer *p = user;
	p->bytes = produce(p->m, p->fd, PUTS, 0);
	return NULL;
}

struct reader {
	struct fixture *f;
	bool stop; /* atomic */
};

static void drain(struct fixture *f, size_t most, bool lives)
{
	for (uint32_t n = 0; n < LANES; n++)
		ring_reader_drain(f->reader, n, most, 1, lives, on_record, f);
}

static void *run_reader(void *user)
{
	struct reader *r = user;
	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		drain(r->f, ONCE, true);
		sched_yield();
	}
	drain(r->f, SIZE_MAX, true);
	return NULL;
}

static void test_what_was_produced_was_read_or_dropped(void **state)
{
	struct fixture *f = *state;
	struct reader r = {.f = f};
	struct producer p[THREADS];
	pthread_t reader, producers[THREADS];
	assert_int_equal(pthread_create(&reader, NULL, run_reader, &r), 0);
	for (uint32_t i = 0; i < THREADS; i++) {
		p[i] = (struct producer){.m = &f->m, .fd = i};
		assert_int_equal(pthread_create(&producers[i], NULL, run_producer, &p[i]), 0);
	}
	uint64_t produced = 0, dropped = 0, records = 0;
	for (uint32_t i = 0; i < THREADS; i++) {
		pthread_join(producers[i], NULL);
		produced += p[i].bytes;
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	pthread_join(reader, NULL);
	for (uint32_t n = 0; n < LANES; n++) {
		struct ring_loss loss = ring_reader_loss(f->reader, n);
		dropped += loss.bytes;
		records += loss.records;
		assert_int_equal(loss.skipped, 0);
		assert_int_equal(made_lane(&f->m, n)->tail, made_lane(&f->m, n)->head);
	}
	assert_int_equal(f->wrong, 0);
	assert_int_equal(f->read_bytes + dropped, produced);
	assert_int_equal(f->read_records + records, THREADS * PUTS);
	assert_true(f->read_bytes > 0);
}

/* Each round a producing process is killed where it stands and read to the end; the next one finds a
 * ring that works. */
static void test_a_killed_producer_stops_nobody(void **state)
{
	struct fixture *f = *state;
	uint64_t skipped = 0;
	for (unsigned round = 0; round < KILL_ROUNDS; round++) {
		memset(f->next, 0, sizeof(f->next));
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			produce(&f->m, round % THREADS, UINT64_MAX, 0);
			_exit(0);
		}
		uint64_t before = f->read_records;
		for (unsigned i = 0; i < 100 + round || f->read_records < before + 10; i++)
			drain(f, ONCE, true);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		drain(f, SIZE_MAX, false);
		for (uint32_t n = 0; n < LANES; n++) {
			assert_false(ring_reader_lane_broken(f->reader, n));
			assert_int_equal(made_lane(&f->m, n)->tail, made_lane(&f->m, n)->head);
		}
	}
	for (uint32_t n = 0; n < LANES; n++)
		skipped += ring_reader_loss(f->reader, n).skipped;
	assert_true(skipped <= KILL_ROUNDS);
	assert_int_equal(f->wrong, 0);
	print_message("%u producers killed, %llu records read, %llu left unpublished\n",
		      KILL_ROUNDS, (unsigned long long)f->read_records,
		      (unsigned long long)skipped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_was_produced_was_read_or_dropped, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_killed_producer_stops_nobody, setup,
						teardown),
	};
	return cmocka_run_group_tests_name("intake/ring (threads)", tests, NULL, NULL);
}
