/*
 * sse_scan.h - how far a line goes: inside the SSE parser only.
 *
 * Two calls of memchr, one for each line end, in a window: over the rest of the input the first would read
 * it again at every line of a stream that uses only the other one.
 */
#ifndef BODY_SSE_SCAN_H
#define BODY_SSE_SCAN_H

#include "agent/base/span.h"

/* What is searched at once: most lines, and not so much that it costs to search it again at every line. */
#define SSE_WINDOW 1024u

static inline bool sse_is_line_end(uint8_t c)
{
	return c == '\r' || c == '\n';
}

/* Bytes before the first CR or LF; the length of `in` if there is none. */
static inline size_t sse_line_bytes(struct span in)
{
	if (in.len && sse_is_line_end(in.at[0]))
		return 0;
	for (size_t at = 0, n; at < in.len; at += n) {
		n = in.len - at < SSE_WINDOW ? in.len - at : SSE_WINDOW;
		const uint8_t *lf = memchr(in.at + at, '\n', n);
		const uint8_t *cr = memchr(in.at + at, '\r', lf ? (size_t)(lf - in.at) - at : n);
		if (cr || lf)
			return (size_t)((cr ? cr : lf) - in.at);
	}
	return in.len;
}

#endif
