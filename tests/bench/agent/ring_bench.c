/*
 * Through a real ring to the updated histogram, on one core: a process writes the recorded streams as the
 * shim does, each on a connection of its own and several in turns, and this one reads them as the agent
 * does. The writer waits where a lane is half full, so that the reader's speed is what is measured; nothing
 * may be dropped, and every call must come out.
 */
#include "agent/report.c"
#include "agent/watch.c"
#include "tests/bench/replayed.c"

#include "shim/ring_file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define CONNECTIONS 64u
#define FIRST_FD    10u
#define ROUNDS	    60u
#define LANE_BYTES  (1u << 20)
#define BAR	    1e6
#define AIM	    3e6

static double seconds_of(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- the writer --------------------------------------------------------------------------------- */

struct writer {
	uint32_t fd, generation;
	const struct exchange *exchange; /* NULL: nothing is under way */
	size_t next;			 /* of its pieces */
	uint64_t in, out;		 /* bytes of the connection so far */
};

static void wait_for_room(struct ring *r, uint32_t fd)
{
	struct wire_lane *lane = ring_lane_of(r, fd)->at;
	while (__atomic_load_n(&lane->head, __ATOMIC_RELAXED) -
		       __atomic_load_n(&lane->tail, __ATOMIC_ACQUIRE) >
	       r->lane_bytes / 2)
		sched_yield();
}

static void put(struct ring *r, const struct writer *w, enum wire_type type, uint64_t offset,
		struct span bytes)
{
	struct ring_note note = {.type = type,
				 .fd = w->fd,
				 .generation = w->generation,
				 .time = (uint64_t)(seconds_of(CLOCK_MONOTONIC) * 1e9),
				 .offset = offset};
	const struct iovec iov = {(void *)(uintptr_t)bytes.at, bytes.len};
	wait_for_room(r, w->fd);
	if (type != WIRE_IN && type != WIRE_OUT)
		ring_put_control(r, &note);
	else if (!ring_put_at_once(r, &note, bytes.at, bytes.len))
		ring_put_data(r, &note, &iov, bytes.len);
}

static void begin(struct ring *r, struct writer *w, const struct exchange *e)
{
	struct span request = span_of(e->request.at, e->request.len);
	w->exchange = e;
	w->generation++;
	w->next = 0;
	w->in = w->out = 0;
	put(r, w, WIRE_OPEN, 0, span_of("", 0));
	put(r, w, WIRE_IN, 0, request);
	w->in = request.len;
}

static void step(struct ring *r, struct writer *w)
{
	struct piece p = w->exchange->pieces[w->next++];
	put(r, w, WIRE_OUT, w->out, span_of(p.at, p.len));
	w->out += p.len;
	if (w->next < w->exchange->piece_count)
		return;
	put(r, w, WIRE_CLOSE, w->out, span_of("", 0));
	w->exchange = NULL;
}

static void write_all(const char *directory, const struct exchange *all, size_t count)
{
	static struct ring ring;
	static struct writer writers[CONNECTIONS];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ring_file_make(&ring, directory, LANE_BYTES) != 0)
		_exit(1);
	size_t given = 0, busy = 1;
	while (busy || given < count * ROUNDS) {
		busy = 0;
		for (uint32_t i = 0; i < CONNECTIONS; i++) {
			struct writer *w = &writers[i];
			w->fd = FIRST_FD + i;
			if (!w->exchange && given < count * ROUNDS)
				begin(&ring, w, &all[given++ % count]);
			if (w->exchange)
				step(&ring, w);
			busy += w->exchange != NULL;
		}
	}
	_exit(0);
}

/* ---- the agent's end ---------------------------------------------------------------------------- */

static void on_ring(void *user, const char *name)
{
	snprintf(user, DIRECTORY_NAME_BYTES, "%s", name);
}

static struct watch *watch_of(struct directory *d)
{
	char name[DIRECTORY_NAME_BYTES] = "";
	struct watch *w = NULL;
	for (double until = seconds_of(CLOCK_MONOTONIC) + 10; !w;) {
		directory_scan(d, on_ring, name);
		w = name[0] ? watch_new(d, name, NULL) : NULL;
		if (seconds_of(CLOCK_MONOTONIC) > until)
			abort();
	}
	return w;
}

static void measure(const char *protocol, const struct exchange *all, size_t count, size_t events)
{
	char directory[] = "/dev/shm/inferwire-bench-XXXXXX", error[256];
	struct directory d = {.fd = -1};
	if (!mkdtemp(directory) || setenv("INFERWIRE_DIR", directory, 1) != 0 ||
	    directory_open(&d, error, sizeof(error)) != 0)
		abort();
	pid_t writer = fork();
	if (writer == 0)
		write_all(directory, all, count);
	struct watch *w = watch_of(&d);
	double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID), wall = seconds_of(CLOCK_MONOTONIC);
	int status = 0;
	while (waitpid(writer, &status, WNOHANG) == 0) {
		for (unsigned i = 0; i < 100; i++)
			watch_drain(w);
	}
	while (watch_drain(w))
		;
	cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = seconds_of(CLOCK_MONOTONIC) - wall;
	struct watch_stats s = watch_stats(w);
	double rate = (double)(events * ROUNDS) / cpu;
	printf("ring: %s, %zu events on %u connections in turns: %.2f M events a second of one "
	       "core "
	       "(%.2f M of wall time; bar 1, aim 3: %s), %" PRIu64 " records dropped, %" PRIu64
	       " of %zu calls\n",
	       protocol, events * ROUNDS, CONNECTIONS, rate / 1e6,
	       (double)(events * ROUNDS) / wall / 1e6,
	       rate >= AIM   ? "aim"
	       : rate >= BAR ? "ok"
			     : "UNDER",
	       s.dropped_records, s.calls_ended, count * ROUNDS);
	if (status != 0 || s.dropped_records || s.skipped || s.calls_lost ||
	    s.calls_ended != count * ROUNDS)
		exit(1);
	watch_finish(w);
	unlinkat(d.fd, watch_name(w), 0);
	watch_free(w);
	directory_close(&d);
	unlinkat(AT_FDCWD, directory, AT_REMOVEDIR);
}

int main(void)
{
	struct corpus corpus;
	ring_reader_setup();
	if (!corpus_streams(&corpus))
		return 0;
	struct exchange *http1 = calloc(corpus.count, sizeof(*http1));
	struct exchange *http2 = calloc(corpus.count, sizeof(*http2));
	size_t events = 0;
	for (size_t i = 0; http1 && http2 && i < corpus.count; i++) {
		http1[i] = over_http1(&corpus.at[i], &events);
		http2[i] = over_http2(&corpus.at[i]);
	}
	measure("HTTP/1.1", http1, corpus.count, events);
	measure("HTTP/2", http2, corpus.count, events);
	return 0;
}
