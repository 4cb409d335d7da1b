/*
 * h2_heads.h - what h2.h tells of one direction, as a row of units; and what a list of fields, as another
 * reader has it, should be told as.
 *
 * A head's text: method, path, status, content-type, content-encoding, server, then the lines of the regular
 * fields, with a NUL between any two.
 */
#ifndef TESTS_ORACLES_HTTP_H2_HEADS_H
#define TESTS_ORACLES_HTTP_H2_HEADS_H

#include "tests/oracles/records.h"

#include "agent/base/limits.h"
#include "agent/http/h2.h"
#include "agent/http/token.h"

struct unit {
	enum h2_event_type type;
	uint32_t stream, error;
	uint32_t frame; /* of the direction: what told it; 0 where nobody counts them */
	size_t at, len; /* what it says, in the reading's text */
};

struct reading {
	struct text text;
	struct unit *units;
	size_t count, room;
	bool bad;
	uint32_t bad_frame;
};

static inline void put_part(struct text *t, struct span part)
{
	put(t, part.at, part.len);
	put_byte(t, 0);
}

static inline void put_status(struct text *t, unsigned status)
{
	char digits[16];
	int n = snprintf(digits, sizeof(digits), "%u", status);
	put_part(t, span_of(digits, (size_t)n));
}

static inline void put_head(struct text *t, const struct http_head *head)
{
	put_part(t, head->method_text);
	put_part(t, head->path);
	put_status(t, head->status);
	put_part(t, head->content_type);
	put_part(t, head->content_encoding);
	put_part(t, head->server);
	put_part(t, head->fields);
}

/* `says` is what the unit has to say; pieces of a body become one, as far as their frame is the same. */
static inline void add_unit(struct reading *r, struct unit unit, struct span says)
{
	struct unit *last = r->count ? &r->units[r->count - 1] : NULL;
	if (unit.type == H2_BODY && last && last->type == H2_BODY && last->stream == unit.stream &&
	    last->frame == unit.frame) {
		put(&r->text, says.at, says.len);
		last->len += says.len;
		return;
	}
	if (r->count == r->room) {
		r->room = r->room ? r->room * 2 : 64;
		r->units = realloc(r->units, r->room * sizeof(*r->units));
		if (!r->units)
			abort();
	}
	unit.at = r->text.len;
	unit.len = says.len;
	put(&r->text, says.at, says.len);
	r->units[r->count++] = unit;
}

static inline void add_event(struct reading *r, const struct h2_event *ev, uint32_t frame)
{
	static struct text head;
	struct span says = ev->type == H2_BODY ? ev->body : span_of(NULL, 0);
	if (ev->type == H2_HEAD) {
		head.len = 0;
		put_head(&head, &ev->head);
		says = span_of(head.at, head.len);
	}
	add_unit(r, (struct unit){ev->type, ev->stream, ev->error, frame, 0, 0}, says);
}

/* Where the frames of a direction end, in bytes from its beginning; the last one may be cut. */
struct frame_ends {
	const size_t *at;
	uint32_t count;
};

/* The frame that has byte `last`. */
static inline uint32_t frame_with(const struct frame_ends *ends, uint32_t from, size_t last)
{
	while (from < ends->count && ends->at[from] <= last)
		from++;
	return from;
}

/* In pieces: one, or as many as there are bytes, or random ones. */
static inline void read_ours(struct reading *r, struct chance *c, enum h2_side side,
			     struct span bytes, const struct frame_ends *ends)
{
	static const unsigned most[] = {1, 8, 100, 2000, 0};
	unsigned longest = PICK(c, most);
	struct h2 *h2 = h2_new(side);
	struct h2_event ev;
	const uint8_t *begin = bytes.at;
	uint32_t frame = 0;
	r->text.len = r->count = 0;
	r->bad = false;
	while (h2 && bytes.len && !r->bad) {
		size_t n = longest ? 1 + below(c, longest) : bytes.len;
		struct span piece = span_take(&bytes, n < bytes.len ? n : bytes.len);
		enum step step;
		do {
			step = h2_next(h2, &piece, 1, &ev);
			if (piece.at > begin)
				frame = frame_with(ends, frame, (size_t)(piece.at - begin) - 1);
			if (step == STEP_EVENT)
				add_event(r, &ev, frame);
		} while (step == STEP_EVENT);
		r->bad = step == STEP_BAD;
		r->bad_frame = frame;
		if (step == STEP_MORE && piece.len)
			abort();
	}
	if (!h2)
		abort();
	h2_free(h2);
}

