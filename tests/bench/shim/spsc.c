/*
 * spsc BYTES BATCHES RECORDS: the least that a ring between two threads can be. One producer, one
 * consumer that polls on another processor; a record is a length, the processor's counter and the
 * bytes; positions in cache lines of their own, the other side's remembered. Prints the nanoseconds of
 * a record at the producer; ends with 1 where the machine has no second processor for the consumer just then.
 */
#include "shim/wire.h"
#include "tests/bench/shim/batches.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CIRCLE (2u * 1024 * 1024)
#define TRIES  200 /* a batch, in all */

static _Alignas(4096) uint8_t circle[CIRCLE + 65536];
static struct {
	_Alignas(64) uint64_t head;
	_Alignas(64) uint64_t tail;
	_Alignas(64) bool done;
} shared;

struct head {
	uint64_t length, counter;
};

static void *consume(void *arg)
{
	static char copy[65536];
	uint64_t tail = 0, head = 0, *sum = arg;
	for (;;) {
		head = __atomic_load_n(&shared.head, __ATOMIC_ACQUIRE);
		if (head == tail && __atomic_load_n(&shared.done, __ATOMIC_ACQUIRE))
			return NULL;
		while (tail < head) {
			const struct head *h = (const struct head *)(circle + tail % CIRCLE);
			memcpy(copy, h + 1, h->length);
			*sum += h->counter + (uint8_t)copy[h->length / 2];
			tail += (sizeof(*h) + h->length + 7) & ~7ull;
			if (tail % CIRCLE > CIRCLE - 4096)
				tail += CIRCLE - tail % CIRCLE;
			__atomic_store_n(&shared.tail, tail, __ATOMIC_RELEASE);
		}
	}
}

static uint64_t head_at, tail_seen;

static void put(const char *bytes, size_t n)
{
	uint64_t length = (sizeof(struct head) + n + 7) & ~7ull;
	while (head_at + length - tail_seen > CIRCLE)
		tail_seen = __atomic_load_n(&shared.tail, __ATOMIC_ACQUIRE);
	struct head *h = (struct head *)(circle + head_at % CIRCLE);
	h->length = n;
	h->counter = wire_counter();
	memcpy(h + 1, bytes, n);
	head_at += length;
	if (head_at % CIRCLE > CIRCLE - 4096)
		head_at += CIRCLE - head_at % CIRCLE;
	__atomic_store_n(&shared.head, head_at, __ATOMIC_RELEASE);
}

int main(int argc, char **argv)
{
	static char buf[65536];
	uint64_t sum = 0;
	pthread_t consumer;
	if (argc < 4)
		return 2;
	size_t bytes = strtoul(argv[1], NULL, 10);
	long batches = strtol(argv[2], NULL, 10), records = strtol(argv[3], NULL, 10);
	if (bytes > 2048)
		return 2;
	double *ns = calloc((size_t)batches + 1, sizeof(*ns));
	pthread_create(&consumer, NULL, consume, &sum);
	for (long b = 0, tries = 0; b < batches; tries++) {
		if (tries > TRIES * batches)
			return 1;
		uint64_t before = head_at;
		double start = now_ns();
		for (long i = 0; i < records; i++)
			put(buf, bytes);
		ns[b] = now_ns() - start;
		/* Without the consumer beside it, it is another figure. */
		if (__atomic_load_n(&shared.tail, __ATOMIC_ACQUIRE) - before >
		    (head_at - before) / 2)
			b++;
		for (long i = 1; __atomic_load_n(&shared.tail, __ATOMIC_ACQUIRE) != head_at; i++) {
			if (i % 100000 == 0)
				sched_yield();
		}
	}
	__atomic_store_n(&shared.done, true, __ATOMIC_RELEASE);
	pthread_join(consumer, NULL);
	printf("%.2f\n", batches_figure(ns, batches, records));
	free(ns);
	return sum == 1;
}
