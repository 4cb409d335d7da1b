/*
 * Each socket of the process has a state, from look to look:
 *
 *	           the ring told of its descriptor
 *	  (new) ------------------------------------> TOLD
 *	    |                                          ^
 *	    |  inbound, and not told of                |  its record came, or
 *	    +------------------> WAITS ----------------+  another process was told
 *	    |                      |
 *	    |  anything else       |  still not told of at the next look
 *	    v                      v
 *	  OTHER                 COUNTED
 *
 * A socket is known by its inode, which no other has while it lives; a descriptor is used again. An
 * accepted socket is established from its first moment on, so what is OTHER stays it. The tables of the
 * network namespace, which may be long, are read only when a new socket is not told of.
 *
 * TOLD is called OPEN while the connection is. A duplicate of a told descriptor may outlive it before
 * any look: as many of those that wait as there are open connections whose sockets are not known may
 * be such duplicates, and are not counted.
 */
#include "agent/intake/unseen.h"

#include "agent/intake/liveness.h"
#include "agent/intake/sockets.h"

#include <errno.h>
#include <stdlib.h>

#define ASKED 0x100u /* in a socket's note, beside what the flow knew */

enum state { NEW, OPEN, TOLD, OTHER, WAITS, COUNTED };

struct socket {
	uint64_t inode;
	enum state state;
};

/* A look that is under way: descriptors are read, then, where it is needed, the kernel's tables. */
struct look {
	bool open;
	struct sockets found;
	struct socket *now; /* room for all of them; NULL: descriptors are still read */
	size_t count;
	uint64_t *fresh; /* those of them that are new */
	struct inbound *inbound;
};

struct unseen {
	struct socket *last; /* of the last look, by inode */
	size_t count;
	struct unseen_total total;
	struct look look;
};

struct unseen *unseen_new(void)
{
	return calloc(1, sizeof(struct unseen));
}

static void end_look(struct unseen *u)
{
	inbound_free(u->look.inbound);
	free(u->look.fresh);
	free(u->look.now);
	sockets_release(&u->look.found);
	u->look = (struct look){0};
}

void unseen_free(struct unseen *u)
{
	if (!u)
		return;
	end_look(u);
	free(u->last);
	free(u);
}

