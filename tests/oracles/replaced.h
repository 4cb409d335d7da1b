/*
 * replaced.h - bytes as a decoder of UTF-8 reads them, in UTF-8: what is none becomes U+FFFD, one for each
 * longest start of a sequence (WHATWG Encoding 4.1.1, "UTF-8 decoder"; Unicode 3.9 table 3-7).
 */
#ifndef TESTS_ORACLES_REPLACED_H
#define TESTS_ORACLES_REPLACED_H

#include "agent/base/span.h"
#include "tests/oracles/chance.h"

/* Bytes behind a lead, and the range of the first of them; 0 for what leads nothing. */
static inline unsigned utf8_behind(uint8_t lead, uint8_t *low, uint8_t *high)
{
	*low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	*high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	return lead < 0xc2 || lead > 0xf4 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
}

/* How much of `s` a sequence or the start of one takes: at least 1. *whole: it is one. */
static inline size_t utf8_sequence(struct span s, bool *whole)
{
	uint8_t low, high;
	unsigned behind = utf8_behind(s.at[0], &low, &high);
	size_t n = 1;
	*whole = s.at[0] < 0x80;
	for (; n <= behind && n < s.len && s.at[n] >= low && s.at[n] <= high; n++) {
		low = 0x80;
		high = 0xbf;
	}
	*whole |= behind && n == behind + 1;
	return n;
}

static inline void put_replaced(struct text *t, struct span s)
{
	while (s.len) {
		size_t ascii = 0;
		bool whole;
		while (ascii < s.len && s.at[ascii] < 0x80)
			ascii++;
		put(t, s.at, ascii);
		span_skip(&s, ascii);
		if (!s.len)
			return;
		struct span sequence = span_take(&s, utf8_sequence(s, &whole));
		if (whole)
			put(t, sequence.at, sequence.len);
		else
			say(t, "\xef\xbf\xbd");
	}
}

/* Without the start of a sequence at the end that is not whole. */
static inline struct span without_started(struct span s)
{
	for (size_t back = 1; back <= 3 && back <= s.len; back++) {
		uint8_t low, high;
		bool whole;
		struct span end = span_of(s.at + s.len - back, back);
		if (utf8_behind(end.at[0], &low, &high) && utf8_sequence(end, &whole) == back &&
		    !whole)
			return span_of(s.at, s.len - back);
	}
	return s;
}

#endif
