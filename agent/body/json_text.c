/*
 * An escape and where in it the input can be cut:
 *
 *     \  n            BACKSLASH
 *     \  u  d  8  3  d  \  u  d  e  0  0
 *     BACKSLASH  HEX_4 .. HEX_1, then `surrogate` waits for the second half
 *
 * A surrogate that is not half of a pair is let pass and becomes U+FFFD: JavaScript writes such when
 * it cuts text between the halves, and servers read them differently.
 */
#include "agent/body/json_text.h"

#include "agent/base/hex.h"

enum json_escape { ESC_NONE, ESC_BACKSLASH, ESC_HEX_4, ESC_HEX_3, ESC_HEX_2, ESC_HEX_1 };

#define REPLACEMENT 0xfffdu

void json_text_begin(struct json_text *t, bool wanted)
{
	t->wanted = wanted;
	t->empty = true;
	t->cut = false;
	t->escape = ESC_NONE;
	t->surrogate = 0;
	t->len = 0;
}

/* What is cut once gets nothing more: text is a start of the whole, not a selection from it. */
static void keep(struct json_text *t, struct span s)
{
	if (!t->wanted || t->cut)
		return;
	size_t room = sizeof(t->at) - t->len;
	size_t n = s.len < room ? s.len : room;
	if (n)
		memcpy(t->at + t->len, s.at, n);
	t->len = (uint16_t)(t->len + n);
	t->cut = n < s.len;
}

/* A code point in UTF-8 (RFC 3629), whole or not at all. */
static void keep_code(struct json_text *t, uint32_t c)
{
	uint8_t b[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	if (n == 1) {
		b[0] = (uint8_t)c;
	} else {
		static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
		for (size_t i = n - 1; i; i--, c >>= 6)
			b[i] = (uint8_t)(0x80 | (c & 0x3f));
		b[0] = (uint8_t)(lead[n] | c);
	}
	if (n > sizeof(t->at) - t->len)
		t->cut = true;
	else
		keep(t, span_of(b, n));
}

/* Something else follows a high surrogate than its low one. */
static void flush_surrogate(struct json_text *t)
{
	if (t->surrogate)
		keep_code(t, REPLACEMENT);
	t->surrogate = 0;
}

void json_text_put(struct json_text *t, struct span plain)
{
	if (!plain.len)
		return;
	t->empty = false;
	flush_surrogate(t);
	keep(t, plain);
}

/* \uXXXX is complete. */
static void take_code(struct json_text *t)
{
	uint32_t c = t->code;
	bool high = c >= 0xd800 && c < 0xdc00, low = c >= 0xdc00 && c < 0xe000;
	if (low && t->surrogate) {
		c = 0x10000 + ((t->surrogate - 0xd800u) << 10) + (c - 0xdc00);
		t->surrogate = 0;
		keep_code(t, c);
		return;
	}
	flush_surrogate(t);
	if (high)
		t->surrogate = t->code;
	else
		keep_code(t, low ? REPLACEMENT : c);
}

static bool take_letter(struct json_text *t, uint8_t c)
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	t->escape = ESC_NONE;
	if (c == 'u') {
		t->escape = ESC_HEX_4;
		t->code = 0;
		return true;
	}
	const char *at = c ? strchr(letters, c) : NULL;
	if (!at)
		return false;
	flush_surrogate(t);
	keep(t, span_of(&meanings[at - letters], 1));
	return true;
}

static bool take_digit(struct json_text *t, uint8_t c)
{
	int digit = hex_digit(c);
	if (digit < 0)
		return false;
	t->code = (uint16_t)(t->code << 4 | digit);
	if (t->escape != ESC_HEX_1) {
		t->escape++;
		return true;
	}
	t->escape = ESC_NONE;
	take_code(t);
	return true;
}

void json_text_backslash(struct json_text *t)
{
	t->empty = false;
	t->escape = ESC_BACKSLASH;
}

bool json_text_escape(struct json_text *t, struct span *in)
{
	bool ok = true;
	while (ok && t->escape && in->len) {
		uint8_t c = in->at[0];
		span_skip(in, 1);
		ok = t->escape == ESC_BACKSLASH ? take_letter(t, c) : take_digit(t, c);
	}
	return ok;
}

struct span json_text_end(struct json_text *t)
{
	flush_surrogate(t);
	return span_of(t->at, t->len);
}
