#include "agent/export/call_log.h"

#include "agent/base/buf.h"
#include "agent/export/call_line.h"
#include "agent/export/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/*
 *	call_log_put --> queue, grows up to its limit --> swapped for the empty one --> lines --> write
 *	(draining thread)                                 (writer's thread)
 *
 * Lines are built by the writer: putting is a copy under a mutex that is held for copies only. A
 * batch is written with one write of whole lines, so that `tail -f` and a second writer of the same
 * file see no halves.
 */

/* Lines are gathered up to this size; one is about 600 bytes. */
#define WRITE_BYTES (256u * 1024)

struct entry {
	struct call call;
	uint32_t pid;
	char program[sizeof(((struct process *)0)->program)];
	uint64_t ended_real_ns;
};

struct queue {
	struct entry *entries;
	size_t count, room;
};

struct call_log {
	char *path;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;	/* to the writer: entries, or the end */
	pthread_cond_t written; /* to call_log_flush */

	/* Under the mutex. */
	struct queue queue;
	uint64_t put, done; /* entries: queued, and written or lost */
	uint64_t lost;
	bool reopen, stopping;

	/* The writer's own. */
	int fd;
	struct buf lines;
	bool torn; /* the file ends within a line: a write was cut short */
};

/* ---- the draining thread's side ---- */

static struct entry *queue_add(struct queue *q)
{
	if (q->count == LIMIT_CALL_LOG_QUEUE)
		return NULL;
	if (q->count == q->room) {
		size_t room = q->room ? q->room * 2 : 64;
		struct entry *grown = realloc(q->entries, room * sizeof(*grown));
		if (!grown)
			return NULL;
		q->entries = grown;
		q->room = room;
	}
	return &q->entries[q->count++];
}

/* The wall clock's time of a moment of the monotonic clock. */
static uint64_t real_of(uint64_t mono_ns)
{
	uint64_t real_ns = clock_real_ns(), ago_ns = clock_mono_ns() - mono_ns;
	return mono_ns && ago_ns < real_ns ? real_ns - ago_ns : real_ns;
}

void call_log_put(struct call_log *l, const struct process *p, const struct call *c)
{
	uint64_t ended_real_ns = real_of(c->ended_ns);
	pthread_mutex_lock(&l->mutex);
	struct entry *e = queue_add(&l->queue);
	if (e) {
		e->call = *c;
		e->pid = p->pid;
		memcpy(e->program, p->program, sizeof(e->program));
		e->ended_real_ns = ended_real_ns;
		l->put++;
		if (l->queue.count == 1)
			pthread_cond_signal(&l->wake);
	} else {
		l->lost++;
	}
	pthread_mutex_unlock(&l->mutex);
}

void call_log_reopen(struct call_log *l)
{
	pthread_mutex_lock(&l->mutex);
	l->reopen = true;
	pthread_mutex_unlock(&l->mutex);
}

void call_log_flush(struct call_log *l)
{
	pthread_mutex_lock(&l->mutex);
	uint64_t target = l->put;
	while (l->done < target)
		pthread_cond_wait(&l->written, &l->mutex);
	pthread_mutex_unlock(&l->mutex);
}

uint64_t call_log_lost(struct call_log *l)
{
	pthread_mutex_lock(&l->mutex);
	uint64_t lost = l->lost;
	pthread_mutex_unlock(&l->mutex);
	return lost;
}

/* ---- the writer's side ---- */

static int open_log(const char *path)
{
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The old file is used on if there is no new one: rotation may be half done. */
static bool reopen_log(struct call_log *l)
{
	int fd = open_log(l->path);
	if (fd < 0)
		return false;
	close(l->fd);
	l->fd = fd;
	l->torn = false;
	return true;
}

/* Writes what was gathered; how many of its lines did not get into the file whole. */
static uint64_t write_lines(struct call_log *l)
{
	struct span rest = buf_span(&l->lines);
	/* The newline in front that ends what was cut short ends no line of these. */
	size_t from = l->torn;
	uint64_t lost = 0;
	while (rest.len) {
		ssize_t n = write(l->fd, rest.at, rest.len);
		if (n <= 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		l->torn = rest.at[n - 1] != '\n';
		span_skip(&rest, (size_t)n);
	}
	for (size_t i = rest.len == l->lines.len ? from : 0; i < rest.len; i++)
		lost += rest.at[i] == '\n';
	buf_clear(&l->lines);
	return lost;
}

/* Appends one entry's line to what is gathered; false if that cannot be. */
static bool gather(struct call_log *l, const struct entry *e)
{
	char *line = call_line(&e->call, e->pid, e->program, e->ended_real_ns);
	bool ok = line && buf_put(&l->lines, span_str(line)) == 0;
	free(line);
	return ok;
}

static uint64_t write_queue(struct call_log *l, const struct queue *q)
{
	uint64_t lost = 0;
	for (size_t i = 0; i < q->count; i++) {
		if (!l->lines.len && l->torn) /* what was cut short becomes a line of its own */
			buf_put(&l->lines, span_str("\n"));
		lost += !gather(l, &q->entries[i]);
		if (l->lines.len >= WRITE_BYTES)
			lost += write_lines(l);
	}
	return lost + write_lines(l);
}

static void *run(void *user)
{
	struct call_log *l = user;
	struct queue own = {0};
	pthread_mutex_lock(&l->mutex);
	for (;;) {
		while (!l->queue.count && !l->stopping)
			pthread_cond_wait(&l->wake, &l->mutex);
		if (!l->queue.count)
			break;
		struct queue full = l->queue;
		bool reopen = l->reopen;
		l->queue = own;
		l->reopen = false;
		pthread_mutex_unlock(&l->mutex);

		bool reopened = !reopen || reopen_log(l);
		uint64_t lost = write_queue(l, &full);

		pthread_mutex_lock(&l->mutex);
		l->done += full.count;
		l->lost += lost;
		l->reopen = l->reopen || !reopened;
		full.count = 0;
		own = full;
		pthread_cond_broadcast(&l->written);
	}
	pthread_mutex_unlock(&l->mutex);
	free(own.entries);
	return NULL;
}

/* ---- life ---- */

static void release(struct call_log *l)
{
	if (l->fd >= 0)
		close(l->fd);
	free(l->queue.entries);
	buf_release(&l->lines);
	pthread_cond_destroy(&l->written);
	pthread_cond_destroy(&l->wake);
	pthread_mutex_destroy(&l->mutex);
	free(l->path);
	free(l);
}

static int start_thread(struct call_log *l)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int err = pthread_create(&l->thread, NULL, run, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

struct call_log *call_log_open(const char *path)
{
	struct call_log *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	pthread_mutex_init(&l->mutex, NULL);
	pthread_cond_init(&l->wake, NULL);
	pthread_cond_init(&l->written, NULL);
	buf_init(&l->lines, 2 * WRITE_BYTES);
	l->path = strdup(path);
	l->fd = l->path ? open_log(path) : -1;
	int err = l->fd < 0 ? errno : start_thread(l);
	if (!err)
		return l;
	release(l);
	errno = err;
	return NULL;
}

void call_log_close(struct call_log *l)
{
	pthread_mutex_lock(&l->mutex);
	l->stopping = true;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->mutex);
	pthread_join(l->thread, NULL);
	release(l);
}
