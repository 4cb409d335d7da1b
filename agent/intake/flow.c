/*
 * A descriptor has one connection at a time; its generation tells it from its predecessors:
 *
 *   OPEN 7.3   ...   CLOSE 7.3            the usual life
 *   OPEN 7.4 while 7.3 is known           7.3's CLOSE was dropped: lost
 *   IN 7.5 while nothing is known         7.5's OPEN was dropped: opened here; where the offset is not
 *                                         0, it is joined in the middle
 *   IN 7.4 while 7.5 is known, or closed  a thread that came late: nobody's
 *
 * A record that begins past the expected offset tells the length of the gap before it; one that
 * begins before it contradicts itself, and its connection is not followed any further.
 */
#include "agent/intake/flow.h"

#include <stdlib.h>
#include <sys/socket.h>

/* A look that was under way when the connection ended, and a whole one. */
#define UNREAD_LOOKS 2

struct connection {
	uint32_t generation; /* the newest that was seen; 0 = none */
	bool open;
	bool counted; /* by kind, in the stats */
	/* Looks for which it is known still: it ended for us, cannot be read, and may be open. */
	uint8_t unread;
	void *conn;	      /* the sink's; NULL = not followed */
	uint64_t expected[2]; /* offset of the next byte, by direction */
	uint64_t inode;	      /* of its socket; 0 = nobody looked */
};

struct flow {
	struct flow_sink sink;
	struct connection *at; /* by descriptor */
	uint32_t room;
	bool goes_on;
	struct flow_stats stats;
};

struct flow *flow_new(const struct flow_sink *sink)
{
	struct flow *f = calloc(1, sizeof(*f));
	if (f)
		f->sink = *sink;
	return f;
}

void flow_free(struct flow *f)
{
	if (!f)
		return;
	flow_end(f, FLOW_LOST, 0);
	free(f->at);
	free(f);
}

void flow_goes_on(struct flow *f)
{
	f->goes_on = true;
}

static void end_connection(struct flow *f, struct connection *c, enum flow_end how,
			   uint64_t time_ns)
{
	if (!c->open)
		return;
	f->stats.live--;
	void *conn = c->conn;
	*c = (struct connection){.generation = c->generation};
	if (conn)
		f->sink.ended(conn, how, time_ns);
}

void flow_end(struct flow *f, enum flow_end how, uint64_t time_ns)
{
	for (uint32_t fd = 0; fd < f->room; fd++)
		end_connection(f, &f->at[fd], how, time_ns);
}

/* The place of a descriptor; NULL if it cannot be one, or without memory. */
static struct connection *place(struct flow *f, uint32_t fd)
{
	if (fd < f->room)
		return &f->at[fd];
	if (fd >= FLOW_FDS_MAX)
		return NULL;
	uint32_t room = f->room ? f->room : 64;
	while (room <= fd)
		room *= 2;
	struct connection *at = realloc(f->at, room * sizeof(*at));
	if (!at)
		return NULL;
	memset(at + f->room, 0, (room - f->room) * sizeof(*at));
	f->at = at;
	f->room = room;
	return &f->at[fd];
}

/* A connection that is seen for the first time, by whatever record of it came first. */
static void begin(struct flow *f, struct connection *c, const struct ring_record *rec)
{
	*c = (struct connection){
		.generation = rec->generation, .open = true, .conn = f->sink.opened(f->sink.user)};
	f->stats.opened++;
	f->stats.live++;
	/* It is the client who speaks first. */
	bool first = rec->type == WIRE_OPEN || (rec->type == WIRE_IN && !rec->offset);
	c->counted = f->goes_on && !first;
	if (rec->type == WIRE_OPEN || !rec->offset)
		return;
	/* Joined in the middle. */
	for (int d = 0; c->conn && d < 2; d++)
		f->sink.gap(c->conn, (enum flow_direction)d, FLOW_UNKNOWN, rec->time_ns);
	bool in = rec->type == WIRE_IN || rec->type == WIRE_EOF;
	c->expected[in ? FLOW_IN : FLOW_OUT] = rec->offset;
}

static void stop_following(struct flow *f, struct connection *c, uint64_t time_ns)
{
	void *conn = c->conn;
	c->conn = NULL;
	if (conn)
		f->sink.ended(conn, FLOW_LOST, time_ns);
}

/* Tells a gap before `offset`; false if the connection is not followed (any more). */
static bool reach(struct flow *f, struct connection *c, enum flow_direction d, uint64_t offset,
		  uint64_t time_ns)
{
	if (!c->conn)
		return false;
	if (offset < c->expected[d]) {
		stop_following(f, c, time_ns);
		return false;
	}
	if (offset > c->expected[d]) {
		f->stats.gaps++;
		f->sink.gap(c->conn, d, offset - c->expected[d], time_ns);
		c->expected[d] = offset;
	}
	return true;
}

