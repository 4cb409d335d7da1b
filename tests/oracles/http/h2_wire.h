/*
 * h2_wire.h - frames of HTTP/2 on their way: written, found, dressed as a sender may have sent them too, damaged.
 */
#ifndef TESTS_ORACLES_HTTP_H2_WIRE_H
#define TESTS_ORACLES_HTTP_H2_WIRE_H

#include "agent/base/span.h"
#include "tests/oracles/chance.h"

#define PREFACE_BYTES 24u
#define FRAME_BYTES   9u

enum {
	DATA = 0,
	HEADERS = 1,
	PRIORITY = 2,
	RST_STREAM = 3,
	SETTINGS = 4,
	PUSH_PROMISE = 5,
	PING = 6,
	GOAWAY = 7,
	WINDOW_UPDATE = 8,
	CONTINUATION = 9,
};
enum { END_STREAM = 1, END_HEADERS = 4, PADDED = 8, WITH_PRIORITY = 0x20 };

struct frame {
	unsigned type, flags;
	uint32_t stream;
	struct span payload;
};

static inline void put_frame_head(struct text *t, size_t len, const struct frame *f)
{
	const uint8_t head[FRAME_BYTES] = {
		(uint8_t)(len >> 16),	    (uint8_t)(len >> 8),       (uint8_t)len,
		(uint8_t)f->type,	    (uint8_t)f->flags,	       (uint8_t)(f->stream >> 24),
		(uint8_t)(f->stream >> 16), (uint8_t)(f->stream >> 8), (uint8_t)f->stream};
	put(t, head, sizeof(head));
}

static inline void put_frame(struct text *t, const struct frame *f)
{
	put_frame_head(t, f->payload.len, f);
	put(t, f->payload.at, f->payload.len);
}

/* With `pad` bytes of padding, if the frame's flags say that there are any. */
static inline void put_padded(struct text *t, const struct frame *f, unsigned pad)
{
	static const uint8_t zeros[256];
	if (!(f->flags & PADDED)) {
		put_frame(t, f);
		return;
	}
	put_frame_head(t, 1 + f->payload.len + pad, f);
	put_byte(t, pad);
	put(t, f->payload.at, f->payload.len);
	put(t, zeros, pad);
}

static inline uint32_t big_endian(const uint8_t *at, unsigned bytes)
{
	uint32_t n = 0;
	while (bytes--)
		n = n << 8 | *at++;
	return n;
}

/* False: none that is whole comes next. */
static inline bool next_frame(struct span *in, struct frame *f)
{
	size_t len = in->len < FRAME_BYTES ? 0 : big_endian(in->at, 3);
	if (in->len < FRAME_BYTES + len)
		return false;
	f->type = in->at[3];
	f->flags = in->at[4];
	f->stream = big_endian(in->at + 5, 4);
	span_skip(in, FRAME_BYTES);
	f->payload = span_take(in, len);
	return true;
}

/* ---- dressed ---------------------------------------------------------------------------------------- */

/* The block of a HEADERS or PUSH_PROMISE frame in a few CONTINUATIONs too, some of them empty. */
static inline void put_split(struct text *t, struct chance *c, const struct frame *f)
{
	struct span rest = f->payload;
	unsigned padded = f->flags & PADDED ? 1 : 0, last = f->flags & END_HEADERS;
	unsigned before = f->type == PUSH_PROMISE ? 4 : f->flags & WITH_PRIORITY ? 5 : 0;
	unsigned pad = padded ? rest.at[0] : 0, more = 1 + below(c, 4);
	span_skip(&rest, padded);
	rest.len -= pad;
	struct frame piece = *f;
	piece.flags &= ~(unsigned)END_HEADERS;
	piece.payload = span_take(&rest, before + below(c, (unsigned)(rest.len - before) + 1));
	put_padded(t, &piece, pad);
	piece = (struct frame){CONTINUATION, 0, f->stream, rest};
	while (--more) {
		piece.payload = span_take(&rest, below(c, (unsigned)rest.len + 1));
		put_frame(t, &piece);
	}
	piece.payload = rest;
	piece.flags = last;
	put_frame(t, &piece);
}

