/*
 * The tables of descriptors under threads that accept, move bytes, duplicate and close, and under one
 * that uses descriptors which are not its own. The descriptors come from a pool that gives out the
 * lowest free one, as the kernel does.
 */
#include "tests/unit/shim/played_boot.h"

#include "shim/stream.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#define THREADS	    4u
#define CONNECTIONS 2000u /* of each */
#define DESCRIPTORS 32u
#define LANE_BYTES  (16u * 1024 * 1024)

/* ---- descriptors -------------------------------------------------------------------------------- */

static pthread_mutex_t kernel = PTHREAD_MUTEX_INITIALIZER;
static bool in_use[DESCRIPTORS];

static int lowest_free(void)
{
	pthread_mutex_lock(&kernel);
	int fd = 3;
	while (in_use[fd])
		fd++;
	in_use[fd] = true;
	pthread_mutex_unlock(&kernel);
	return fd;
}

static void give_back(int fd)
{
	pthread_mutex_lock(&kernel);
	in_use[fd] = false;
	pthread_mutex_unlock(&kernel);
}

/* As the hook does it. */
static void close_descriptor(int fd)
{
	if (conn_watched(fd))
		conn_closing(fd);
	give_back(fd);
}

static void reads(int fd, char *bytes)
{
	if (!conn_watched(fd))
		return;
	struct stream_mark mark = stream_before_read(fd);
	stream_read_into(mark, bytes, strlen(bytes), (ssize_t)strlen(bytes), 0);
}

static void writes(int fd, const char *bytes)
{
	if (!conn_watched(fd))
		return;
	struct stream_mark mark = stream_before_write(fd);
	stream_written_from(mark, bytes, strlen(bytes), (ssize_t)strlen(bytes), 0);
}

/* ---- threads ------------------------------------------------------------------------------------ */

static unsigned next_id; /* atomic */

static void *serve(void *user)
{
	(void)user;
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		char head[32], answer[32];
		unsigned id = __atomic_add_fetch(&next_id, 1, __ATOMIC_RELAXED);
		snprintf(head, sizeof(head), "GET /%06u\r\n\r\n", id);
		snprintf(answer, sizeof(answer), "%06u", id);
		int fd = lowest_free();
		conn_accepted(fd);
		reads(fd, head);
		writes(fd, answer);
		if (i % 3 == 0) {
			int other = lowest_free();
			conn_duplicated(fd, other);
			close_descriptor(fd);
			fd = other;
		}
		writes(fd, answer);
		close_descriptor(fd);
	}
	return NULL;
}

static bool stop; /* atomic */

/* A thread of a program that has a mistake: whatever stands there, it reads and writes. */
static void *meddle(void *user)
{
	(void)user;
	for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); i++) {
		char bytes[] = "0";
		int fd = 3 + (int)(i % 6);
		if (i % 2)
			reads(fd, bytes);
		else
			writes(fd, bytes);
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void run(bool with_meddler)
{
	pthread_t threads[THREADS], meddler;
	stop = false;
	if (with_meddler)
		assert_int_equal(pthread_create(&meddler, NULL, meddle, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, serve, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	if (with_meddler)
		pthread_join(meddler, NULL);
}

static int setup(void **state)
{
	(void)state;
	static _Alignas(64) uint8_t map[PLAYED_MAP_BYTES(LANE_BYTES)];
	memset(map, 0, sizeof(map));
	next_id = 0;
	bool made = played_begin(map, LANE_BYTES);
	played.may_call = false;
	return made ? 0 : -1;
}

/* ---- what was recorded -------------------------------------------------------------------------- */

struct seen {
	unsigned id; /* of the request; 0 = none read */
	unsigned answers;
	bool opened, closed;
};

static struct seen seen[DESCRIPTORS][THREADS * CONNECTIONS + 1];

static void look(const struct wire_record *r, struct seen *s)
{
	const char *text = (const char *)(r + 1);
	assert_false(s->closed);
	assert_true(s->opened || r->type == WIRE_OPEN);
	if (r->type == WIRE_OPEN) {
		s->opened = true;
	} else if (r->type == WIRE_IN) {
		assert_int_equal(s->id, 0);
		assert_int_equal(r->offset, 0);
		s->id = (unsigned)strtoul(text + 5, NULL, 10);
	} else if (r->type == WIRE_OUT) {
		assert_int_equal(r->offset, 6 * s->answers++);
		assert_int_equal(strtoul(text, NULL, 10), s->id);
	} else {
		assert_int_equal(r->type, WIRE_CLOSE);
		assert_int_equal(r->offset, 6 * s->answers);
		s->closed = true;
	}
}

static void test_each_connection_has_its_own_bytes(void **state)
{
	(void)state;
	unsigned connections = 0;
	memset(seen, 0, sizeof(seen));
	run(false);
	struct wire_lane *lane = played_lane();
	assert_int_equal(lane->dropped_records, 0);
	for (uint64_t at = 0; at < lane->head;) {
		const struct wire_record *r =
			(const struct wire_record *)((uint8_t *)(lane + 1) + at);
		assert_true(r->fd < DESCRIPTORS && r->generation <= THREADS * CONNECTIONS);
		look(r, &seen[r->fd][r->generation]);
		connections += r->type == WIRE_OPEN;
		at += r->length;
	}
	for (unsigned fd = 0; fd < DESCRIPTORS; fd++) {
		for (unsigned n = 0; n <= THREADS * CONNECTIONS; n++) {
			const struct seen *s = &seen[fd][n];
			assert_true(!s->opened || (s->closed && s->id && s->answers == 2));
		}
	}
	assert_int_equal(connections + played.unwatched, THREADS * CONNECTIONS);
	print_message("%u connections recorded, %u counted as not watched\n", connections,
		      played.unwatched);
}

static void test_a_thread_that_uses_what_others_close(void **state)
{
	(void)state;
	run(true);
	struct wire_lane *lane = played_lane();
	assert_true(lane->head > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_each_connection_has_its_own_bytes, setup),
		cmocka_unit_test_setup(test_a_thread_that_uses_what_others_close, setup),
	};
	return cmocka_run_group_tests_name("shim/conn (threads)", tests, NULL, NULL);
}
