/*
 *            first byte            head whole            body by its length        last byte
 *   IDLE ----------------> HEAD ------------------> LENGTH | CHUNKED | UNTIL_CLOSE ---------> IDLE
 *     ^                     |                           |                                 (END)
 *     |                     | 101, 2xx to CONNECT       | a gap that cannot be bridged
 *     |                     v                           v
 *     |                  PASSED (HTTP_UPGRADE)        HUNT: pieces are dropped until one starts like a
 *     +-----------------------------------------------  message (HTTP_LOST was told if one had begun)
 *
 *   anything that cannot be HTTP: BAD, for good; what the hunt found is HUNT again (HTTP_LOST) until a
 *   second head has followed it
 */
#include "agent/http/h1.h"

#include "agent/base/limits.h"
#include "agent/http/head.h"
#include "agent/http/token.h"

#include <stdlib.h>

enum h1_state {
	H1_IDLE,
	H1_HEAD,
	H1_LENGTH,
	H1_CHUNKED,
	H1_UNTIL_CLOSE,
	H1_END,	   /* the message is complete; END is to be told */
	H1_PASSED, /* left HTTP */
	H1_LOST,   /* LOST is to be told */
	H1_HUNT,   /* for a piece that starts like a message */
	H1_BAD,
};

/* What the hunt found was a message when another one begins where it ends. */
#define HEADS_OF_PROOF 2

void h1_init(struct h1 *p, enum h1_side side)
{
	*p = (struct h1){.side = (uint8_t)side};
}

static void forget_head(struct h1 *p)
{
	if (p->head)
		buf_release(p->head);
	free(p->head);
	p->head = NULL;
	p->clear_head = false;
}

void h1_release(struct h1 *p)
{
	forget_head(p);
}

void h1_expect(struct h1 *p, enum http_method method)
{
	p->expected = (uint8_t)method;
	p->has_expected = true;
}

bool h1_idle(const struct h1 *p)
{
	return p->state == H1_IDLE || p->state == H1_HUNT;
}

bool h1_runs_to_the_end(const struct h1 *p)
{
	return p->state == H1_UNTIL_CLOSE;
}

static enum step tell(struct http_event *ev, enum http_event_type type)
{
	ev->type = type;
	return STEP_EVENT;
}

static enum step bad(struct h1 *p, struct span *in, struct http_event *ev)
{
	forget_head(p);
	if (!p->unproven) {
		p->state = H1_BAD;
		return STEP_BAD;
	}
	/* The hunt took text of a body for a message. The rest of the piece is that text. */
	span_skip(in, in->len);
	p->state = H1_HUNT;
	p->has_expected = false;
	return tell(ev, HTTP_LOST);
}

/* ---- between messages --------------------------------------------------------------------------- */

/*
 * RFC 9112 2.2: empty lines before a start line are skipped. What cannot start one (TLS, HTTP/2 of a
 * binding that the shim did not tell, a body longer than it said) is refused before anything is kept.
 */
static enum step begin(struct h1 *p, struct span *in, struct http_event *ev)
{
	while (in->len && (in->at[0] == '\r' || in->at[0] == '\n'))
		span_skip(in, 1);
	if (!in->len)
		return STEP_MORE;
	if (p->side == H1_REQUESTS ? !is_token_byte(in->at[0]) : in->at[0] != 'H')
		return bad(p, in, ev);
	p->state = H1_HEAD;
	p->interim = p->closes = false;
	return tell(ev, HTTP_BEGIN);
}

static enum step hunt(struct h1 *p, struct span *in, struct http_event *ev)
{
	if (p->side == H1_REQUESTS ? head_starts_request(*in) : head_starts_response(*in)) {
		p->state = H1_IDLE;
		p->unproven = HEADS_OF_PROOF;
		return begin(p, in, ev);
	}
	span_skip(in, in->len);
	return STEP_MORE;
}

/* ---- heads -------------------------------------------------------------------------------------- */

/* RFC 9112 6.3, items 1 and 2: what the request or the status says goes before the fields. */
static void apply_semantics(const struct h1 *p, struct head *h)
{
	unsigned status = h->fields.status;
	if (status < 200 || status == 204 || status == 304 ||
	    (p->has_expected && p->expected == HTTP_HEAD_METHOD))
		h->framing = HEAD_NO_BODY;
}

static bool leaves_http(const struct h1 *p, const struct head *h)
{
	if (h->fields.status == 101)
		return true;
	return p->has_expected && p->expected == HTTP_CONNECT && h->fields.status / 100 == 2;
}

static void enter_body(struct h1 *p, const struct head *h)
{
	switch (h->framing) {
	case HEAD_NO_BODY:
		p->state = H1_END;
		break;
	case HEAD_LENGTH:
		p->state = H1_LENGTH;
		p->left = h->length;
		break;
	case HEAD_CHUNKED:
		p->state = H1_CHUNKED;
		chunked_init(&p->chunked);
		break;
	case HEAD_UNTIL_CLOSE:
		p->state = H1_UNTIL_CLOSE;
		break;
	}
}

