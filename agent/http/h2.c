/*
 *   PREFACE (requests)                    once, 24 bytes
 *      v
 *   FRAME  9 bytes: length, type, flags, stream  <----------------------------------+
 *      v                                                                            |
 *   PREFIX  what stands before the payload: pad length (1), promised stream (4),    |
 *      v    priority (5); of GOAWAY and RST_STREAM all that is read (8, 4)          |
 *   PAYLOAD  DATA: told;  fields: given to HPACK;  others: skipped                  |
 *      v                                                                            |
 *   PADDING  skipped                                                                |
 *      v                                                                            |
 *   DONE  what the frame tells at its end: HEAD, then END; RESET; AWAY  ------------+
 *
 * A block of fields is a HEADERS or PUSH_PROMISE frame and CONTINUATIONs with nothing between them
 * (RFC 9113 6.10). Nothing of it is kept: HPACK takes it in the pieces in which it comes.
 */
#include "agent/http/h2.h"

#include "agent/base/limits.h"
#include "agent/http/h2_fields.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#define PREFACE_BYTES 24u
#define FRAME_BYTES   9u
#define STREAM_MASK   0x7fffffffu

/* RFC 9113 6 */
enum frame_type {
	FRAME_DATA = 0,
	FRAME_HEADERS = 1,
	FRAME_PRIORITY = 2,
	FRAME_RST_STREAM = 3,
	FRAME_SETTINGS = 4,
	FRAME_PUSH_PROMISE = 5,
	FRAME_PING = 6,
	FRAME_GOAWAY = 7,
	FRAME_WINDOW_UPDATE = 8,
	FRAME_CONTINUATION = 9,
};

enum frame_flag {
	FLAG_END_STREAM = 0x1,
	FLAG_ACK = 0x1, /* of SETTINGS */
	FLAG_END_HEADERS = 0x4,
	FLAG_PADDED = 0x8,
	FLAG_PRIORITY = 0x20,
};

enum h2_state {
	H2_IN_PREFACE,
	H2_IN_FRAME,
	H2_IN_PREFIX,
	H2_IN_PAYLOAD,
	H2_IN_PADDING,
	H2_DONE,
	H2_BAD
};

struct h2 {
	uint8_t side;  /* enum h2_side */
	uint8_t state; /* enum h2_state */
	uint8_t type;  /* of the present frame */
	uint8_t flags;
	uint8_t have;	/* bytes in `room` */
	uint8_t prefix; /* bytes to come before the payload */
	uint8_t padding;
	uint8_t room[PREFACE_BYTES]; /* of what must be whole to be read */
	uint32_t stream;	     /* of the present frame */
	uint32_t left;		     /* bytes of the payload to come */
	uint32_t block;	   /* stream whose field block goes on in the next frame; 0 = none */
	bool block_pushed; /* it came with PUSH_PROMISE */
	bool block_ends;   /* END_STREAM came with it */
	uint64_t frame_ns, block_ns;
	struct h2_fields fields;
	nghttp2_hd_inflater *hpack;
};

struct h2 *h2_new(enum h2_side side)
{
	struct h2 *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->side = (uint8_t)side;
	p->state = side == H2_REQUESTS ? H2_IN_PREFACE : H2_IN_FRAME;
	if (nghttp2_hd_inflate_new(&p->hpack) != 0 ||
	    nghttp2_hd_inflate_change_table_size(p->hpack, LIMIT_HPACK_TABLE_BYTES) != 0) {
		h2_free(p);
		return NULL;
	}
	return p;
}

void h2_free(struct h2 *p)
{
	if (!p)
		return;
	if (p->hpack)
		nghttp2_hd_inflate_del(p->hpack);
	h2_fields_release(&p->fields);
	free(p);
}

static enum step bad(struct h2 *p)
{
	p->state = H2_BAD;
	return STEP_BAD;
}

static uint32_t number(const uint8_t *at, unsigned bytes)
{
	uint32_t n = 0;
	while (bytes--)
		n = n << 8 | *at++;
	return n;
}

/* Collects `want` bytes of *in in room. False: they are not all there yet. */
static bool collect(struct h2 *p, struct span *in, unsigned want)
{
	size_t n = want - p->have < in->len ? want - p->have : in->len;
	if (n)
		memcpy(p->room + p->have, in->at, n);
	span_skip(in, n);
	p->have = (uint8_t)(p->have + n);
	if (p->have < want)
		return false;
	p->have = 0;
	return true;
}

/* ---- frames ------------------------------------------------------------------------------------- */

