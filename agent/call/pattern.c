/*
 * Without "{}" there is nothing to try: a "*" ends where its segment does. "{}" comes at most once, so
 * the cost is at most the path's length squared, and most patterns fail at the path's last byte.
 */
#include "agent/call/pattern.h"

static size_t segment_bytes(struct span text)
{
	const uint8_t *slash = text.len ? memchr(text.at, '/', text.len) : NULL;
	return slash ? (size_t)(slash - text.at) : text.len;
}

/* The whole of `path` by a pattern without "{}". */
static bool matches_plain(struct span pattern, struct span path)
{
	while (pattern.len) {
		if (pattern.at[0] == '*') {
			size_t n = segment_bytes(path);
			if (!n)
				return false;
			span_skip(&path, n);
		} else if (path.len && path.at[0] == pattern.at[0]) {
			span_skip(&path, 1);
		} else {
			return false;
		}
		span_skip(&pattern, 1);
	}
	return !path.len;
}

/* The whole of `path`. */
static bool matches(struct span pattern, struct span path, struct span *model)
{
	const uint8_t *hole = memchr(pattern.at, '{', pattern.len);
	*model = span_of(NULL, 0);
	if (!hole)
		return matches_plain(pattern, path);
	size_t before = (size_t)(hole - pattern.at);
	struct span tail = span_of(hole + 2, pattern.len - before - 2);
	if (path.len < before || memcmp(path.at, pattern.at, before) != 0)
		return false;
	span_skip(&path, before);
	for (size_t n = 1; n <= path.len; n++) {
		if (matches_plain(tail, span_of(path.at + n, path.len - n))) {
			*model = span_of(path.at, n);
			return true;
		}
	}
	return false;
}

/* Whether they end alike, up to the last wildcard: most patterns are told apart by this, at once. */
static bool ends_alike(struct span pattern, struct span path)
{
	for (size_t n = 1; n <= pattern.len; n++) {
		uint8_t c = pattern.at[pattern.len - n];
		if (c == '*' || c == '}' || c == '^')
			break;
		if (n > path.len || path.at[path.len - n] != c)
			return false;
	}
	return true;
}

bool pattern_matches(struct span pattern, struct span path, struct span *model)
{
	if (!path.len || !ends_alike(pattern, path))
		return false;
	if (span_starts(pattern, "^"))
		return matches(span_of(pattern.at + 1, pattern.len - 1), path, model);
	/* From the end: what is matched is the shortest end of the path. */
	for (size_t at = path.len; at; at--) {
		if (path.at[at - 1] == '/' &&
		    matches(pattern, span_of(path.at + at - 1, path.len - at + 1), model))
			return true;
	}
	return false;
}

bool pattern_is_plain(struct span pattern)
{
	bool says = false;
	if (span_starts(pattern, "^"))
		span_skip(&pattern, 1);
	if (!pattern.len)
		return false;
	while (pattern.len) {
		if (pattern.at[0] != '/')
			return false;
		span_skip(&pattern, 1);
		struct span segment = span_take(&pattern, segment_bytes(pattern));
		bool wild = span_is(segment, "*");
		for (size_t i = 0; i < segment.len && !wild; i++) {
			if (segment.at[i] <= ' ' || memchr("*?#{}", segment.at[i], 5))
				return false;
		}
		if (!segment.len)
			return false;
		says |= !wild;
	}
	return says;
}