static void take_bytes(struct flow *f, struct connection *c, const struct ring_record *rec)
{
	enum flow_direction d = rec->type == WIRE_IN ? FLOW_IN : FLOW_OUT;
	f->stats.bytes += rec->payload.len;
	if (!c->counted) {
		c->counted = true;
		if (rec->info & WIRE_TEXT_OF_TLS)
			f->stats.tls++;
		else
			f->stats.http++;
	}
	if (d == FLOW_OUT && (rec->info & WIRE_LOST_IN) && c->conn)
		f->sink.lost_in(c->conn);
	if (!reach(f, c, d, rec->offset, rec->time_ns) || !rec->payload.len)
		return;
	c->expected[d] += rec->payload.len;
	f->sink.bytes(c->conn, d, rec->payload, rec->time_ns);
}

/* It cannot be read: WIRE_OPAQUE. */
static void give_up(struct flow *f, struct connection *c, const struct ring_record *rec)
{
	if (!c->counted && rec->info == WIRE_OPAQUE_TLS)
		f->stats.encrypted++;
	else if (!c->counted && rec->info == WIRE_OPAQUE_HIDDEN)
		f->stats.hidden++;
	else if (!c->counted)
		f->stats.opaque++;
	end_connection(f, c, FLOW_LOST, rec->time_ns);
	c->unread = UNREAD_LOOKS;
}

/* The connection that a record is about, or NULL: it is nobody's. */
static struct connection *find(struct flow *f, const struct ring_record *rec)
{
	struct connection *c = place(f, rec->fd);
	if (!c || !rec->generation || rec->generation < c->generation)
		return NULL;
	if (rec->generation > c->generation) {
		end_connection(f, c, FLOW_LOST, rec->time_ns);
		*c = (struct connection){.generation = rec->generation};
		if (rec->type == WIRE_OPAQUE)
			give_up(f, c, rec);
		else if (rec->type != WIRE_CLOSE) /* else all of it was dropped but the end */
			begin(f, c, rec);
	}
	return c->open ? c : NULL;
}

void flow_record(struct flow *f, const struct ring_record *rec)
{
	struct connection *c = find(f, rec);
	f->stats.records++;
	if (!c)
		return;
	switch ((enum wire_type)rec->type) {
	case WIRE_IN:
	case WIRE_OUT:
		take_bytes(f, c, rec);
		break;
	case WIRE_EOF:
		if (reach(f, c, FLOW_IN, rec->offset, rec->time_ns))
			f->sink.eof(c->conn, rec->time_ns);
		break;
	case WIRE_SHUT:
		if (c->conn && rec->info != SHUT_RD)
			f->sink.shut(c->conn, rec->time_ns);
		break;
	case WIRE_FAIL:
		if (reach(f, c, FLOW_OUT, rec->offset, rec->time_ns))
			f->sink.failed(c->conn, rec->info, rec->time_ns);
		break;
	case WIRE_CLOSE:
		reach(f, c, FLOW_OUT, rec->offset, rec->time_ns);
		end_connection(f, c, FLOW_CLOSED, rec->time_ns);
		break;
	case WIRE_OPAQUE:
		give_up(f, c, rec);
		break;
	case WIRE_OPEN:
	case WIRE_PAD:
		break;
	}
}

void flow_check(struct flow *f, uint32_t lane, uint32_t lanes,
		bool (*is_open)(void *user, uint32_t fd), void *user, uint64_t time_ns)
{
	for (uint32_t fd = lane; fd < f->room; fd += lanes) {
		if (f->at[fd].open && !is_open(user, fd))
			end_connection(f, &f->at[fd], FLOW_LOST, time_ns);
	}
}

enum flow_knowledge flow_knows(struct flow *f, uint32_t fd, uint64_t inode)
{
	if (fd >= f->room)
		return FLOW_NOT_TOLD;
	struct connection *c = &f->at[fd];
	if (!c->open)
		return c->unread ? FLOW_UNREAD : FLOW_NOT_TOLD;
	if (!c->inode)
		c->inode = inode;
	return c->inode == inode ? FLOW_OPEN : FLOW_NOT_TOLD;
}

void flow_forget_unread(struct flow *f)
{
	for (uint32_t fd = 0; fd < f->room; fd++) {
		if (f->at[fd].unread)
			f->at[fd].unread--;
	}
}

struct flow_stats flow_stats(const struct flow *f)
{
	return f->stats;
}
