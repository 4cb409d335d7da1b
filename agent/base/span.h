/*
 * span.h - borrowed bytes.
 *
 * A span points into memory that somebody else owns and dies at the next call on its source. It is
 * not NUL-terminated.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct span {
	const uint8_t *at;
	size_t len;
};

static inline struct span span_of(const void *at, size_t len)
{
	return (struct span){(const uint8_t *)at, len};
}

static inline struct span span_str(const char *text)
{
	return span_of(text, strlen(text));
}

/* Drops the first n bytes; n is at most s->len. */
static inline void span_skip(struct span *s, size_t n)
{
	s->at = n ? s->at + n : s->at; /* an empty span may have no address */
	s->len -= n;
}

/* The first n bytes, which are also dropped from *s; n is at most s->len. */
static inline struct span span_take(struct span *s, size_t n)
{
	struct span head = {s->at, n};
	span_skip(s, n);
	return head;
}

static inline bool span_is(struct span s, const char *text)
{
	size_t n = strlen(text);
	return s.len == n && (n == 0 || memcmp(s.at, text, n) == 0);
}

/* As span_is, ASCII case ignored. */
static inline bool span_is_nocase(struct span s, const char *text)
{
	size_t n = strlen(text);
	return s.len == n && (n == 0 || strncasecmp((const char *)s.at, text, n) == 0);
}

static inline bool span_starts(struct span s, const char *text)
{
	size_t n = strlen(text);
	return s.len >= n && (n == 0 || memcmp(s.at, text, n) == 0);
}

static inline bool span_ends(struct span s, const char *text)
{
	size_t n = strlen(text);
	return s.len >= n && (n == 0 || memcmp(s.at + s.len - n, text, n) == 0);
}

/* Copies at most room - 1 bytes and a NUL; room is at least 1. Returns false if it had to cut. */
static inline bool span_copy(struct span s, char *to, size_t room)
{
	size_t n = s.len < room - 1 ? s.len : room - 1;
	if (n)
		memcpy(to, s.at, n);
	to[n] = '\0';
	return n == s.len;
}

#endif
