#include "agent/export/exporter.h"

#include "agent/export/answer.h"
#include "agent/export/backoff.h"
#include "agent/export/batch.h"
#include "agent/export/clock.h"
#include "agent/export/console.h"
#include "agent/export/delivery.h"
#include "agent/export/post.h"
#include "agent/export/secrets.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>

/*
 *	draining thread                     exporter's thread
 *
 *	exporter_submit --> [ waiting ] --> [ delivery: request 1, 2, ... ] --> libcurl
 *	                        ^                       |
 *	                        |       failed: the `last` processes, for 60 s
 *	                        +-----------------------+
 *
 * One place holds the newest batch. While a request was tried in vain and its next try is awaited, a
 * newer batch takes over: its numbers contain the older ones, and a retried old batch would arrive
 * out of order. The time of the next try stays, however fast batches come. A batch of which a
 * request is being sent, or was just accepted, is finished first.
 *
 * A process that ended is in no newer batch. Its last state moves along from batch to batch.
 *
 * Everything between the threads stands under the mutex, which is never held during I/O.
 */

/* After exporter_stop, failed requests are tried again for so long; a receiver that is not there must
 * not hold up the end of the agent for the whole of the export timeout. */
#define FLUSH_RETRY_NS (5000ull * CLOCK_MS_NS)
/* And the end comes even where exports have no timeout. */
#define FLUSH_MAX_MS 10000u

struct exporter {
	const struct config *config;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake; /* on CLOCK_MONOTONIC */

	/* Under the mutex. */
	struct export_batch *waiting;
	size_t lasts_open; /* `last` processes submitted, not yet sent or given up */
	bool stopping;
	bool hurry;		   /* the first try after exporter_stop waits for nothing */
	uint64_t stop_deadline_ns; /* UINT64_MAX until then */
	uint64_t retry_deadline_ns;
	struct exporter_stats stats;

	_Atomic uint64_t abort_at_ns; /* stop_deadline_ns, for the progress callback of post.c */

	/* The thread's own. */
	struct post *post; /* NULL: nothing is sent by OTLP */
	struct delivery delivery;
	struct backoff backoff;
	uint64_t next_try_ns;
	uint64_t last_time_ns;
	bool export_failed; /* something of this delivery was refused */
};

/* ---- settling what was carried (all under the mutex) ---- */

static void fail(struct exporter *e, const char *message)
{
	span_copy(span_str(message), e->stats.last_error, sizeof(e->stats.last_error));
	secrets_hide(e->config, e->stats.last_error);
}

/* Everything that could be done with the batch was done. */
static void finish(struct exporter *e)
{
	struct export_batch *b = delivery_end(&e->delivery);
	e->lasts_open -= batch_lasts(b);
	export_batch_free(b);
}

/* The batch failed, though not for good: its `last` processes go on with the newest batch, or alone. */
static void give_up(struct exporter *e, uint64_t now_ns)
{
	size_t failed = e->delivery.points_left;
	struct export_batch *b = delivery_end(&e->delivery);
	e->lasts_open -= batch_keep_lasts(b, now_ns);
	size_t kept = batch_points(b); /* sent again as a whole, and counted then */
	e->stats.failed_points += failed > kept ? failed - kept : 0;
	if (e->waiting)
		e->lasts_open -= batch_take_lasts(e->waiting, b);
	else if (b->process_count)
		e->waiting = b;
	else
		export_batch_free(b);
}