/* What its receiver is to ignore (RFC 9113 5.5); nowhere inside a block. */
static inline void put_unknown(struct text *t, struct chance *c, uint32_t stream)
{
	static const unsigned types[] = {0x0b, 0x16, 77, 255};
	static const uint8_t filling[40] = "neither one nor the other";
	put_frame(t, &(struct frame){PICK(c, types), below(c, 256), one_in(c, 2) ? stream : 0,
				     span_of(filling, below(c, sizeof(filling)))});
}

/* ---- damaged ---------------------------------------------------------------------------------------- */

static inline uint32_t other_stream(struct chance *c, uint32_t stream)
{
	const uint32_t others[] = {0,	       1,	   2,	       3,
				   stream + 1, stream + 2, stream - 2, (uint32_t)chance_next(c)};
	return PICK(c, others);
}

/* One bit or one byte of it, or a byte more or less; of short frames that is often the head. */
static inline void put_spoilt(struct text *t, struct chance *c, const struct frame *f)
{
	size_t from = t->len;
	put_frame(t, f);
	size_t most = one_in(c, 2) ? FRAME_BYTES : t->len - from;
	uint8_t *at = t->at + from + below(c, (unsigned)most);
	switch (below(c, 4)) {
	case 0:
		*at = (uint8_t)below(c, 256);
		break;
	case 1: /* a byte less */
		memmove(at, at + 1, (size_t)(t->at + t->len - at) - 1);
		t->len--;
		break;
	default:
		*at ^= (uint8_t)(1u << below(c, 8));
	}
}

/* Another frame behind it. */
static inline void put_made_up(struct text *t, struct chance *c, const struct frame *f)
{
	static const uint8_t filling[24] = {0, 0, 0, 1, 0, 0, 0, 3, 0x82, 0x87, 0x84, 0x41, 1, 'a'};
	static const uint8_t lengths[] = {
		[DATA] = 7, [HEADERS] = 0, [PRIORITY] = 5,	[RST_STREAM] = 4,
		[PING] = 8, [GOAWAY] = 8,  [WINDOW_UPDATE] = 4, [CONTINUATION] = 3};
	unsigned type = below(c, 11);
	size_t len = type < sizeof(lengths) && !one_in(c, 5) ? lengths[type] : below(c, 20);
	uint32_t stream = one_in(c, 2) ? f->stream : other_stream(c, f->stream);
	unsigned from = below(c, 4);
	put_frame(t, &(struct frame){type, one_in(c, 2) ? below(c, 256) : 0, stream,
				     span_of(filling + from, len)});
}

/* A frame that is not sent, or sent twice, or not as it was. */
static inline void put_damaged(struct text *t, struct chance *c, struct frame f)
{
	static const uint8_t tail[8] = {0x88, 0, 0x82, 0xff, 0x40, 1, 'a', 0};
	switch (below(c, 9)) {
	case 0:
		return;
	case 1:
		put_frame(t, &f);
		break;
	case 2:
		f.flags ^= 1u << below(c, 8);
		break;
	case 3:
		f.stream = other_stream(c, f.stream);
		break;
	case 4:
		f.type = below(c, 12);
		break;
	case 5:
		f.payload.len = below(c, (unsigned)f.payload.len + 1);
		break;
	case 6:
		put_frame_head(t, f.payload.len + 3, &f);
		put(t, f.payload.at, f.payload.len);
		put(t, tail + below(c, 5), 3);
		return;
	case 7:
		put_frame(t, &f);
		put_made_up(t, c, &f);
		return;
	default:
		put_spoilt(t, c, &f);
		return;
	}
	put_frame(t, &f);
}

#endif
