/*
 *   5 ;name=value CRLF     SIZE, SIZE_SPACE, EXTENSION
 *   hello CRLF             DATA, DATA_END
 *   0 CRLF                 SIZE, SIZE_LF
 *   Trailer: value CRLF    TRAILER, TRAILER_NAME, TRAILER_LINE
 *   CRLF                   TRAILER
 *
 * A bare LF ends a line where nobody can read it as anything else. Behind an extension somebody does:
 * readers that look for CR LF only (cpp-httplib as it is built) take it as a part of the extension and
 * what follows with it, so it is refused there. So is a bare CR in a trailer, as in a head, and a trailer
 * that is no field: it is the next message, of a sender that forgot the blank line.
 */
#include "agent/http/chunked.h"

#include "agent/base/hex.h"

#include "agent/http/token.h"

/* A size line longer than this, or trailers, carry no body's news (hyper stops at 16 KiB, too). */
#define CHUNKED_FRAMING_MAX 16384u
/* 16 hex digits would fit 64 bits; 15 leave room for arithmetic. Zeros before them say nothing. */
#define CHUNKED_SIZE_BITS 60

void chunked_init(struct chunked *c)
{
	*c = (struct chunked){.state = CHUNKED_SIZE};
}

/* The line of a chunk's size has ended. */
static void size_known(struct chunked *c)
{
	c->state = c->left ? CHUNKED_DATA : CHUNKED_TRAILER;
	c->has_digits = false;
	c->framing_bytes = 0;
}

/* What may stand behind the digits. */
static bool take_size_end(struct chunked *c, uint8_t byte)
{
	switch (byte) {
	case '\n':
		if (c->state != CHUNKED_SIZE)
			return false;
		size_known(c);
		return true;
	case '\r':
		c->state = CHUNKED_SIZE_LF;
		return true;
	case ';':
		c->state = CHUNKED_EXTENSION;
		return true;
	case ' ':
	case '\t':
		c->state = CHUNKED_SIZE_SPACE;
		return true;
	default:
		return false;
	}
}

