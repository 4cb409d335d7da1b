/*
 * States are named for what comes next:
 *
 *   START  the first bytes: a byte order mark may be there
 *   FIELD  at the start of a line, or in its field name (kept in `field`, as far as it may matter)
 *   SPACE  behind the colon: one space belongs to it
 *   DATA   in the value of a data line: its bytes are handed on
 *   NAME   in the value of an event line: its bytes are kept
 *   SKIP   in a line of no interest, to its end
 *
 * A CR ends a line at once; a LF right behind it belongs to it (AFTER_CR). The LF that joins two data
 * lines is handed on when the second line begins, since the last line of an event gets none.
 */
#include "agent/body/sse.h"

#include "agent/body/sse_scan.h"

enum sse_state {
	SSE_START,
	SSE_FIELD,
	SSE_SPACE_DATA,
	SSE_SPACE_NAME,
	SSE_IN_DATA,
	SSE_IN_NAME,
	SSE_SKIP
};

enum sse_flag {
	AFTER_CR = 1, /* the last byte was a CR: a LF now is part of its line end */
	HAS_DATA = 2, /* the event has a data line */
	COMMENT = 4,  /* the line that is skipped is a comment */
	JOIN = 8,     /* a LF is due before the data of this line */
};

_Static_assert(sizeof(struct sse) <= 32, "a live stream pays for this");

static const char bom[3] = "\xef\xbb\xbf";

void sse_init(struct sse *p)
{
	*p = (struct sse){.state = SSE_START};
}

/* Takes the line end at the front of the input. */
static void take_line_end(struct sse *p, struct span *in)
{
	if (in->at[0] == '\r')
		p->flags |= AFTER_CR;
	span_skip(in, 1);
	p->field_len = 0;
	p->state = SSE_FIELD;
}

/* A blank line: the event is complete. */
static bool dispatch(struct sse *p, struct sse_event *ev)
{
	bool any = (p->flags & HAS_DATA) || p->name_len;
	*ev = (struct sse_event){.type = SSE_END, .name = span_of(p->name, p->name_len)};
	p->flags &= (uint8_t) ~(HAS_DATA | JOIN);
	p->name_len = 0; /* `name` keeps its bytes until the next line is read */
	return any;
}

static void begin_data(struct sse *p)
{
	if (p->flags & HAS_DATA)
		p->flags |= JOIN;
	p->flags |= HAS_DATA;
}

/* A field name is complete, by a colon or by the end of its line; an empty one by a colon only. */
static void field_known(struct sse *p)
{
	struct span field = span_of(p->field, p->field_len);
	if (p->field_len == 0) {
		p->flags |= COMMENT;
		p->state = SSE_SKIP;
	} else if (span_is(field, "data")) {
		begin_data(p);
		p->state = SSE_SPACE_DATA;
	} else if (span_is(field, "event")) {
		p->name_len = 0;
		p->state = SSE_SPACE_NAME;
	} else {
		p->state = SSE_SKIP;
	}
}

/* One byte of a field name. */
static void take_field_byte(struct sse *p, struct span *in)
{
	uint8_t c = in->at[0];
	if (c == ':') {
		span_skip(in, 1);
		field_known(p);
	} else {
		if (p->field_len < sizeof(p->field))
			p->field[p->field_len++] = (char)c;
		span_skip(in, 1);
		if (p->field_len == sizeof(p->field)) /* longer than any that matters */
			p->state = SSE_SKIP;
	}
}

static bool give(struct sse_event *ev, struct span data)
{
	*ev = (struct sse_event){.type = SSE_DATA, .data = data};
	return true;
}

static bool in_data(struct sse *p, struct span *in, struct sse_event *ev)
{
	if (p->flags & JOIN) {
		p->flags &= (uint8_t)~JOIN;
		return give(ev, span_of("\n", 1));
	}
	size_t n = sse_line_bytes(*in);
	if (n)
		return give(ev, span_take(in, n));
	take_line_end(p, in);
	return false;
}

static void in_name(struct sse *p, struct span *in)
{
	size_t n = sse_line_bytes(*in), room = sizeof(p->name) - p->name_len;
	size_t keep = n < room ? n : room;
	memcpy(p->name + p->name_len, in->at, keep);
	p->name_len = (uint8_t)(p->name_len + keep);
	span_skip(in, n);
	if (in->len)
		take_line_end(p, in);
}

