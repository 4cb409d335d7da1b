/*
 * A turn:
 *
 *   drain every ring --> a process ended? its last batch goes out --> is an export or the status due?
 *        ^                                                                            |
 *        +--------------------- sleep: as long as the rings allow <-------------------+
 *               (a new ring, a death or a signal wakes at once)
 *
 * Times come from the shim, so sleeping costs no accuracy, only room in the rings; and each turn costs
 * the machine a timer and a wake-up. So the sleep is steered: a turn shall find the fullest lane about
 * a sixteenth full.
 *
 * The end. A shim makes its ring and then asks for the lock; whoever holds it will find the ring. So,
 * when nothing is left: give the lock up, look once more, and take the lock again if a ring came.
 */
#include "agent/loop.h"

#include "agent/export/clock.h"
#include "agent/intake/counter.h"
#include "agent/report.h"
#include "agent/status_file.h"
#include "agent/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define MS_NS	       1000000u
#define SLEEP_FIRST_MS 1
#define FILL_AIM       60 /* thousandths of a lane */
#define SLEEP_MAX_MS   20
#define SLEEP_EMPTY_MS 500	       /* nothing is watched */
#define SCAN_NS	       (1000u * MS_NS) /* in case inotify is not to be had */
#define LIVENESS_NS    (250u * MS_NS)  /* where no descriptor tells */
/* Between two looks at one process. What is accepted is in the ring long before. */
#define LOOK_NS_MIN  (1000u * MS_NS)
#define STATUS_NS    (1000u * MS_NS)
#define FINAL_DRAINS 1000u /* of a dead process: its ring is finite */

struct names {
	char (*at)[DIRECTORY_NAME_BYTES];
	size_t count, room;
};

struct loop {
	struct directory *dir;
	const struct config *config;
	struct exporter *exporter; /* NULL: nothing is exported */
	struct call_log *log;	   /* NULL: no call log */
	struct watch **watches;
	size_t count, room;
	int wakers; /* epoll: the signals, the directory, the processes' ends */
	/* Rings of the dead, to be removed when their last export is done. */
	struct names dead;
	/* What ends in .ring and is none of ours: told once, not looked at again. */
	struct names refused;
	uint64_t started_ns, next_export_ns, next_scan_ns, next_liveness_ns, next_status_ns;
	int sleep_ms;
	bool stopping;
	char last_error[160]; /* of the exporter, as it was reported */
	bool lines_are_lost;  /* of the call log, and it was reported */
};

/* ---- processes come ----------------------------------------------------------------------------- */

static bool make_room(void **list, size_t *room, size_t count, size_t size)
{
	if (count < *room)
		return true;
	size_t more = *room ? *room * 2 : 8;
	void *at = realloc(*list, more * size);
	if (!at)
		return false;
	*list = at;
	*room = more;
	return true;
}

static bool names_put(struct names *n, const char *name)
{
	if (!make_room((void **)&n->at, &n->room, n->count, sizeof(*n->at)))
		return false;
	snprintf(n->at[n->count++], DIRECTORY_NAME_BYTES, "%s", name);
	return true;
}

static bool names_have(const struct names *n, const char *name)
{
	for (size_t i = 0; i < n->count; i++) {
		if (strcmp(n->at[i], name) == 0)
			return true;
	}
	return false;
}

static bool is_known(const struct loop *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++) {
		if (strcmp(watch_name(l->watches[i]), name) == 0)
			return true;
	}
	return names_have(&l->dead, name) || names_have(&l->refused, name);
}

/* A process keeps its pid and start time when it execs: of its rings the one that was made last is in
 * use. Their numbers do not tell, they are given out again; nor does the order of a directory. */
static void supersede(struct loop *l, struct watch *fresh)
{
	const struct process *its = watch_process(fresh);
	for (size_t i = 0; i < l->count; i++) {
		const struct process *p = watch_process(l->watches[i]);
		if (p->pid == its->pid && p->start_ticks == its->start_ticks &&
		    p->pid_ns == its->pid_ns)
			watch_superseded(p->made_mono_ns < its->made_mono_ns ? l->watches[i]
									     : fresh);
	}
}

