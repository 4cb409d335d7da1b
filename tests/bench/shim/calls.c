/*
 * calls FD BYTES BATCHES CALLS [THREADS]: accepts 900, 901, ..., reads a request from each, then sends
 * BYTES to FD (a thread more: to FD + 1), CALLS times a batch. Prints the nanoseconds of a call.
 *
 * Between batches it empties the ring that it finds in INFERWIRE_DIR, as the agent does, so that the
 * pages are warm and the ring is never full. With INFERWIRE_DIR unset, or BENCH_AGENT set, it does not:
 * nobody records, or an agent reads.
 */
#include "shim/wire.h"
#include "tests/bench/shim/batches.h"

#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS_MAX 8

static uint8_t *ring;
static size_t bytes;
static long batches, calls;
static pthread_barrier_t together;

static void find_ring(void)
{
	char pattern[512];
	glob_t found;
	struct stat st;
	const char *directory = getenv("INFERWIRE_DIR");
	if (!directory || getenv("BENCH_AGENT"))
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

static void empty_lane(uint32_t fd)
{
	if (!ring)
		return;
	const struct wire_header *h = (const struct wire_header *)ring;
	struct wire_lane *lane =
		(struct wire_lane *)(ring + wire_lane_offset(fd & (h->lanes - 1), h->lane_bytes));
	uint8_t *circle = (uint8_t *)(lane + 1);
	for (uint64_t at = lane->tail; at < lane->head; at += WIRE_ALIGN)
		memset(circle + (at & (h->lane_bytes - 1)), 0, WIRE_ALIGN);
	__atomic_store_n(&lane->tail, lane->head, __ATOMIC_RELEASE);
	if (lane->dropped_records) {
		fprintf(stderr, "calls: records were dropped: smaller batches\n");
		exit(1);
	}
}

static void *work(void *arg)
{
	int fd = (int)(intptr_t)arg;
	static _Thread_local char buf[65536];
	double *ns = calloc((size_t)batches + 1, sizeof(*ns));
	double *figure = malloc(sizeof(*figure));
	for (long b = 0; b < batches; b++) {
		empty_lane((uint32_t)fd);
		pthread_barrier_wait(&together);
		double start = batches_now_ns();
		for (long i = 0; i < calls; i++) {
			if (send(fd, buf, bytes, 0) < 0)
				exit(1);
		}
		ns[b] = batches_now_ns() - start;
	}
	*figure = batches ? batches_figure(ns, batches, calls) : 0;
	free(ns);
	return figure;
}

int main(int argc, char **argv)
{
	static char buf[4096];
	if (argc < 5)
		return 2;
	int fd = (int)strtol(argv[1], NULL, 10);
	bytes = strtoul(argv[2], NULL, 10);
	batches = strtol(argv[3], NULL, 10);
	calls = strtol(argv[4], NULL, 10);
	long threads = argc > 5 ? strtol(argv[5], NULL, 10) : 1;
	for (long i = 0; i < THREADS_MAX; i++) {
		int conn = accept4(3, NULL, NULL, 0);
		if (recv(conn, buf, sizeof(buf), 0) < 0)
			return 1;
	}
	find_ring();
	pthread_barrier_init(&together, NULL, (unsigned)threads);
	pthread_t thread[THREADS_MAX];
	double worst = 0;
	for (long i = 1; i < threads; i++)
		pthread_create(&thread[i], NULL, work, (void *)(intptr_t)(fd + i));
	for (long i = 0; i < threads; i++) {
		void *figure = NULL;
		if (i)
			pthread_join(thread[i], &figure);
		else
			figure = work((void *)(intptr_t)fd);
		worst = *(double *)figure > worst ? *(double *)figure : worst;
		free(figure);
	}
	printf("%.2f\n", worst);
	return 0;
}
