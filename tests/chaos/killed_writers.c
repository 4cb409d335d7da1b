/*
 * Writers of a ring, killed at any moment: while the file is made, between reserve and publish, while a
 * drop is counted. Whoever reads gets on within a bound, what is read is what was written, what is
 * missing was told, and nothing stays in the directory.
 *
 *   INFERWIRE_DIR=DIRECTORY killed_writers CYCLES SECONDS SEED
 *
 * A cycle is a child that makes a ring as the shim does and writes to it from several threads, as fast
 * as it can, until it is killed. It ends after so many cycles or seconds, whichever comes first.
 */
#include "tests/chaos/writing.h"

#include "agent/base/span.h"
#include "agent/intake/directory.h"
#include "agent/intake/ring_reader.h"
#include "shim/ring_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WRITERS	      3u
#define LANES	      WIRE_LANES_DEFAULT
#define LIFE_US	      2000u
#define START_NS      100000000u /* in which a writer begins, or is killed all the same */
#define DRAIN_RECORDS 4096u
#define DRAINS_MAX    1000u /* as often as an agent looks at a dead process's ring */
#define BOUND_NS      5000000000u

/* Two writers share a lane, so that one is killed where the other was just interrupted. */
static const uint32_t descriptor[WRITERS] = {4, 8, 5};

/* Seen by the parent after the child's death: bytes of the calls begun, and of those done. */
struct progress {
	uint64_t begun, done;
} __attribute__((aligned(64)));
static struct progress *progress;

struct writer {
	struct ring *ring;
	uint32_t n;
	uint64_t random;
};

static struct {
	uint64_t cycles, made, half_made, records, bytes, dropped, skipped, lost, longest_us;
} sum;

static void fail(const char *what, uint64_t a, uint64_t b)
{
	printf("killed_writers: cycle %" PRIu64 ": %s: %" PRIu64 ", %" PRIu64 "\n", sum.cycles,
	       what, a, b);
	exit(1);
}

/* ---- the child ---------------------------------------------------------------------------------- */

/* The byte at an offset of a writer's stream. */
static uint8_t byte_at(uint32_t n, uint64_t offset)
{
	return (uint8_t)((offset * 131 + offset / 251) ^ (n * 85));
}