/* Other errors (no memory, no descriptors) pass: the next scan tries again. */
static void refuse(struct loop *l, const char *name, int error)
{
	if ((error != EPROTO && error != EINVAL) || !names_put(&l->refused, name))
		return;
	report("%s is left alone: it %s", name,
	       error == EPROTO ? "was made by another version of libinferwire.so"
			       : "is no ring of this user's alone");
}

/* What cannot be waited for (no descriptor, no memory) is asked for: LIVENESS_NS, SCAN_NS. A closed
 * descriptor leaves by itself. */
static bool wake_on(struct loop *l, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	return fd >= 0 && epoll_ctl(l->wakers, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void on_ring(void *user, const char *name)
{
	struct loop *l = user;
	if (is_known(l, name) ||
	    !make_room((void **)&l->watches, &l->room, l->count, sizeof(*l->watches)))
		return;
	struct watch *w = watch_new(l->dir, name, l->log);
	if (!w) {
		refuse(l, name, errno);
		return;
	}
	const struct process *p = watch_process(w);
	supersede(l, w);
	l->watches[l->count++] = w;
	wake_on(l, watch_pidfd(w));
	report("watching process %u (%s)", p->pid, p->program);
}

static void scan(struct loop *l, uint64_t now_ns)
{
	directory_drain(l->dir);
	directory_scan(l->dir, on_ring, l);
	l->next_scan_ns = now_ns + SCAN_NS;
}

/* ---- export ------------------------------------------------------------------------------------- */

static void submit(struct loop *l, struct watch *const *watches, size_t count, bool last)
{
	struct export_batch *b = l->exporter && count ? export_batch_new(count) : NULL;
	if (!b)
		return;
	b->time_ns = clock_real_ns();
	for (size_t i = 0; i < count; i++) {
		if (!watch_export(watches[i], &b->processes[i], last)) {
			export_batch_free(b);
			report("an export was skipped: out of memory");
			return;
		}
	}
	exporter_submit(l->exporter, b);
}

static void export_when_due(struct loop *l, uint64_t now_ns)
{
	if (now_ns < l->next_export_ns)
		return;
	l->next_export_ns += (uint64_t)l->config->interval_ms * MS_NS;
	if (l->next_export_ns < now_ns) /* the machine slept */
		l->next_export_ns = now_ns + (uint64_t)l->config->interval_ms * MS_NS;
	submit(l, l->watches, l->count, false);
}

static void report_export(struct loop *l)
{
	struct exporter_stats s;
	if (!l->exporter)
		return;
	exporter_stats(l->exporter, &s);
	if (strcmp(s.last_error, l->last_error) == 0)
		return;
	memcpy(l->last_error, s.last_error, sizeof(l->last_error));
	if (s.last_error[0])
		report("export: %s", s.last_error);
	else
		report("export: works again");
}

/* ---- processes go ------------------------------------------------------------------------------- */

static void report_end(struct watch *w)
{
	const struct process *p = watch_process(w);
	struct watch_stats s = watch_stats(w);
	report("process %u (%s) %s: %" PRIu64 " calls, %" PRIu64 " lost, %" PRIu64
	       " records dropped, %" PRIu64 " connections encrypted",
	       p->pid, p->program,
	       watch_is_broken(w) ? "cannot be watched any more, its ring is broken" : "ended",
	       s.calls_ended, s.calls_lost, s.dropped_records + s.skipped, s.flow.encrypted);
}

static void bury(struct loop *l, struct watch *w)
{
	for (unsigned i = 0; i < FINAL_DRAINS && watch_drain(w); i++)
		;
	watch_finish(w);
	submit(l, &w, 1, true);
	report_end(w);
	/* With a receiver that is not there, and a server that crashes again and again, they would
	 * fill /dev/shm. */
	watch_discard(w);
	if (!names_put(&l->dead, watch_name(w)))
		unlinkat(l->dir->fd, watch_name(w), 0);
	watch_free(w);
}

static void bury_the_dead(struct loop *l)
{
	for (size_t i = 0; i < l->count;) {
		if (!watch_has_ended(l->watches[i])) {
			i++;
			continue;
		}
		struct watch *w = l->watches[i];
		l->watches[i] = l->watches[--l->count];
		bury(l, w);
	}
}

static void remove_dead(struct loop *l)
{
	if (l->log && l->dead.count)
		call_log_flush(l->log);
	for (size_t i = 0; i < l->dead.count; i++)
		unlinkat(l->dir->fd, l->dead.at[i], 0);
	l->dead.count = 0;
}

/* Their ring files are what a wrapper waits for. */
static void remove_exported(struct loop *l)
{
	if (l->dead.count && (!l->exporter || exporter_idle(l->exporter)))
		remove_dead(l);
}

/* ---- what the shim did not see ------------------------------------------------------------------ */

static bool is_elsewhere(void *user, uint64_t inode)
{
	const struct loop *l = user;
	for (size_t i = 0; i < l->count; i++) {
		if (watch_has_socket(l->watches[i], inode))
			return true;
	}
	return false;
}

/* A piece a turn, so that the rings do not wait. */
static void look_at_one(struct loop *l, uint64_t now_ns)
{
	uint64_t period_ns = (uint64_t)l->config->interval_ms * MS_NS;
	if (period_ns < LOOK_NS_MIN)
		period_ns = LOOK_NS_MIN;
	for (size_t i = 0; i < l->count; i++) {
		if (watch_look(l->watches[i], now_ns, period_ns, is_elsewhere, l))
			return;
	}
}

/* ---- turns -------------------------------------------------------------------------------------- */

/* How full the fullest lane of all was, in thousandths. */
static unsigned drain_all(struct loop *l)
{
	unsigned fullest = 0;
	if (l->count)
		counter_read_again(counter_machine());
	for (size_t i = 0; i < l->count; i++) {
		unsigned fill = watch_drain(l->watches[i]);
		fullest = fill > fullest ? fill : fullest;
	}
	return fullest;
}

static void take_signals(struct loop *l, int signal_fd)
{
	struct signalfd_siginfo info;
	while (read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo != SIGHUP)
			l->stopping = true;
		else if (l->log)
			call_log_reopen(l->log);
	}
}

/* Sleeps until something happens or `ms` have passed. True if a process may have ended. */
static bool sleep_for(struct loop *l, int signal_fd, int ms)
{
	struct epoll_event events[16];
	bool ended = false;
	int n = epoll_wait(l->wakers, events, sizeof(events) / sizeof(*events), ms);
	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;
		if (fd == signal_fd)
			take_signals(l, signal_fd);
		else if (fd == l->dir->watch_fd)
			l->next_scan_ns = 0;
		else
			ended = true;
	}
	return ended;
}

