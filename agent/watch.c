#include "agent/watch.h"

#include "agent/call/session.h"
#include "agent/export/clock.h"
#include "agent/intake/liveness.h"
#include "agent/intake/modules.h"
#include "agent/intake/spawner.h"
#include "agent/intake/told_losses.h"
#include "agent/report.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Records of one lane in one go, so that a busy process does not keep the others waiting. */
#define DRAIN_RECORDS 4096u
/* From the loss of a CLOSE to the look whether its descriptor is open: it is recorded before the real
 * close. And between two such looks, which cost a system call a connection. */
#define CHECK_NS 1000000000u
/* A ring in which nothing came is looked at as a whole (its losses, what is to be checked) every so
 * many drains only; in between it costs a look at its heads. There may be hundreds. */
#define QUIET_DRAINS 25u
/* Between the first two looks at what a process has loaded; each time twice as long: it costs the kernel up
 * to a millisecond, and most that have not told by then have nothing to tell. */
#define MODULES_FIRST_NS 1000000000u

struct lane_watch {
	uint64_t controls_dropped; /* as it was last seen */
	uint64_t check_at_ns;	   /* 0 = nothing to check */
	bool given_up;		   /* broken: its connections were ended */
	bool behind;		   /* something stands in it that was not read in its last drain */
};

struct watch {
	char name[DIRECTORY_NAME_BYTES];
	struct process process;
	struct ring_reader *ring;
	struct flow *flow;
	struct unseen *unseen;
	uint64_t next_look_ns;
	bool looking;		   /* a look is under way */
	uint64_t controls_at_look; /* dropped ones, all lanes; UINT64_MAX: there was none yet */
	struct server *server;
	uint64_t next_modules_ns, modules_pause_ns;
	struct metrics *metrics;
	struct call_sink calls;
	struct call_log *log;
	char instance_id[37];
	int pidfd;
	bool ended, superseded;
	struct lane_watch lane[WIRE_LANES_MAX];
	unsigned quiet_drains; /* since the last look */
	struct told_losses told;
	uint64_t started, finished, lost;
};

/* ---- calls: into the metrics and the log -------------------------------------------------------- */

static void on_started(void *user, const struct call *c)
{
	struct watch *w = user;
	w->started++;
	metrics_call_started(w->metrics, c, clock_real_ns());
}

static void on_first_token(void *user, const struct call *c)
{
	struct watch *w = user;
	metrics_call_first_token(w->metrics, c, clock_real_ns());
}

static void on_ended(void *user, const struct call *c)
{
	struct watch *w = user;
	w->finished++;
	metrics_call_ended(w->metrics, c, clock_real_ns());
	if (w->log)
		call_log_put(w->log, &w->process, c);
}

static void on_lost(void *user, const struct call *c)
{
	struct watch *w = user;
	w->lost++;
	metrics_call_lost(w->metrics, c, clock_real_ns());
}

static void on_unmeasured(void *user, enum call_unmeasured how)
{
	struct watch *w = user;
	metrics_call_unmeasured(w->metrics, how, clock_real_ns());
}

/* ---- connections: sessions ---------------------------------------------------------------------- */

static bool on_module(void *user, struct span path)
{
	struct watch *w = user;
	server_saw_module(w->server, path);
	return !server_has_provider(w->server);
}

/* At a connection, as servers load their engine before they accept one, or soon after. */
static void look_at_modules(struct watch *w)
{
	uint64_t now_ns = clock_mono_ns();
	if (server_has_provider(w->server) || now_ns < w->next_modules_ns)
		return;
	modules_each(&w->process, on_module, w);
	w->modules_pause_ns = w->modules_pause_ns ? w->modules_pause_ns * 2 : MODULES_FIRST_NS;
	w->next_modules_ns = now_ns + w->modules_pause_ns;
}

static void *on_opened(void *user)
{
	struct watch *w = user;
	look_at_modules(w);
	return session_new(w->server);
}

static enum session_direction direction(enum flow_direction d)
{
	return d == FLOW_IN ? SESSION_IN : SESSION_OUT;
}

