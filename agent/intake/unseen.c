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

enum state { NEW, OPEN, TOLD, OTHER, WAITS, COUNTED };

struct socket {
	uint64_t inode;
	enum state state;
};

struct unseen {
	struct socket *last; /* of the last look, by inode */
	size_t count;
	struct unseen_total total;
};

struct unseen *unseen_new(void)
{
	return calloc(1, sizeof(struct unseen));
}

void unseen_free(struct unseen *u)
{
	if (!u)
		return;
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

struct look {
	struct sockets found;
	struct socket *now; /* room for all of them */
	size_t count;
	uint64_t found_open; /* connections of the flow whose sockets are known */
};

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

/* The states after this look, but for what has to be asked or counted. */
static void take_states(struct look *l, const struct unseen *u, const struct unseen_known *known)
{
	const struct sockets_entry *e = l->found.at, *end = e + l->found.count;
	while (e < end) {
		uint64_t inode = e->inode;
		enum flow_knowledge flow = FLOW_NOT_TOLD;
		bool watchable = false;
		for (; e < end && e->inode == inode; e++) {
			enum flow_knowledge k = flow_knows(known->flow, e->fd, inode);
			if (flow != FLOW_OPEN && k != FLOW_NOT_TOLD)
				flow = k;
			watchable |= e->fd < FLOW_FDS_MAX; /* else it is counted as unwatched */
		}
		enum state state = watchable ? next_state(u, known, inode, flow) : OTHER;
		l->found_open += state == OPEN;
		l->now[l->count++] = (struct socket){inode, state};
	}
}

/* What is new: inbound connections wait, all else is of no interest. */
static int sort_out_new(struct look *l, const struct process *p)
{
	size_t n = 0;
	for (size_t i = 0; i < l->count; i++)
		n += l->now[i].state == NEW;
	if (!n)
		return 0;
	uint64_t *inodes = calloc(n, sizeof(*inodes));
	bool *inbound = calloc(n, sizeof(*inbound));
	int err = -ENOMEM;
	if (inodes && inbound) {
		size_t k = 0;
		for (size_t i = 0; i < l->count; i++) {
			if (l->now[i].state == NEW)
				inodes[k++] = l->now[i].inode;
		}
		err = sockets_find_inbound(&l->found, p->pid, inodes, n, inbound);
	}
	for (size_t i = 0, k = 0; !err && i < l->count; i++) {
		if (l->now[i].state == NEW)
			l->now[i].state = inbound[k++] ? WAITS : OTHER;
	}
	free(inodes);
	free(inbound);
	return err;
}

static void count(struct look *l, struct unseen *u, uint64_t live)
{
	uint64_t elsewhere = live > l->found_open ? live - l->found_open : 0;
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

int unseen_look(struct unseen *u, const struct process *p, const struct unseen_known *known)
{
	struct look l = {0};
	int err = sockets_read(&l.found, p->pid);
	if (!err && l.found.count && !(l.now = calloc(l.found.count, sizeof(*l.now))))
		err = -ENOMEM;
	if (!err) {
		take_states(&l, u, known);
		err = sort_out_new(&l, p);
	}
	/* Only now is it certain that all this was read of that process. */
	if (!err && !liveness_of(p))
		err = -ESRCH;
	if (!err) {
		count(&l, u, flow_stats(known->flow).live);
		free(u->last);
		u->last = l.now;
		u->count = l.count;
		l.now = NULL;
	}
	free(l.now);
	sockets_release(&l.found);
	return err;
}