static uint32_t random_number(void)
{
	uint32_t n = 0;
	if (getrandom(&n, sizeof(n), GRND_NONBLOCK) != sizeof(n))
		n = (uint32_t)clock_mono_ns();
	return n;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void try_later(struct exporter *e, const struct answer *a, uint64_t now_ns)
{
	struct delivery *d = &e->delivery;
	uint64_t wait_ms = backoff_next(&e->backoff, random_number());
	if (a->delay_ms >= 0 && (uint64_t)a->delay_ms > wait_ms)
		wait_ms = (uint64_t)a->delay_ms;
	d->failed = true;
	e->next_try_ns = now_ns + wait_ms * CLOCK_MS_NS;
	if (e->next_try_ns >= least(delivery_deadline_ns(d), e->retry_deadline_ns))
		give_up(e, now_ns);
}

static void settle(struct exporter *e, const struct answer *a, uint64_t now_ns)
{
	size_t points = e->delivery.request.points;
	size_t rejected = a->rejected_points < points ? a->rejected_points : points;
	if (a->message[0])
		fail(e, a->message);
	switch (a->verdict) {
	case ANSWER_LATER:
		try_later(e, a, now_ns);
		return;
	case ANSWER_REFUSED:
		rejected = points;
		break;
	case ANSWER_ACCEPTED:
		backoff_reset(&e->backoff);
		break;
	}
	e->next_try_ns = 0;
	e->stats.exported_points += points - rejected;
	e->stats.failed_points += rejected;
	e->export_failed = e->export_failed || a->message[0];
	delivery_settle(&e->delivery);
}

/* ---- the thread ---- */

/* Takes the waiting batch over, if its turn has come. Under the mutex. */
static void adopt(struct exporter *e, uint64_t now_ns)
{
	struct delivery *d = &e->delivery;
	if (!e->waiting || (d->batch && !d->failed))
		return;
	if (d->batch)
		give_up(e, now_ns); /* moves its `last` processes to the waiting one */
	delivery_begin(d, e->config, e->waiting, e->last_time_ns, now_ns);
	e->waiting = NULL;
	e->last_time_ns = d->time_ns;
	e->export_failed = false;
}

/* Waits until something is to be done; false: the end. Under the mutex. */
static bool wait_for_work(struct exporter *e)
{
	for (;;) {
		bool work = e->waiting || e->delivery.batch;
		uint64_t now_ns = clock_mono_ns();
		if (e->stopping && (!work || now_ns >= e->stop_deadline_ns ||
				    (!e->hurry && e->next_try_ns >= e->retry_deadline_ns)))
			return false;
		if (work && (e->hurry || now_ns >= e->next_try_ns)) {
			e->hurry = false;
			return true;
		}
		struct timespec until = clock_timespec(least(e->next_try_ns, e->stop_deadline_ns));
		if (work)
			pthread_cond_timedwait(&e->wake, &e->mutex, &until);
		else
			pthread_cond_wait(&e->wake, &e->mutex);
	}
}

/* One try of the request that is due. Not under the mutex. */
static struct answer send_request(struct exporter *e, uint64_t deadline_ns)
{
	uint64_t now_ns = clock_mono_ns();
	uint64_t left_ms = deadline_ns > now_ns ? (deadline_ns - now_ns) / CLOCK_MS_NS + 1 : 1;
	const struct otlp_request *r = &e->delivery.request;
	const struct post_answer *in = post_send(e->post, span_of(r->at, r->len), left_ms);
	return answer_read(in, time(NULL));
}

/* Carries the delivery one request further. Under the mutex, which is let go for the I/O. */
static void work_on(struct exporter *e)
{
	struct delivery *d = &e->delivery;
	bool again = d->failed;
	uint64_t limit_ns = e->stop_deadline_ns;
	pthread_mutex_unlock(&e->mutex);
	int ready = e->post ? delivery_ready(d, clock_mono_ns()) : 0;
	struct answer a = {0};
	if (ready == 1)
		a = send_request(e, least(delivery_deadline_ns(d), limit_ns));
	pthread_mutex_lock(&e->mutex);
	if (ready == 1) {
		e->stats.requests++;
		e->stats.retries += again;
		settle(e, &a, clock_mono_ns());
		return;
	}
	if (ready < 0) {
		fail(e, "no memory");
		e->stats.failed_points += d->points_left;
	} else if (!e->export_failed) {
		e->stats.last_error[0] = '\0';
	}
	finish(e);
}

/* Under the mutex, which is let go for the I/O. */
static void print(struct exporter *e)
{
	pthread_mutex_unlock(&e->mutex);
	console_write(e->delivery.batch, stdout);
	pthread_mutex_lock(&e->mutex);
}

static void *run(void *user)
{
	struct exporter *e = user;
	pthread_mutex_lock(&e->mutex);
	while (wait_for_work(e)) {
		const struct export_batch *before = e->delivery.batch;
		adopt(e, clock_mono_ns());
		if (e->config->to_console && e->delivery.batch != before)
			print(e);
		work_on(e);
	}
	pthread_mutex_unlock(&e->mutex);
	return NULL;
}

/* ---- what others call ---- */

static int start_thread(struct exporter *e)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int err = pthread_create(&e->thread, NULL, run, e);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

static void release(struct exporter *e)
{
	export_batch_free(delivery_end(&e->delivery));
	export_batch_free(e->waiting);
	post_free(e->post);
	pthread_cond_destroy(&e->wake);
	pthread_mutex_destroy(&e->mutex);
	curl_global_cleanup();
	free(e);
}

struct exporter *exporter_start(const struct config *config)
{
	struct exporter *e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->config = config;
	e->stop_deadline_ns = e->retry_deadline_ns = UINT64_MAX;
	atomic_init(&e->abort_at_ns, UINT64_MAX);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&e->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&e->mutex, NULL);
	int err = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : ENOMEM;
	if (!err && config->to_otlp && !config->disabled) {
		e->post = post_new(config, &e->abort_at_ns);
		err = e->post ? 0 : ENOMEM;
	}
	if (!err)
		err = start_thread(e);
	if (!err)
		return e;
	release(e);
	errno = err;
	return NULL;
}

void exporter_submit(struct exporter *e, struct export_batch *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&e->mutex);
	e->lasts_open += batch_lasts(b);
	if (e->waiting)
		e->lasts_open -= batch_take_lasts(b, e->waiting);
	e->waiting = b;
	pthread_cond_signal(&e->wake);
	pthread_mutex_unlock(&e->mutex);
}

bool exporter_idle(struct exporter *e)
{
	pthread_mutex_lock(&e->mutex);
	bool idle = e->lasts_open == 0;
	pthread_mutex_unlock(&e->mutex);
	return idle;
}

void exporter_stop(struct exporter *e)
{
	uint64_t now_ns = clock_mono_ns();
	pthread_mutex_lock(&e->mutex);
	e->stopping = e->hurry = true;
	e->retry_deadline_ns = now_ns + FLUSH_RETRY_NS;
	uint64_t most_ms =
		e->config->export_timeout_ms ? e->config->export_timeout_ms : FLUSH_MAX_MS;
	e->stop_deadline_ns = now_ns + most_ms * CLOCK_MS_NS;
	atomic_store_explicit(&e->abort_at_ns, e->stop_deadline_ns, memory_order_relaxed);
	pthread_cond_signal(&e->wake);
	pthread_mutex_unlock(&e->mutex);
	pthread_join(e->thread, NULL);
	release(e);
}

void exporter_stats(struct exporter *e, struct exporter_stats *s)
{
	pthread_mutex_lock(&e->mutex);
	*s = e->stats;
	pthread_mutex_unlock(&e->mutex);
}