static void on_bytes(void *conn, enum flow_direction d, struct span bytes, uint64_t time_ns)
{
	session_bytes(conn, direction(d), bytes, time_ns);
}

static void on_gap(void *conn, enum flow_direction d, uint64_t bytes, uint64_t time_ns)
{
	session_gap(conn, direction(d), bytes, time_ns);
}

static void on_lost_in(void *conn)
{
	session_lost_in(conn);
}

static void on_eof(void *conn, uint64_t time_ns)
{
	session_eof(conn, time_ns);
}

static void on_shut(void *conn, uint64_t time_ns)
{
	session_shut(conn, time_ns);
}

static void on_failed(void *conn, int error, uint64_t time_ns)
{
	session_fail(conn, error, time_ns);
}

static void on_conn_ended(void *conn, enum flow_end how, uint64_t time_ns)
{
	session_close(conn,
		      how == FLOW_CLOSED ? SESSION_CLOSED
		      : how == FLOW_DIED ? SESSION_SERVER_DIED
					 : SESSION_LOST,
		      time_ns);
	session_free(conn);
}

/* ---- the watch ---------------------------------------------------------------------------------- */

/* RFC 9562 5.4: random, version 4. */
static void make_instance_id(char *to, size_t room)
{
	uint8_t b[16] = {0};
	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		for (size_t i = 0; i < sizeof(b); i++)
			b[i] = (uint8_t)(clock_mono_ns() >> (i % 8) * 8);
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(to, room, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		 b[13], b[14], b[15]);
}

static void on_bad_endpoint(void *user, const char *entry, const char *why)
{
	const struct watch *w = user;
	report("INFERWIRE_ENDPOINTS of process %u: \"%s\" is left out: %s", w->process.pid, entry,
	       why);
}

static bool make_parts(struct watch *w)
{
	const struct process *p = &w->process;
	const struct flow_sink sink = {on_opened, on_bytes,  on_gap,	    on_lost_in, on_eof,
				       on_shut,	  on_failed, on_conn_ended, w};
	w->calls =
		(struct call_sink){on_started, on_first_token, on_ended, on_lost, w, on_unmeasured};
	char spawner[sizeof(p->command_line)];
	w->server = server_new(p->program, spawner_arguments(p, spawner, sizeof(spawner)),
			       p->provider, &w->calls);
	if (w->server)
		server_set_endpoints(w->server, p->endpoints, on_bad_endpoint, w);
	w->metrics = metrics_new();
	w->flow = flow_new(&sink);
	w->unseen = unseen_new();
	return w->server && w->metrics && w->flow && w->unseen;
}

struct watch *watch_new(const struct directory *d, const char *name, struct call_log *log)
{
	struct watch *w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->log = log;
	w->pidfd = -1;
	snprintf(w->name, sizeof(w->name), "%s", name);
	int err = ring_reader_open(d->fd, name, &w->ring, &w->process);
	if (!err && !make_parts(w))
		err = -ENOMEM;
	if (err) {
		watch_free(w);
		errno = -err;
		return NULL;
	}
	make_instance_id(w->instance_id, sizeof(w->instance_id));
	w->pidfd = liveness_open(&w->process);
	w->controls_at_look = ring_reader_was_read(w->ring) ? UINT64_MAX : 0;
	told_losses_begin(&w->told, w->ring);
	if (ring_reader_was_read(w->ring))
		flow_goes_on(w->flow);
	return w;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	flow_free(w->flow); /* first: its connections end into the others */
	unseen_free(w->unseen);
	server_free(w->server);
	metrics_free(w->metrics);
	ring_reader_close(w->ring);
	if (w->pidfd >= 0)
		close(w->pidfd);
	free(w);
}

const char *watch_name(const struct watch *w)
{
	return w->name;
}

const struct process *watch_process(const struct watch *w)
{
	return &w->process;
}

int watch_pidfd(const struct watch *w)
{
	return w->ended ? -1 : w->pidfd;
}