/* Bytes that stand before the payload (RFC 9113 6.1 to 6.8). */
static unsigned prefix_of(const struct h2 *p)
{
	unsigned padded = p->flags & FLAG_PADDED ? 1 : 0;
	switch (p->type) {
	case FRAME_DATA:
		return padded;
	case FRAME_HEADERS:
		return padded + (p->flags & FLAG_PRIORITY ? 5 : 0);
	case FRAME_PUSH_PROMISE:
		return padded + 4;
	case FRAME_RST_STREAM:
		return 4;
	case FRAME_GOAWAY:
		return 8;
	default:
		return 0;
	}
}

/*
 * Whether a frame may have its length, and a stream or none: else the connection is at its end (RFC 9113 6). Here
 * it says, too, that what is read as a frame is none.
 */
static bool is_possible(const struct h2 *p)
{
	switch (p->type) {
	case FRAME_DATA:
	case FRAME_HEADERS:
	case FRAME_PRIORITY:
	case FRAME_CONTINUATION:
		return p->stream != 0;
	case FRAME_RST_STREAM:
		return p->stream && p->left == 4;
	case FRAME_SETTINGS:
		return !p->stream && p->left % 6 == 0 && !(p->left && (p->flags & FLAG_ACK));
	case FRAME_PUSH_PROMISE: /* 8.4: no client sends one */
		return p->stream && p->side == H2_RESPONSES;
	case FRAME_PING:
		return !p->stream && p->left == 8;
	case FRAME_GOAWAY:
		return !p->stream;
	case FRAME_WINDOW_UPDATE:
		return p->left == 4;
	default:
		return true;
	}
}

static bool has_fields(const struct h2 *p)
{
	return p->type == FRAME_HEADERS || p->type == FRAME_PUSH_PROMISE ||
	       p->type == FRAME_CONTINUATION;
}

static bool begin_block(struct h2 *p)
{
	if (p->type == FRAME_CONTINUATION)
		return p->block == p->stream;
	p->block = p->stream;
	p->block_ns = p->frame_ns;
	p->block_pushed = p->type == FRAME_PUSH_PROMISE;
	p->block_ends = p->type == FRAME_HEADERS && (p->flags & FLAG_END_STREAM);
	h2_fields_begin(&p->fields);
	return true;
}

/* False: no frame can look like this here. */
static bool read_frame(struct h2 *p)
{
	p->left = number(p->room, 3);
	p->type = p->room[3];
	p->flags = p->room[4];
	p->stream = number(p->room + 5, 4) & STREAM_MASK;
	p->prefix = (uint8_t)prefix_of(p);
	p->padding = 0;
	p->state = p->prefix ? H2_IN_PREFIX : H2_IN_PAYLOAD;
	if (p->left < p->prefix || !is_possible(p))
		return false;
	if (p->block && p->type != FRAME_CONTINUATION)
		return false;
	return !has_fields(p) || begin_block(p);
}

/* False: the padding is longer than the frame, or the promised stream none of a server (RFC 9113 6.6). */
static bool read_prefix(struct h2 *p)
{
	p->left -= p->prefix;
	p->state = H2_IN_PAYLOAD;
	bool padded = p->flags & FLAG_PADDED;
	if (padded && (p->type == FRAME_DATA || has_fields(p)))
		p->padding = p->room[0];
	if (p->left < p->padding)
		return false;
	if (p->type == FRAME_PUSH_PROMISE) {
		uint32_t promised = number(p->room + padded, 4) & STREAM_MASK;
		if (!promised || promised % 2)
			return false;
	}
	p->left -= p->padding;
	return true;
}

/* ---- payloads ----------------------------------------------------------------------------------- */

/* False: it is no HPACK, or wants a table larger than we keep. */
static bool inflate(struct h2 *p, struct span piece, bool last)
{
	nghttp2_nv field;
	for (;;) {
		int flags = 0;
		ssize_t n =
			nghttp2_hd_inflate_hd2(p->hpack, &field, &flags, piece.at, piece.len, last);
		if (n < 0 || (size_t)n > piece.len)
			return false;
		span_skip(&piece, (size_t)n);
		if (flags & NGHTTP2_HD_INFLATE_EMIT)
			h2_fields_put(&p->fields, span_of(field.name, field.namelen),
				      span_of(field.value, field.valuelen));
		if (flags & NGHTTP2_HD_INFLATE_FINAL)
			return nghttp2_hd_inflate_end_headers(p->hpack) == 0;
		if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && !piece.len)
			return !last;
	}
}

static void leave_payload(struct h2 *p)
{
	p->state = p->padding ? H2_IN_PADDING : H2_DONE;
}