static bool in_skipped(struct sse *p, struct span *in, struct sse_event *ev)
{
	span_skip(in, sse_line_bytes(*in));
	if (!in->len)
		return false;
	take_line_end(p, in);
	bool comment = p->flags & COMMENT;
	p->flags &= (uint8_t)~COMMENT;
	if (comment)
		*ev = (struct sse_event){.type = SSE_COMMENT};
	return comment;
}

/* At the start of a line: what nearly all begin with. */
static inline bool take_data_name(struct sse *p, struct span *in)
{
	if (p->field_len || in->len <= 5 || memcmp(in->at, "data:", 5) != 0)
		return false;
	begin_data(p);
	span_skip(in, in->at[5] == ' ' ? 6 : 5);
	p->state = SSE_IN_DATA;
	return true;
}

/* At the start of a line or in its field name. */
static bool in_field(struct sse *p, struct span *in, struct sse_event *ev)
{
	if (take_data_name(p, in))
		return false;
	if (!sse_is_line_end(in->at[0])) {
		take_field_byte(p, in);
		return false;
	}
	if (p->field_len == 0) {
		take_line_end(p, in);
		return dispatch(p, ev);
	}
	field_known(p); /* a line without a colon: the value is empty */
	p->state = p->state == SSE_SPACE_DATA	? SSE_IN_DATA
		   : p->state == SSE_SPACE_NAME ? SSE_IN_NAME
						: SSE_SKIP;
	return false;
}

/* The three bytes of a mark at the very start, which may come one by one. `field_len` counts them. */
static void at_start(struct sse *p, struct span *in)
{
	while (in->len && p->field_len < sizeof(bom) && in->at[0] == (uint8_t)bom[p->field_len]) {
		p->field[p->field_len++] = (char)in->at[0];
		span_skip(in, 1);
	}
	if (p->field_len == sizeof(bom))
		p->field_len = 0;
	else if (!in->len)
		return;
	p->state = SSE_FIELD; /* what there was of a mark is the start of some odd field name */
}

static bool take(struct sse *p, struct span *in, struct sse_event *ev)
{
	switch ((enum sse_state)p->state) {
	case SSE_START:
		at_start(p, in);
		return false;
	case SSE_FIELD:
		return in_field(p, in, ev);
	case SSE_SPACE_DATA:
	case SSE_SPACE_NAME:
		if (in->at[0] == ' ')
			span_skip(in, 1);
		p->state = p->state == SSE_SPACE_DATA ? SSE_IN_DATA : SSE_IN_NAME;
		return false;
	case SSE_IN_DATA:
		return in_data(p, in, ev);
	case SSE_IN_NAME:
		in_name(p, in);
		return false;
	case SSE_SKIP:
		return in_skipped(p, in, ev);
	}
	return false;
}

/* The LF of a CR that ended a line, if it is there. */
static void take_second_end(struct sse *p, struct span *in)
{
	p->flags &= (uint8_t)~AFTER_CR;
	if (in->at[0] == '\n')
		span_skip(in, 1);
}

enum step sse_next(struct sse *p, struct span *in, struct sse_event *ev)
{
	while (in->len) {
		if (p->flags & AFTER_CR)
			take_second_end(p, in);
		else if (take(p, in, ev))
			return STEP_EVENT;
	}
	return STEP_MORE;
}

bool sse_value(struct sse *p, struct span *in)
{
	if (in->len && p->flags & AFTER_CR)
		take_second_end(p, in);
	return p->state == SSE_FIELD && take_data_name(p, in) && !(p->flags & JOIN);
}

bool sse_ends(struct sse *p, struct span *in)
{
	if (p->state != SSE_IN_DATA || p->name_len || !span_starts(*in, "\n\n"))
		return false;
	span_skip(in, 2);
	p->field_len = 0;
	p->state = SSE_FIELD;
	p->flags &= (uint8_t) ~(HAS_DATA | JOIN);
	return true;
}

bool sse_eof(const struct sse *p)
{
	return (p->flags & HAS_DATA) || p->name_len;
}