static void on_record(void *user, const struct ring_record *rec)
{
	struct watch *w = user;
	flow_record(w->flow, rec);
}

static bool descriptor_is_open(void *user, uint32_t fd)
{
	struct watch *w = user;
	char path[64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%u/fd/%u", w->process.pid, fd);
	return lstat(path, &st) == 0 || errno != ENOENT;
}

static bool nothing_is_open(void *user, uint32_t fd)
{
	(void)user;
	(void)fd;
	return false;
}

/* Connections whose closing may have been dropped are looked for where they should be. Those of
 * another PID namespace cannot be: their descriptors' next connections tell. */
static void check_lane(struct watch *w, uint32_t n, uint64_t now_ns)
{
	struct lane_watch *lane = &w->lane[n];
	uint64_t controls = ring_reader_loss(w->ring, n).controls;
	if (controls > lane->controls_dropped) {
		lane->controls_dropped = controls;
		if (!lane->check_at_ns)
			lane->check_at_ns = now_ns + CHECK_NS;
	}
	if (!lane->check_at_ns || now_ns < lane->check_at_ns)
		return;
	lane->check_at_ns = 0;
	/* All descriptors of a dead process are gone; its end is not theirs. */
	if (liveness_is_visible(&w->process) && liveness_of(&w->process))
		flow_check(w->flow, n, ring_reader_lanes(w->ring), descriptor_is_open, w, now_ns);
}

/* How full the lane was, in thousandths. One that does not move counts as empty: looking at it more
 * often would not help it. */
static unsigned drain_lane(struct watch *w, uint32_t n, uint64_t now_ns)
{
	struct lane_watch *lane = &w->lane[n];
	unsigned fill = ring_reader_fill(w->ring, n);
	size_t passed =
		ring_reader_drain(w->ring, n, DRAIN_RECORDS, now_ns, !w->ended, on_record, w);
	lane->behind = passed == DRAIN_RECORDS || (!passed && fill);
	if (!lane->given_up && ring_reader_lane_broken(w->ring, n)) {
		lane->given_up = true;
		flow_check(w->flow, n, ring_reader_lanes(w->ring), nothing_is_open, w, now_ns);
	} else if (passed < DRAIN_RECORDS && !w->ended) {
		check_lane(w, n, now_ns);
	}
	return passed ? (fill ? fill : 1) : 0;
}

unsigned watch_drain(struct watch *w)
{
	if (!w->ended && w->quiet_drains < QUIET_DRAINS && ring_reader_is_quiet(w->ring)) {
		w->quiet_drains++;
		return 0;
	}
	w->quiet_drains = 0;
	uint64_t now_ns = clock_mono_ns(), dropped = 0;
	unsigned fullest = 0;
	for (uint32_t n = 0; n < ring_reader_lanes(w->ring); n++) {
		unsigned fill = drain_lane(w, n, now_ns);
		fullest = fill > fullest ? fill : fullest;
		dropped += told_losses_records(&w->told, w->ring, n);
	}
	if (dropped)
		metrics_records_dropped(w->metrics, dropped, clock_real_ns());
	return fullest;
}

/* Whether all that the shim told by now was read, or all but the newest. */
static bool is_up_to_date(const struct watch *w)
{
	for (uint32_t n = 0; n < ring_reader_lanes(w->ring); n++) {
		if (w->lane[n].behind || w->lane[n].given_up)
			return false;
	}
	return true;
}

bool watch_look(struct watch *w, uint64_t now_ns, uint64_t period_ns,
		bool (*elsewhere)(void *user, uint64_t inode), void *user)
{
	if (w->ended || !liveness_is_visible(&w->process) || !is_up_to_date(w) ||
	    (!w->looking && now_ns < w->next_look_ns))
		return false;
	if (!w->looking)
		w->next_look_ns = now_ns + period_ns;
	uint64_t controls = 0;
	for (uint32_t n = 0; n < ring_reader_lanes(w->ring); n++)
		controls += ring_reader_loss(w->ring, n).controls;
	const struct unseen_known known = {
		.flow = w->flow,
		.complete = controls == w->controls_at_look,
		.elsewhere = elsewhere,
		.user = user,
	};
	int more = unseen_look(w->unseen, &w->process, &known);
	w->looking = more == 1;
	if (more == 0) {
		w->controls_at_look = controls;
		flow_forget_unread(w->flow);
	}
	return true;
}

bool watch_has_socket(const struct watch *w, uint64_t inode)
{
	return unseen_has(w->unseen, inode);
}

bool watch_is_broken(const struct watch *w)
{
	return ring_reader_broken(w->ring);
}

/* The process lives, and has the ring no more: it became another program by exec. That it makes no ring of
 * its own is of interest only where something would be waited for. */
static bool is_another_program(struct watch *w)
{
	if (flow_stats(w->flow).live && !ring_reader_has_producer(w->ring))
		w->superseded = true;
	return w->superseded;
}

bool watch_has_ended(struct watch *w)
{
	if (w->ended)
		return true;
	struct pollfd p = {.fd = w->pidfd, .events = POLLIN};
	if (ring_reader_broken(w->ring))
		w->ended = true;
	else if (w->pidfd >= 0)
		w->ended = poll(&p, 1, 0) > 0 || is_another_program(w);
	else
		w->ended = !liveness_of(&w->process) || !ring_reader_has_producer(w->ring);
	return w->ended;
}

void watch_superseded(struct watch *w)
{
	w->ended = w->superseded = true;
}

/* The program that the process became by exec may go on with it. */
static bool descriptor_is_closed(void *user, uint32_t fd)
{
	return !descriptor_is_open(user, fd);
}

void watch_finish(struct watch *w)
{
	/* exec is no crash for a connection that it left open; the others it closed. */
	for (uint32_t n = 0; w->superseded && n < ring_reader_lanes(w->ring); n++)
		flow_check(w->flow, n, ring_reader_lanes(w->ring), descriptor_is_closed, w,
			   clock_mono_ns());
	/* Those of broken lanes were ended before: see drain_lane. */
	flow_end(w->flow, FLOW_DIED, clock_mono_ns());
}

void watch_discard(struct watch *w)
{
	ring_reader_discard(w->ring);
}

static void tell_connections(struct watch *w)
{
	struct flow_stats s = flow_stats(w->flow);
	const uint64_t totals[METRICS_CONN_COUNT] = {
		[METRICS_CONN_HTTP] = s.http,
		[METRICS_CONN_TLS] = s.tls,
		[METRICS_CONN_ENCRYPTED] = s.encrypted,
		[METRICS_CONN_OPAQUE] = s.opaque,
		[METRICS_CONN_UNSEEN] = unseen_total(w->unseen).not_seen + s.hidden,
		[METRICS_CONN_UNSEEN_IO_URING] = unseen_total(w->unseen).io_uring,
		[METRICS_CONN_UNWATCHED] = told_losses_unwatched(&w->told, w->ring),
	};
	metrics_connections(w->metrics, totals, clock_real_ns());
}

bool watch_export(struct watch *w, struct export_process *to, bool last)
{
	tell_connections(w);
	to->process = w->process;
	memcpy(to->instance_id, w->instance_id, sizeof(to->instance_id));
	to->last = last;
	to->metrics = metrics_snapshot(w->metrics);
	if (to->metrics)
		told_losses_note(&w->told, w->ring);
	return to->metrics != NULL;
}

struct watch_stats watch_stats(struct watch *w)
{
	struct watch_stats s = {
		.flow = flow_stats(w->flow),
		.unseen = unseen_total(w->unseen),
		.unwatched = ring_reader_unwatched(w->ring),
		.calls_started = w->started,
		.calls_ended = w->finished,
		.calls_lost = w->lost,
	};
	for (uint32_t lane = 0; lane < ring_reader_lanes(w->ring); lane++) {
		struct ring_loss loss = ring_reader_loss(w->ring, lane);
		s.dropped_records += loss.records;
		s.dropped_bytes += loss.bytes;
		s.skipped += loss.skipped;
	}
	return s;
}