static bool take_size(struct chunked *c, uint8_t byte)
{
	int digit = hex_digit(byte);
	if (digit < 0)
		return c->has_digits && take_size_end(c, byte);
	c->left = c->left << 4 | (unsigned)digit;
	c->has_digits = true;
	return c->left >> CHUNKED_SIZE_BITS == 0;
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

static enum chunked_step take_trailer(struct chunked *c, uint8_t byte)
{
	if (c->cr || byte == '\r' || byte == '\n') {
		int end = take_line_end(c, byte);
		return end > 0 ? CHUNKED_END : end < 0 ? CHUNKED_BAD : CHUNKED_MORE;
	}
	if (!is_token_byte(byte))
		return CHUNKED_BAD;
	c->state = CHUNKED_TRAILER_NAME;
	return CHUNKED_MORE;
}

static bool take_trailer_name(struct chunked *c, uint8_t byte)
{
	if (byte == ':')
		c->state = CHUNKED_TRAILER_LINE;
	return byte == ':' || is_token_byte(byte);
}

/* Whether a CR without its LF is in the next `text` bytes of a line, or ended the piece before them. */
static bool has_bare_cr(const struct chunked *c, struct span in, size_t text)
{
	return (c->cr && in.at[0] != '\n') || (text > 1 && memchr(in.at, '\r', text - 1));
}

/* Skips to behind a line's LF. `cr` says whether a CR was before it, or ends the piece. */
static bool skip_line(struct chunked *c, struct span *in)
{
	const uint8_t *lf = memchr(in->at, '\n', in->len);
	size_t n = lf ? (size_t)(lf - in->at) + 1 : in->len;
	if (n > CHUNKED_FRAMING_MAX - c->framing_bytes)
		return false;
	c->framing_bytes += (uint32_t)n;
	size_t text = lf ? n - 1 : n;
	if (c->state == CHUNKED_TRAILER_LINE && has_bare_cr(c, *in, text))
		return false;
	if (text)
		c->cr = in->at[text - 1] == '\r';
	span_skip(in, n);
	if (!lf)
		return true;
	bool crlf = c->cr;
	c->cr = false;
	if (c->state == CHUNKED_TRAILER_LINE)
		c->state = CHUNKED_TRAILER;
	else if (crlf)
		size_known(c);
	else
		return false;
	return true;
}

static enum chunked_step take_byte(struct chunked *c, uint8_t byte)
{
	int end;
	switch ((enum chunked_state)c->state) {
	case CHUNKED_SIZE:
		return take_size(c, byte) ? CHUNKED_MORE : CHUNKED_BAD;
	case CHUNKED_SIZE_SPACE:
		return take_size_end(c, byte) ? CHUNKED_MORE : CHUNKED_BAD;
	case CHUNKED_SIZE_LF:
		if (byte != '\n')
			return CHUNKED_BAD;
		size_known(c);
		return CHUNKED_MORE;
	case CHUNKED_DATA_END:
		end = take_line_end(c, byte);
		if (end > 0)
			c->state = CHUNKED_SIZE;
		return end < 0 ? CHUNKED_BAD : CHUNKED_MORE;
	case CHUNKED_TRAILER:
		return take_trailer(c, byte);
	case CHUNKED_TRAILER_NAME:
		return take_trailer_name(c, byte) ? CHUNKED_MORE : CHUNKED_BAD;
	case CHUNKED_EXTENSION:
	case CHUNKED_TRAILER_LINE:
	case CHUNKED_DATA: /* not taken by bytes */
		break;
	}
	return CHUNKED_BAD;
}

/* The line end behind a chunk's data, where it is whole and plain. */
static void take_plain_end(struct chunked *c, struct span *in)
{
	if (!span_starts(*in, "\r\n"))
		return;
	span_skip(in, 2);
	c->framing_bytes += 2;
	c->state = CHUNKED_SIZE;
}

static enum chunked_step take_data(struct chunked *c, struct span *in, struct span *piece)
{
	*piece = span_take(in, in->len < c->left ? in->len : (size_t)c->left);
	c->left -= piece->len;
	if (c->left)
		return CHUNKED_PIECE;
	c->state = CHUNKED_DATA_END;
	take_plain_end(c, in);
	return CHUNKED_PIECE;
}

/* What is between the data of two chunks, as it mostly is: whole and plain, CR LF 1a4 CR LF. What is cut
 * or otherwise is left to take_byte. */
static void take_plain(struct chunked *c, struct span *in)
{
	if (c->state == CHUNKED_DATA_END && !c->cr)
		take_plain_end(c, in);
	if (c->state != CHUNKED_SIZE || c->has_digits)
		return;
	uint64_t size = 0;
	size_t n = 0, most = in->len < CHUNKED_SIZE_BITS / 4 ? in->len : CHUNKED_SIZE_BITS / 4;
	for (int digit; n < most && (digit = hex_digit(in->at[n])) >= 0; n++)
		size = size << 4 | (unsigned)digit;
	if (!n || !span_starts(span_of(in->at + n, in->len - n), "\r\n"))
		return;
	span_skip(in, n + 2);
	c->left = size;
	size_known(c);
}

enum chunked_step chunked_next(struct chunked *c, struct span *in, struct span *piece)
{
	take_plain(c, in);
	while (in->len) {
		if (c->state == CHUNKED_DATA)
			return take_data(c, in, piece);
		if (c->state == CHUNKED_EXTENSION || c->state == CHUNKED_TRAILER_LINE) {
			if (!skip_line(c, in))
				return CHUNKED_BAD;
			continue;
		}
		enum chunked_step step = take_byte(c, span_take(in, 1).at[0]);
		if (step != CHUNKED_MORE)
			return step;
		if (++c->framing_bytes > CHUNKED_FRAMING_MAX)
			return CHUNKED_BAD;
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