static int next_sleep(struct loop *l, unsigned fill)
{
	int next = l->sleep_ms ? l->sleep_ms * 2 : SLEEP_FIRST_MS;
	if (fill > FILL_AIM)
		next = l->sleep_ms * FILL_AIM / (int)fill;
	int most = l->count || l->dead.count ? SLEEP_MAX_MS : SLEEP_EMPTY_MS;
	l->sleep_ms = next < most ? next : most;
	return l->sleep_ms;
}

/* That lines of the call log are lost, once: a disk that is full stays so. */
static void report_lost_lines(struct loop *l)
{
	if (!l->log || l->lines_are_lost || !call_log_lost(l->log))
		return;
	l->lines_are_lost = true;
	report("INFERWIRE_CALL_LOG: %s: lines are lost, it is full or slow", l->config->call_log);
}

static void turn(struct loop *l, int signal_fd)
{
	unsigned fill = drain_all(l);
	uint64_t now_ns = clock_mono_ns();
	look_at_one(l, now_ns);
	export_when_due(l, now_ns);
	if (now_ns >= l->next_status_ns) {
		report_export(l);
		report_lost_lines(l);
		status_file_write(l->dir->fd, now_ns - l->started_ns, l->exporter, l->watches,
				  l->count);
		l->next_status_ns = now_ns + STATUS_NS;
	}
	remove_exported(l);
	if (sleep_for(l, signal_fd, next_sleep(l, fill)) || now_ns >= l->next_liveness_ns) {
		bury_the_dead(l);
		l->next_liveness_ns = now_ns + LIVENESS_NS;
	}
	if (now_ns >= l->next_scan_ns)
		scan(l, now_ns);
}

