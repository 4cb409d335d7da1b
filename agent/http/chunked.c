/*
 *   5;name=value CRLF      SIZE, EXTENSION
 *   hello CRLF             DATA, DATA_END
 *   0 CRLF                 SIZE
 *   Trailer: value CRLF    TRAILER, TRAILER_LINE
 *   CRLF                   TRAILER
 */
#include "agent/http/chunked.h"

/* A line of framing (size with extensions, or a trailer) that is longer carries no body's news. */
#define CHUNKED_LINE_MAX 16384u
/* 16 hex digits would fit 64 bits; 15 leave room for arithmetic. */
#define CHUNKED_DIGITS_MAX 15

void chunked_init(struct chunked *c)
{
	*c = (struct chunked){.state = CHUNKED_SIZE};
}

static int hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The line of a chunk's size has ended. */
static void size_known(struct chunked *c)
{
	c->state = c->left ? CHUNKED_DATA : CHUNKED_TRAILER;
	c->digits = 0;
	c->framing_bytes = 0;
}

static bool take_size(struct chunked *c, uint8_t byte)
{
	int digit = hex(byte);
	if (digit >= 0) {
		c->left = c->left << 4 | (unsigned)digit;
		return ++c->digits <= CHUNKED_DIGITS_MAX;
	}
	if (!c->digits)
		return false;
	if (byte == '\n')
		size_known(c);
	else if (byte == ';' || byte == ' ' || byte == '\t' || byte == '\r')
		c->state = CHUNKED_EXTENSION;
	else
		return false;
	return true;
}

/* Skips to the end of a framing line; true when its LF was taken. */
static bool skip_line(struct chunked *c, struct span *in)
{
	const uint8_t *lf = memchr(in->at, '\n', in->len);
	size_t n = lf ? (size_t)(lf - in->at) + 1 : in->len;
	c->framing_bytes += n < CHUNKED_LINE_MAX ? (uint32_t)n : CHUNKED_LINE_MAX;
	span_skip(in, n);
	return lf != NULL;
}

/* CR LF or LF, a byte at a time. 1: complete, 0: not yet, -1: something else. */
static int take_line_end(struct chunked *c, uint8_t byte)
{
	if (byte == '\r' && !c->cr) {
		c->cr = true;
		return 0;
	}
	c->cr = false;
	return byte == '\n' ? 1 : -1;
}

static enum chunked_step take_trailer(struct chunked *c, struct span *in)
{
	if (c->cr || in->at[0] == '\r' || in->at[0] == '\n') {
		int end = take_line_end(c, in->at[0]);
		span_skip(in, 1);
		return end > 0 ? CHUNKED_END : end < 0 ? CHUNKED_BAD : CHUNKED_MORE;
	}
	c->state = CHUNKED_TRAILER_LINE;
	return CHUNKED_MORE;
}

/* One byte or one line of framing; MORE = go on. */
static enum chunked_step take_framing(struct chunked *c, struct span *in)
{
	int end;
	switch ((enum chunked_state)c->state) {
	case CHUNKED_SIZE:
		end = take_size(c, in->at[0]);
		span_skip(in, 1);
		return end ? CHUNKED_MORE : CHUNKED_BAD;
	case CHUNKED_EXTENSION:
		if (skip_line(c, in))
			size_known(c);
		break;
	case CHUNKED_DATA_END:
		end = take_line_end(c, in->at[0]);
		span_skip(in, 1);
		if (end > 0)
			c->state = CHUNKED_SIZE;
		return end < 0 ? CHUNKED_BAD : CHUNKED_MORE;
	case CHUNKED_TRAILER:
		return take_trailer(c, in);
	case CHUNKED_TRAILER_LINE:
		if (skip_line(c, in))
			c->state = CHUNKED_TRAILER;
		break;
	case CHUNKED_DATA:
		break;
	}
	return c->framing_bytes > CHUNKED_LINE_MAX ? CHUNKED_BAD : CHUNKED_MORE;
}

enum chunked_step chunked_next(struct chunked *c, struct span *in, struct span *piece)
{
	while (in->len) {
		if (c->state == CHUNKED_DATA) {
			*piece = span_take(in, in->len < c->left ? in->len : (size_t)c->left);
			c->left -= piece->len;
			if (!c->left)
				c->state = CHUNKED_DATA_END;
			return CHUNKED_PIECE;
		}
		enum chunked_step step = take_framing(c, in);
		if (step != CHUNKED_MORE)
			return step;
	}
	return CHUNKED_MORE;
}

bool chunked_gap(struct chunked *c, uint64_t bytes)
{
	if (c->state != CHUNKED_DATA || bytes > c->left)
		return false;
	c->left -= bytes;
	if (!c->left)
		c->state = CHUNKED_DATA_END;
	return true;
}
