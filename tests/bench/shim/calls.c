/*
 * calls FD BYTES BATCHES CALLS [STRIDE]: accepts 900, 901, ..., reads a request from each, then sends
 * BYTES to FD, CALLS times a batch; with a STRIDE a second thread does so at once to FD + STRIDE. Prints
 * the nanoseconds of a call.
 *
 * Between batches it empties the ring that it finds in INFERWIRE_DIR, as the agent does, so that the
 * pages are warm and the ring is never full. With BENCH_AGENT set an agent does, and it waits for that.
 */
#include "shim/wire.h"
#include "tests/bench/shim/batches.h"

#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECTIONS 8

static uint8_t *ring;
static size_t bytes;
static long batches, calls;
static long threads;
static long arrived; /* at the start of a batch, over all batches */

static void find_ring(void)
{
	char pattern[512];
	glob_t found;
	struct stat st;
	const char *directory = getenv("INFERWIRE_DIR");
	if (!directory)
		return;
	snprintf(pattern, sizeof(pattern), "%s/*.ring", directory);
	if (glob(pattern, 0, NULL, &found) != 0)
		return;
	int fd = open(found.gl_pathv[0], O_RDWR);
	if (fd >= 0 && fstat(fd, &st) == 0)
		ring = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	globfree(&found);
	if (ring == MAP_FAILED)
		exit(1);
}

static void fail(const char *why)
{
	fprintf(stderr, "calls: %s\n", why);
	exit(1);
}

static void wait_for_agent(const struct wire_lane *lane)
{
	for (int i = 0; __atomic_load_n(&lane->tail, __ATOMIC_ACQUIRE) != lane->head; i++) {
		if (i == 5000)
			fail("no agent reads the ring");
		usleep(1000);
	}
}

static void empty_lane(uint32_t fd)
{
	if (!ring)
		return;
	const struct wire_header *h = (const struct wire_header *)ring;
	struct wire_lane *lane =
		(struct wire_lane *)(ring + wire_lane_offset(fd & (h->lanes - 1), h->lane_bytes));
	uint8_t *circle = (uint8_t *)(lane + 1);
	if (lane->dropped_records)
		fail("records were dropped: smaller batches");
	if (getenv("BENCH_AGENT")) {
		wait_for_agent(lane);
		return;
	}
	for (uint64_t at = lane->tail; at < lane->head; at += WIRE_ALIGN)
		memset(circle + (at & (h->lane_bytes - 1)), 0, WIRE_ALIGN);
	__atomic_store_n(&lane->tail, lane->head, __ATOMIC_RELEASE);
}

/* Spins: who sleeps here starts its batch when the other has done its own. */
static void start_together(long batch)
{
	__atomic_fetch_add(&arrived, 1, __ATOMIC_ACQ_REL);
	for (long i = 1; __atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < (batch + 1) * threads; i++) {
		if (i % 100000 == 0)
			sched_yield();
	}
}

struct batch {
	double start, end;
};

static struct batch *work_on(int fd)
{
	static _Thread_local char buf[65536];
	struct batch *b = calloc((size_t)batches + 1, sizeof(*b));
	for (long n = 0; n < batches; n++) {
		empty_lane((uint32_t)fd);
		start_together(n);
		b[n].start = now_ns();
		for (long i = 0; i < calls; i++) {
			if (send(fd, buf, bytes, 0) < 0)
				exit(1);
		}
		b[n].end = now_ns();
	}
	return b;
}

static void *work(void *arg)
{
	return work_on((int)(intptr_t)arg);
}

/* Whether four fifths of both were at once: else one thread waited for a processor. */
static int at_once(struct batch a, struct batch b)
{
	double start = a.start > b.start ? a.start : b.start, end = a.end < b.end ? a.end : b.end;
	double longer = a.end - a.start > b.end - b.start ? a.end - a.start : b.end - b.start;
	return end - start >= 0.8 * longer;
}

static double figure_of(struct batch *const *of)
{
	double *ns = calloc((size_t)batches + 1, sizeof(*ns));
	long counted = 0;
	for (long n = 0; n < batches; n++) {
		const struct batch a = of[0][n], b = of[threads - 1][n];
		if (at_once(a, b))
			ns[counted++] = (a.end - a.start + b.end - b.start) / 2;
	}
	if (counted < batches / 20)
		fail("the threads did not run at once");
	double figure = counted ? batches_figure(ns, counted, calls) : 0;
	free(ns);
	return figure;
}

int main(int argc, char **argv)
{
	static char buf[4096];
	pthread_t other;
	if (argc < 5)
		return 2;
	int fd = (int)strtol(argv[1], NULL, 10);
	bytes = strtoul(argv[2], NULL, 10);
	batches = strtol(argv[3], NULL, 10);
	calls = strtol(argv[4], NULL, 10);
	int stride = argc > 5 ? (int)strtol(argv[5], NULL, 10) : 0;
	threads = stride ? 2 : 1;
	for (int i = 0; i < CONNECTIONS; i++) {
		int conn = accept4(3, NULL, NULL, 0);
		if (recv(conn, buf, sizeof(buf), 0) < 0)
			return 1;
	}
	find_ring();
	struct batch *of[2] = {NULL, NULL};
	if (stride)
		pthread_create(&other, NULL, work, (void *)(intptr_t)(fd + stride));
	of[0] = work_on(fd);
	if (stride)
		pthread_join(other, (void **)&of[1]);
	printf("%.2f\n", figure_of(of));
	free(of[0]);
	free(of[1]);
	return 0;
}