/* Nothing is left; true if a ring came at the last moment. The status goes before the lock: afterwards
 * it may be another agent's. */
static bool look_once_more(struct loop *l)
{
	unlinkat(l->dir->fd, STATUS_FILE_NAME, 0);
	directory_unlock(l->dir);
	scan(l, clock_mono_ns());
	if (!l->count)
		return false;
	if (directory_lock(l->dir) == 0)
		return true;
	/* Another agent was quicker: the rings are its. */
	while (l->count)
		watch_free(l->watches[--l->count]);
	return false;
}

static bool is_done(struct loop *l, const struct loop_options *o, bool *had_any)
{
	*had_any |= l->count || l->dead.count;
	if (l->count || l->dead.count)
		return false;
	if (*had_any || !o->patience_ns)
		return *had_any;
	return clock_mono_ns() - l->started_ns > o->patience_ns;
}

/* Told to stop while processes live: what they did so far goes out; their rings stay. */
static void stop(struct loop *l)
{
	drain_all(l);
	submit(l, l->watches, l->count, false);
	while (l->count)
		watch_free(l->watches[--l->count]);
}

static int open_wakers(struct loop *l, int signal_fd)
{
	l->wakers = epoll_create1(EPOLL_CLOEXEC);
	if (l->wakers < 0 || !wake_on(l, signal_fd)) {
		int err = errno;
		report("signals cannot be waited for: %s", strerror(err));
		return -err;
	}
	wake_on(l, l->dir->watch_fd);
	return 0;
}

static int open_outputs(struct loop *l, bool goes_on_without_log)
{
	const struct config *c = l->config;
	if (c->call_log && !(l->log = call_log_open(c->call_log))) {
		int err = errno;
		report("INFERWIRE_CALL_LOG: %s cannot be opened: %s%s", c->call_log, strerror(err),
		       goes_on_without_log ? "; there will be none" : "");
		if (!goes_on_without_log)
			return -err;
	}
	if ((c->to_otlp || c->to_console) && !(l->exporter = exporter_start(c))) {
		int err = errno;
		report("the exporter cannot be started: %s", strerror(err));
		return -err;
	}
	return 0;
}

static void close_log(struct loop *l)
{
	call_log_flush(l->log);
	uint64_t lost = call_log_lost(l->log);
	if (lost)
		report("INFERWIRE_CALL_LOG: %s: lines that were lost: %" PRIu64,
		       l->config->call_log, lost);
	call_log_close(l->log);
}

static void close_outputs(struct loop *l)
{
	if (l->exporter)
		exporter_stop(l->exporter);
	remove_dead(l); /* sent or given up, now */
	if (l->log)
		close_log(l);
	if (l->stopping)
		unlinkat(l->dir->fd, STATUS_FILE_NAME, 0);
	if (l->wakers >= 0)
		close(l->wakers);
	free(l->watches);
	free(l->dead.at);
	free(l->refused.at);
}

int loop_run(struct directory *d, const struct config *config, const struct loop_options *options,
	     int signal_fd)
{
	uint64_t now_ns = clock_mono_ns();
	struct loop l = {
		.dir = d,
		.config = config,
		.started_ns = now_ns,
		.next_export_ns = now_ns + (uint64_t)config->interval_ms * MS_NS,
		.sleep_ms = SLEEP_FIRST_MS,
	};
	bool had_any = false;
	int err = open_wakers(&l, signal_fd);
	if (!err)
		err = open_outputs(&l, options->goes_on_without_log);
	if (!err) {
		scan(&l, now_ns);
		do {
			while (!l.stopping && !is_done(&l, options, &had_any))
				turn(&l, signal_fd);
		} while (!l.stopping && look_once_more(&l));
		stop(&l);
	}
	close_outputs(&l);
	directory_unlock(d);
	return err;
}
