#include "agent/base/utf8.h"

/*
 * The well-formed sequences, table 3-7 of the Unicode standard: only the second byte's range depends
 * on the first byte, and that is where overlong forms (E0, F0), surrogates (ED) and code points past
 * U+10FFFF (F4) are told apart.
 *
 *	00..7F
 *	C2..DF  80..BF
 *	E0      A0..BF  80..BF		E1..EC, EE..EF  80..BF  80..BF		ED  80..9F  80..BF
 *	F0      90..BF  80..BF x2	F1..F3          80..BF  80..BF x2	F4  80..8F  80..BF x2
 */

struct lead {
	size_t bytes; /* of the whole sequence; 0 = never begins one */
	uint8_t second_min, second_max;
};

static struct lead lead_of(uint8_t b)
{
	if (b < 0x80)
		return (struct lead){1, 0, 0};
	if (b < 0xc2)
		return (struct lead){0, 0, 0};
	if (b < 0xe0)
		return (struct lead){2, 0x80, 0xbf};
	if (b < 0xf0)
		return (struct lead){3, b == 0xe0 ? 0xa0 : 0x80, b == 0xed ? 0x9f : 0xbf};
	if (b < 0xf5)
		return (struct lead){4, b == 0xf0 ? 0x90 : 0x80, b == 0xf4 ? 0x8f : 0xbf};
	return (struct lead){0, 0, 0};
}

/*
 * Length of the character at the start of `s` (not empty), and whether it is well-formed. An
 * ill-formed one is as long as the part that could still have become a character, so that each such
 * part is replaced once (the Unicode standard's recommended practice).
 */
static size_t char_length(struct span s, bool *valid)
{
	struct lead lead = lead_of(s.at[0]);
	*valid = false;
	if (!lead.bytes)
		return 1;
	for (size_t i = 1; i < lead.bytes; i++) {
		uint8_t min = i == 1 ? lead.second_min : 0x80;
		uint8_t max = i == 1 ? lead.second_max : 0xbf;
		if (i == s.len || s.at[i] < min || s.at[i] > max)
			return i;
	}
	*valid = true;
	return lead.bytes;
}

/* Names are nearly always ASCII: eight bytes a step. */
static size_t ascii_prefix(struct span s)
{
	size_t n = 0;
	uint64_t word;
	for (; s.len - n >= sizeof(word); n += sizeof(word)) {
		memcpy(&word, s.at + n, sizeof(word));
		if (word & 0x8080808080808080u)
			break;
	}
	while (n < s.len && s.at[n] < 0x80)
		n++;
	return n;
}

bool utf8_valid(struct span s)
{
	for (;;) {
		span_skip(&s, ascii_prefix(s));
		if (!s.len)
			return true;
		bool valid;
		size_t n = char_length(s, &valid);
		if (!valid)
			return false;
		span_skip(&s, n);
	}
}

size_t utf8_copy(struct span s, char *to, size_t room)
{
	static const char replacement[3] = "\xef\xbf\xbd"; /* U+FFFD */
	size_t len = 0;
	for (;;) {
		size_t ascii = ascii_prefix(s), left = room - 1 - len;
		struct span plain = span_take(&s, ascii < left ? ascii : left);
		if (plain.len)
			memcpy(to + len, plain.at, plain.len);
		len += plain.len;
		if (!s.len || plain.len < ascii)
			break;
		bool valid;
		size_t n = char_length(s, &valid);
		const void *from = valid ? (const void *)s.at : replacement;
		size_t put = valid ? n : sizeof(replacement);
		if (put > room - 1 - len)
			break;
		memcpy(to + len, from, put);
		len += put;
		span_skip(&s, n);
	}
	to[len] = '\0';
	return len;
}
