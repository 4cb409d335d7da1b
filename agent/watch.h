/*
 * watch.h - one watched process: its ring, its connections, its calls, its metrics.
 */
#ifndef AGENT_WATCH_H
#define AGENT_WATCH_H

#include "agent/export/call_log.h"
#include "agent/export/exporter.h"
#include "agent/intake/directory.h"
#include "agent/intake/flow.h"
#include "agent/intake/unseen.h"

struct watch;

/* Opens the ring of that name. NULL with errno set: EINVAL no ring of ours, EPROTO another version. `log`
 * may be NULL; it is borrowed. */
struct watch *watch_new(const struct directory *d, const char *name, struct call_log *log);
void watch_free(struct watch *w);

const char *watch_name(const struct watch *w);
const struct process *watch_process(const struct watch *w);
/* Readable when the process ends; -1 if that has to be asked for. */
int watch_pidfd(const struct watch *w);

/* Reads what the ring holds now, within bounds. Returns how full its fullest lane was, in thousandths:
 * 0 = there was nothing to read. */
unsigned watch_drain(struct watch *w);

/* Looks for connections that the kernel knows and the ring does not, at most once in `period_ns`, a piece
 * at each call; false if there was nothing to do. Right after a drain. `elsewhere` tells whether another watch has a socket. */
bool watch_look(struct watch *w, uint64_t now_ns, uint64_t period_ns,
		bool (*elsewhere)(void *user, uint64_t inode), void *user);
/* Whether it is one that its ring told of, or that it counted. */
bool watch_has_socket(const struct watch *w, uint64_t inode);

/* Whether the process ended (or its ring is broken): asks the kernel. Stays true. */
bool watch_has_ended(struct watch *w);
/* Whether its ring is broken: the process may live, but nothing can be read of it any more. */
bool watch_is_broken(const struct watch *w);
/* The process replaced itself by exec: a newer ring of it was found. */
void watch_superseded(struct watch *w);
/* After the end and the last drain: ends what is open. */
void watch_finish(struct watch *w);
/* Then: the ring's file stays until the last export is done, its memory need not. */
void watch_discard(struct watch *w);

/* Fills a place of a batch. False without memory. */
bool watch_export(struct watch *w, struct export_process *to, bool last);

struct watch_stats {
	struct flow_stats flow;
	struct unseen_total unseen;
	uint64_t dropped_records, dropped_bytes, skipped, unwatched;
	uint64_t calls_started, calls_ended, calls_lost;
};
struct watch_stats watch_stats(struct watch *w);

#endif