static enum step take_payload(struct h2 *p, struct span *in, struct h2_event *ev)
{
	if (p->left && !in->len)
		return STEP_MORE;
	struct span piece = span_take(in, p->left < in->len ? p->left : in->len);
	p->left -= (uint32_t)piece.len;
	if (!p->left)
		leave_payload(p);
	if (has_fields(p)) {
		if (!inflate(p, piece, !p->left && (p->flags & FLAG_END_HEADERS)))
			return bad(p);
	} else if (p->type == FRAME_DATA && piece.len) {
		*ev = (struct h2_event){.type = H2_BODY, .stream = p->stream, .body = piece};
		return STEP_EVENT;
	}
	return STEP_MORE;
}

static bool skip_padding(struct h2 *p, struct span *in)
{
	size_t n = p->padding < in->len ? p->padding : in->len;
	span_skip(in, n);
	p->padding = (uint8_t)(p->padding - n);
	if (!p->padding)
		p->state = H2_DONE;
	return !p->padding;
}

/* ---- the end of a frame ------------------------------------------------------------------------- */

/* A block is whole; END_STREAM, if it came with it, is told by the next call. */
static bool end_block(struct h2 *p, struct h2_event *ev)
{
	if (!(p->flags & FLAG_END_HEADERS)) {
		p->state = H2_IN_FRAME;
		return false;
	}
	*ev = (struct h2_event){.type = H2_HEAD, .stream = p->block, .began_ns = p->block_ns};
	bool told = !p->block_pushed && h2_fields_head(&p->fields, &ev->head);
	p->block = 0;
	/* Comes by here once more: as a frame of nothing but its END_STREAM. */
	p->type = FRAME_DATA;
	p->flags = p->block_ends ? FLAG_END_STREAM : 0;
	return told;
}

static bool end_frame(struct h2 *p, struct h2_event *ev)
{
	if (has_fields(p) && end_block(p, ev))
		return true;
	if (p->state != H2_DONE)
		return false;
	p->state = H2_IN_FRAME;
	*ev = (struct h2_event){.stream = p->stream};
	switch (p->type) {
	case FRAME_DATA:
		ev->type = H2_END;
		return p->flags & FLAG_END_STREAM;
	case FRAME_RST_STREAM:
		ev->type = H2_RESET;
		ev->error = number(p->room, 4);
		return true;
	case FRAME_GOAWAY:
		ev->type = H2_AWAY;
		ev->stream = number(p->room, 4) & STREAM_MASK;
		ev->error = number(p->room + 4, 4);
		return true;
	default:
		return false;
	}
}

enum step h2_next(struct h2 *p, struct span *in, uint64_t time_ns, struct h2_event *ev)
{
	for (;;) {
		switch ((enum h2_state)p->state) {
		case H2_IN_PREFACE:
			if (!collect(p, in, PREFACE_BYTES))
				return STEP_MORE;
			if (memcmp(p->room, H2_PREFACE, PREFACE_BYTES) != 0)
				return bad(p);
			p->state = H2_IN_FRAME;
			break;
		case H2_IN_FRAME:
			if (!p->have)
				p->frame_ns = time_ns;
			if (!collect(p, in, FRAME_BYTES))
				return STEP_MORE;
			if (!read_frame(p))
				return bad(p);
			break;
		case H2_IN_PREFIX:
			if (!collect(p, in, p->prefix))
				return STEP_MORE;
			if (!read_prefix(p))
				return bad(p);
			break;
		case H2_IN_PAYLOAD: {
			enum step step = take_payload(p, in, ev);
			if (step != STEP_MORE || p->state == H2_IN_PAYLOAD)
				return step;
			break;
		}
		case H2_IN_PADDING:
			if (!skip_padding(p, in))
				return STEP_MORE;
			break;
		case H2_DONE:
			if (end_frame(p, ev))
				return STEP_EVENT;
			break;
		case H2_BAD:
			return STEP_BAD;
		}
	}
}

bool h2_gap(struct h2 *p, uint64_t bytes, uint32_t *stream)
{
	bool in_data =
		p->type == FRAME_DATA && (p->state == H2_IN_PAYLOAD || p->state == H2_IN_PADDING);
	if (!in_data || bytes > (uint64_t)p->left + p->padding) {
		p->state = H2_BAD;
		return false;
	}
	*stream = p->stream;
	uint32_t of_payload = bytes < p->left ? (uint32_t)bytes : p->left;
	p->left -= of_payload;
	p->padding = (uint8_t)(p->padding - (bytes - of_payload));
	if (!p->left)
		leave_payload(p);
	return true;
}