static void *write_on(void *user)
{
	static uint8_t bytes[WRITERS][WRITE_MAX];
	struct writer *w = user;
	uint8_t *b = bytes[w->n];
	for (uint64_t offset = 0;;) {
		size_t n = next_bytes(&w->random);
		for (size_t i = 0; i < n; i++)
			b[i] = byte_at(w->n, offset + i);
		struct ring_note note = {.type = n ? WIRE_OUT : WIRE_EOF,
					 .fd = descriptor[w->n],
					 .generation = 1,
					 .time = now_ns(),
					 .offset = offset};
		const struct iovec iov[] = {{b, n / 3}, {b + n / 3, n - n / 3}};
		__atomic_store_n(&progress[w->n].begun, offset + n, __ATOMIC_RELAXED);
		if (!n)
			ring_put_control(w->ring, &note);
		else if (!ring_put_at_once(w->ring, &note, b, n))
			ring_put_data(w->ring, &note, iov, n);
		offset += n;
		__atomic_store_n(&progress[w->n].done, offset, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void live(const char *directory, uint64_t seed)
{
	static struct ring ring;
	static struct writer writers[WRITERS];
	pthread_t thread;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ring_file_make(&ring, directory, WIRE_LANE_BYTES_MIN) != 0)
		_exit(3);
	for (uint32_t n = 0; n < WRITERS; n++) {
		writers[n] = (struct writer){&ring, n, seed * 31 + n + 1};
		if (pthread_create(&thread, NULL, write_on, &writers[n]) != 0)
			_exit(4);
	}
	pause();
}

/* ---- the reader --------------------------------------------------------------------------------- */

struct reading {
	struct directory dir;
	char name[DIRECTORY_NAME_BYTES]; /* empty: there is no ring yet */
	struct ring_reader *ring;
	uint64_t next[WRITERS];	      /* offset that a record of this writer has at least */
	uint64_t read_bytes[WRITERS]; /* of its stream */
};

static void on_ring(void *user, const char *name)
{
	struct reading *r = user;
	struct process p;
	if (r->ring)
		return;
	int err = ring_reader_open(r->dir.fd, name, &r->ring, &p);
	if (err)
		fail("a ring that cannot be opened", (uint64_t)-err, 0);
	snprintf(r->name, sizeof(r->name), "%s", name);
}

static void on_record(void *user, const struct ring_record *rec)
{
	struct reading *r = user;
	uint32_t n = 0;
	while (n < WRITERS && descriptor[n] != rec->fd)
		n++;
	if (n == WRITERS || rec->generation != 1)
		fail("a record of nobody", rec->fd, rec->generation);
	if (rec->offset < r->next[n])
		fail("a record twice", rec->offset, r->next[n]);
	for (size_t i = 0; i < rec->payload.len; i++) {
		if ((uint8_t)rec->payload.at[i] != byte_at(n, rec->offset + i))
			fail("a byte that was not written", rec->offset, i);
	}
	r->next[n] = rec->offset + rec->payload.len;
	r->read_bytes[n] += rec->payload.len;
	sum.records++;
	sum.bytes += rec->payload.len;
}

static size_t drain(struct reading *r, bool lives)
{
	size_t passed = 0;
	if (!r->ring)
		directory_scan(&r->dir, on_ring, r);
	for (uint32_t n = 0; r->ring && n < LANES; n++)
		passed +=
			ring_reader_drain(r->ring, n, DRAIN_RECORDS, now_ns(), lives, on_record, r);
	return passed;
}

/* What was written and is neither read nor counted as dropped: only where something was skipped. */
static void settle_lane(struct reading *r, uint32_t lane)
{
	uint64_t read = 0, begun = 0, done = 0;
	for (uint32_t n = 0; n < WRITERS; n++) {
		if (descriptor[n] % LANES != lane)
			continue;
		read += r->read_bytes[n];
		begun += progress[n].begun;
		done += progress[n].done;
	}
	struct ring_loss loss = ring_reader_loss(r->ring, lane);
	if (ring_reader_lane_broken(r->ring, lane))
		fail("a lane broke", lane, 0);
	if (read + loss.bytes > begun)
		fail("more than was written", read + loss.bytes, begun);
	if (read + loss.bytes < done && !loss.skipped)
		fail("a loss that was not told", read + loss.bytes, done);
	sum.dropped += loss.records;
	sum.skipped += loss.skipped;
	sum.lost += read + loss.bytes < done ? done - read - loss.bytes : 0;
}

static void settle(struct reading *r)
{
	uint64_t began = now_ns();
	unsigned drains = 0;
	while (drain(r, false)) {
		if (++drains > DRAINS_MAX || now_ns() - began > BOUND_NS)
			fail("no end of a dead writer's ring", drains, now_ns() - began);
	}
	uint64_t us = (now_ns() - began) / 1000;
	sum.longest_us = us > sum.longest_us ? us : sum.longest_us;
	if (!r->ring)
		return;
	sum.made++;
	if (!ring_reader_is_quiet(r->ring))
		fail("something stands in the ring", drains, 0);
	if (ring_reader_has_producer(r->ring))
		fail("a dead writer has the ring", 0, 0);
	for (uint32_t lane = 0; lane < LANES; lane++)
		settle_lane(r, lane);
	ring_reader_close(r->ring);
	r->ring = NULL;
	unlinkat(r->dir.fd, r->name, 0);
	memset(r->next, 0, sizeof(r->next));
	memset(r->read_bytes, 0, sizeof(r->read_bytes));
}

/* Half-made files go when they are a minute old: here they are made so. */
static void age(const struct directory *d, const char *name)
{
	const struct timespec times[2] = {{.tv_sec = time(NULL) - 120},
					  {.tv_sec = time(NULL) - 120}};
	utimensat(d->fd, name, times, AT_SYMLINK_NOFOLLOW);
	sum.half_made++;
}

static void nothing_whole(void *user, const char *name)
{
	(void)user;
	printf("%s\n", name);
	fail("a second ring", 0, 0);
}

/* Returns the files that are left but the lock; `look` is called for each. */
static unsigned list(const struct directory *d,
		     void (*look)(const struct directory *, const char *))
{
	DIR *entries = opendir(d->path);
	unsigned count = 0;
	if (!entries)
		fail("the directory is gone", (uint64_t)errno, 0);
	for (struct dirent *e; (e = readdir(entries));) {
		if (e->d_name[0] == '.' || strcmp(e->d_name, WIRE_LOCK_NAME) == 0)
			continue;
		look(d, e->d_name);
		count++;
	}
	closedir(entries);
	return count;
}

static void name_it(const struct directory *d, const char *name)
{
	(void)d;
	printf("%s\n", name);
}

static void check_empty(struct directory *d)
{
	if (!list(d, age))
		return;
	directory_scan(d, nothing_whole, NULL);
	unsigned left = list(d, name_it);
	if (left)
		fail("files stay", left, 0);
}

static void cycle(struct reading *r, uint64_t *random)
{
	int status;
	uint64_t seed = next_random(random), life_us = next_random(random) % LIFE_US;
	memset(progress, 0, WRITERS * sizeof(*progress));
	pid_t pid = fork();
	if (pid < 0)
		fail("fork", (uint64_t)errno, 0);
	if (!pid) {
		live(r->dir.path, seed);
		_exit(5);
	}
	/* Of four, one is killed at any moment from the start on, three once they write. */
	uint64_t now = now_ns(), until = now + life_us * 1000, latest = now + START_NS;
	bool waits = seed % 4 != 0;
	/* Half of them are drained meanwhile; the other half's rings fill. */
	while (waits || now_ns() < until) {
		if (waits &&
		    (__atomic_load_n(&progress[0].begun, __ATOMIC_RELAXED) || now_ns() > latest)) {
			waits = false;
			until = now_ns() + life_us * 1000 / 4;
		}
		if (seed % 8 < 4)
			drain(r, true);
		else
			usleep(50);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (!WIFSIGNALED(status))
		fail("the writer ended by itself", (uint64_t)WEXITSTATUS(status), 0);
	settle(r);
	check_empty(&r->dir);
	sum.cycles++;
}

int main(int argc, char **argv)
{
	static struct reading r;
	char error[512];
	if (argc != 4)
		return 2;
	uint64_t cycles = strtoull(argv[1], NULL, 10), seconds = strtoull(argv[2], NULL, 10);
	uint64_t random = strtoull(argv[3], NULL, 10) * 2 + 1;
	progress = mmap(NULL, WRITERS * sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED || directory_open(&r.dir, error, sizeof(error)) != 0)
		return 2;
	ring_reader_setup();
	uint64_t until = now_ns() + seconds * 1000000000u;
	while (sum.cycles < cycles && now_ns() < until)
		cycle(&r, &random);
	directory_close(&r.dir);
	printf("cycles=%" PRIu64 " rings=%" PRIu64 " half_made=%" PRIu64 " records=%" PRIu64
	       " bytes=%" PRIu64 " dropped=%" PRIu64 " skipped=%" PRIu64 " lost_bytes=%" PRIu64
	       " longest_us=%" PRIu64 "\n",
	       sum.cycles, sum.made, sum.half_made, sum.records, sum.bytes, sum.dropped,
	       sum.skipped, sum.lost, sum.longest_us);
	return 0;
}