static int compare(const void *a, const void *b)
{
	const struct socket *x = a, *y = b;
	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static enum state state_at_last_look(const struct unseen *u, uint64_t inode)
{
	const struct socket key = {.inode = inode};
	const struct socket *s =
		u->count ? bsearch(&key, u->last, u->count, sizeof(*u->last), compare) : NULL;
	return s ? s->state : NEW;
}

bool unseen_has(const struct unseen *u, uint64_t inode)
{
	enum state state = state_at_last_look(u, inode);
	return state == OPEN || state == TOLD || state == COUNTED;
}

struct unseen_total unseen_total(const struct unseen *u)
{
	return u->total;
}

/* ---- a look ------------------------------------------------------------------------------------- */

static enum state next_state(const struct unseen *u, const struct unseen_known *known,
			     uint64_t inode, enum flow_knowledge flow)
{
	enum state was = state_at_last_look(u, inode);
	if (flow != FLOW_NOT_TOLD)
		return flow == FLOW_OPEN ? OPEN : TOLD;
	if (was != NEW && was != WAITS)
		return was;
	if (!known->complete)
		return OTHER;
	return was == WAITS && known->elsewhere(known->user, inode) ? TOLD : was;
}

/* A connection is asked for while its descriptor is fresh: later on it may be another's. */
static int read_descriptors(struct look *l, const struct unseen_known *known)
{
	size_t before = l->found.count;
	/* The last piece comes sorted: those that were asked for keep their notes. */
	int more = sockets_read(&l->found);
	for (size_t i = more == 1 ? before : 0; more >= 0 && i < l->found.count; i++) {
		struct sockets_entry *e = &l->found.at[i];
		if (!e->note)
			e->note = ASKED | flow_knows(known->flow, e->fd, e->inode);
	}
	return more;
}

/* The states after this look, but for what has to be found out or counted. */
static void take_states(struct look *l, const struct unseen *u, const struct unseen_known *known)
{
	const struct sockets_entry *e = l->found.at, *end = e + l->found.count;
	while (e < end) {
		uint64_t inode = e->inode;
		enum flow_knowledge flow = FLOW_NOT_TOLD;
		bool watchable = false;
		for (; e < end && e->inode == inode; e++) {
			enum flow_knowledge k = (enum flow_knowledge)(e->note & ~ASKED);
			if (flow != FLOW_OPEN && k != FLOW_NOT_TOLD)
				flow = k;
			watchable |= e->fd < FLOW_FDS_MAX; /* else it is counted as unwatched */
		}
		enum state state = watchable ? next_state(u, known, inode, flow) : OTHER;
		l->now[l->count++] = (struct socket){inode, state};
	}
}

/* All descriptors are read. 1: tables have to be. */
static int begin_states(struct look *l, const struct unseen *u, const struct process *p,
			const struct unseen_known *known)
{
	size_t room = l->found.count, n = 0;
	l->now = calloc(room + 1, sizeof(*l->now));
	l->fresh = calloc(room + 1, sizeof(*l->fresh));
	if (!l->now || !l->fresh)
		return -ENOMEM;
	take_states(l, u, known);
	for (size_t i = 0; i < l->count; i++) {
		if (l->now[i].state == NEW)
			l->fresh[n++] = l->now[i].inode;
	}
	if (!n)
		return 0;
	l->inbound = inbound_new(&l->found, p->pid, l->fresh, n);
	return l->inbound ? 1 : -ENOMEM;
}

/* What is new: inbound connections wait, all else is of no interest. */
static void sort_out_new(struct look *l)
{
	for (size_t i = 0, k = 0; i < l->count; i++) {
		if (l->now[i].state == NEW)
			l->now[i].state = inbound_is(l->inbound, k++) ? WAITS : OTHER;
	}
}

static uint64_t count_open(const struct look *l)
{
	uint64_t n = 0;
	for (size_t i = 0; i < l->count; i++)
		n += l->now[i].state == OPEN;
	return n;
}

static void count(struct look *l, struct unseen *u, uint64_t live)
{
	uint64_t open = count_open(l), elsewhere = live > open ? live - open : 0;
	for (size_t i = 0; i < l->count; i++) {
		if (l->now[i].state != WAITS || state_at_last_look(u, l->now[i].inode) != WAITS)
			continue;
		if (elsewhere) {
			elsewhere--;
			continue;
		}
		l->now[i].state = COUNTED;
		if (l->found.has_io_uring)
			u->total.io_uring++;
		else
			u->total.not_seen++;
	}
}

static int next_piece(struct unseen *u, const struct process *p, const struct unseen_known *known)
{
	struct look *l = &u->look;
	int more;
	if (!l->open) {
		more = sockets_open(&l->found, p->pid);
		l->open = more == 0;
		return l->open ? 1 : more;
	}
	if (l->inbound)
		return inbound_read(l->inbound);
	more = read_descriptors(l, known);
	return more ? more : begin_states(l, u, p, known);
}

int unseen_look(struct unseen *u, const struct process *p, const struct unseen_known *known)
{
	struct look *l = &u->look;
	int more = next_piece(u, p, known);
	if (more == 1)
		return 1;
	/* Only now is it certain that all this was read of that process. */
	if (!more && !liveness_of(p))
		more = -ESRCH;
	if (!more) {
		if (l->inbound)
			sort_out_new(l);
		count(l, u, flow_stats(known->flow).live);
		free(u->last);
		u->last = l->now;
		u->count = l->count;
		l->now = NULL;
	}
	end_look(u);
	return more;
}