/* ---- what should be told ---------------------------------------------------------------------------- */

enum should { SHOULD_TELL, SHOULD_NOT, SHOULD_NOT_AS_IT_IS_HUGE };

struct should_head {
	struct span method, path, type, coding, server;
	bool asks, says_path, regular; /* a method came, a path, a field that is none of these */
	unsigned status;
	size_t bytes; /* that h2_fields.h has to keep */
};

static inline bool is_dirty(struct span value)
{
	return value.len && (memchr(value.at, '\r', value.len) ||
			     memchr(value.at, '\n', value.len) || memchr(value.at, 0, value.len));
}

static inline void should_pseudo(struct should_head *h, struct span name, struct span value)
{
	const uint8_t *at = value.at;
	if (span_is(name, ":method") && !h->asks) {
		h->asks = true;
		h->method = value;
		h->bytes += 1 + value.len;
	} else if (span_is(name, ":path") && !h->says_path) {
		h->says_path = true;
		h->path = value;
		h->bytes += 1 + value.len;
	} else if (span_is(name, ":status") && !h->status && value.len == 3 && at[0] >= '1' &&
		   at[0] <= '9' && at[1] >= '0' && at[1] <= '9' && at[2] >= '0' && at[2] <= '9') {
		h->status = (at[0] - 48u) * 100 + (at[1] - 48u) * 10 + (at[2] - 48u);
	}
}

/* The first that says something. */
static inline void should_keep(struct span *kept, struct span name, const char *called,
			       struct span value)
{
	if (!kept->len && span_is_nocase(name, called))
		*kept = value;
}

static inline void should_field(struct should_head *h, struct span name, struct span value,
				struct text *lines)
{
	if (is_dirty(value))
		return;
	if (name.len && name.at[0] == ':') {
		if (!h->regular)
			should_pseudo(h, name, value);
		return;
	}
	h->bytes += !h->regular;
	h->regular = true;
	if (!is_token(name))
		return;
	should_keep(&h->type, name, "content-type", value);
	should_keep(&h->coding, name, "content-encoding", value);
	should_keep(&h->server, name, "server", value);
	put(lines, name.at, name.len);
	say(lines, ": ");
	put(lines, value.at, value.len);
	say(lines, "\r\n");
}

/* `lengths`: two u32 of each field. The head's text into *t. */
static inline enum should should_tell_of(uint32_t count, struct span lengths, struct span bytes,
					 struct text *t)
{
	static struct text lines;
	struct should_head h = {0};
	lines.len = t->len = 0;
	while (count--) {
		struct span name = span_take(&bytes, get_number(&lengths, 4));
		struct span value = span_take(&bytes, get_number(&lengths, 4));
		should_field(&h, name, value, &lines);
	}
	if (h.bytes + lines.len > LIMIT_HEAD_BYTES)
		return SHOULD_NOT_AS_IT_IS_HUGE;
	if (!h.asks && !h.status)
		return SHOULD_NOT;
	put_part(t, h.method);
	put_part(t, h.path);
	put_status(t, h.status);
	put_part(t, h.type);
	put_part(t, h.coding);
	put_part(t, h.server);
	put_part(t, span_of(lines.at, lines.len));
	return SHOULD_TELL;
}

/* `fields`: u32 count, then u32 lengths of names and values, then these. */
static inline enum should should_tell(struct span fields, struct text *t)
{
	uint32_t count = get_number(&fields, 4);
	if (fields.len / 8 < count)
		abort();
	struct span lengths = span_take(&fields, count * 8);
	return should_tell_of(count, lengths, fields, t);
}

#endif