static enum step head_complete(struct h1 *p, struct span text, struct span *in,
			       struct http_event *ev)
{
	struct head h;
	bool ok =
		p->side == H1_REQUESTS ? head_read_request(text, &h) : head_read_response(text, &h);
	if (!ok)
		return bad(p, in, ev);
	if (p->unproven)
		p->unproven--;
	if (p->side == H1_RESPONSES) {
		if (leaves_http(p, &h)) {
			p->state = H1_PASSED;
			ev->head = h.fields;
			return tell(ev, HTTP_UPGRADE);
		}
		apply_semantics(p, &h);
		p->interim = h.fields.status < 200;
	}
	enter_body(p, &h);
	ev->head = h.fields;
	return tell(ev, HTTP_HEAD);
}

/* What `in` has of the head that the buffer has the beginning of; 0 if its end is not there. */
static size_t rest_of_head(struct span begun, struct span in)
{
	uint8_t seam[4]; /* LF | CR LF, LF | LF, LF CR | LF */
	size_t before = begun.len < 2 ? begun.len : 2, behind = in.len < 2 ? in.len : 2;
	memcpy(seam, begun.at + begun.len - before, before);
	memcpy(seam + before, in.at, behind);
	size_t end = head_find_end(span_of(seam, before + behind));
	return end ? end - before : head_find_end(in);
}

/* False without memory, or past the maximum. */
static bool gather(struct h1 *p, struct span part)
{
	if (!p->head) {
		p->head = calloc(1, sizeof(*p->head));
		if (!p->head)
			return false;
		buf_init(p->head, LIMIT_HEAD_BYTES);
	}
	return buf_put(p->head, part) == 0;
}

/* A head that comes in one piece is read where it lies; one that is cut is gathered first. */
static enum step take_head(struct h1 *p, struct span *in, struct http_event *ev)
{
	size_t before = p->head ? p->head->len : 0, room = LIMIT_HEAD_BYTES - before;
	size_t end = before ? rest_of_head(buf_span(p->head), *in) : head_find_end(*in);
	if (end > room || (!end && in->len >= room))
		return bad(p, in, ev);
	struct span part = span_take(in, end ? end : in->len);
	if (end && !before)
		return head_complete(p, part, in, ev);
	if (!gather(p, part))
		return bad(p, in, ev);
	if (!end)
		return STEP_MORE;
	p->clear_head = true;
	return head_complete(p, buf_span(p->head), in, ev);
}

/* ---- bodies ------------------------------------------------------------------------------------- */

static enum step take_length(struct h1 *p, struct span *in, struct http_event *ev)
{
	ev->body = span_take(in, in->len < p->left ? in->len : (size_t)p->left);
	p->left -= ev->body.len;
	if (!p->left)
		p->state = H1_END;
	return tell(ev, HTTP_BODY);
}

static enum step take_end(struct h1 *p, struct http_event *ev)
{
	ev->closes = p->closes;
	p->state = H1_IDLE;
	if (!p->interim)
		p->has_expected = false;
	return tell(ev, HTTP_END);
}

static enum step take_chunked(struct h1 *p, struct span *in, struct http_event *ev)
{
	switch (chunked_next(&p->chunked, in, &ev->body)) {
	case CHUNKED_PIECE:
		return tell(ev, HTTP_BODY);
	case CHUNKED_END:
		return take_end(p, ev);
	case CHUNKED_MORE:
		return STEP_MORE;
	case CHUNKED_BAD:
		break;
	}
	return bad(p, in, ev);
}

enum step h1_next(struct h1 *p, struct span *in, struct http_event *ev)
{
	if (p->clear_head)
		forget_head(p);
	if (p->state == H1_END)
		return take_end(p, ev);
	if (p->state == H1_LOST) {
		p->state = H1_HUNT;
		return tell(ev, HTTP_LOST);
	}
	if (p->state == H1_BAD)
		return STEP_BAD;
	if (!in->len)
		return STEP_MORE;
	switch ((enum h1_state)p->state) {
	case H1_IDLE:
		return begin(p, in, ev);
	case H1_HEAD:
		return take_head(p, in, ev);
	case H1_LENGTH:
		return take_length(p, in, ev);
	case H1_CHUNKED:
		return take_chunked(p, in, ev);
	case H1_UNTIL_CLOSE:
		ev->body = span_take(in, in->len);
		return tell(ev, HTTP_BODY);
	case H1_HUNT:
		return hunt(p, in, ev);
	default: /* PASSED */
		span_skip(in, in->len);
		return STEP_MORE;
	}
}

/* ---- loss and end ------------------------------------------------------------------------------- */

static bool bridge(struct h1 *p, uint64_t bytes)
{
	switch ((enum h1_state)p->state) {
	case H1_LENGTH:
		if (bytes > p->left)
			return false;
		p->left -= bytes;
		if (!p->left)
			p->state = H1_END;
		return true;
	case H1_CHUNKED:
		return chunked_gap(&p->chunked, bytes);
	case H1_UNTIL_CLOSE:
	case H1_PASSED:
	case H1_BAD:
		return true;
	default:
		return false;
	}
}

bool h1_gap(struct h1 *p, uint64_t bytes)
{
	if (!bytes || bridge(p, bytes))
		return true;
	forget_head(p);
	p->has_expected = false;
	p->state = p->state == H1_IDLE || p->state == H1_HUNT ? H1_HUNT : H1_LOST;
	return false;
}

bool h1_eof(struct h1 *p)
{
	if (p->state == H1_UNTIL_CLOSE) {
		p->state = H1_END;
		p->closes = true;
		return true;
	}
	return p->state == H1_IDLE || p->state == H1_END || p->state == H1_PASSED ||
	       p->state == H1_HUNT;
}
