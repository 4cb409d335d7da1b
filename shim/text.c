#include "shim/text.h"

size_t text_len(const char *s)
{
	size_t n = 0;
	while (s[n]) {
		n++;
		__asm__("" : "+r"(n)); /* or gcc 12 makes this loop a call of strlen */
	}
	return n;
}

bool text_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

bool text_starts(const char *s, const char *prefix)
{
	while (*prefix) {
		if (*s++ != *prefix++)
			return false;
	}
	return true;
}

const char *text_basename(const char *path)
{
	const char *base = path;
	for (const char *p = path; *p; p++) {
		if (*p == '/')
			base = p + 1;
	}
	return base;
}

bool text_copy(char *to, size_t room, const char *from)
{
	to[0] = '\0';
	return text_append(to, room, from);
}

bool text_append(char *to, size_t room, const char *from)
{
	size_t at = text_len(to);
	while (*from && at + 1 < room)
		to[at++] = *from++;
	to[at] = '\0';
	return *from == '\0';
}

bool text_append_number(char *to, size_t room, uint64_t value)
{
	char digits[21];
	size_t at = sizeof(digits) - 1;
	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return text_append(to, room, digits + at);
}

bool text_number(const char *s, uint64_t *value, const char **end)
{
	uint64_t v = 0;
	size_t n = 0;
	while (s[n] >= '0' && s[n] <= '9') {
		if (n == 19) /* 10^19 - 1 fits, a 20th digit may not */
			return false;
		v = v * 10 + (uint64_t)(s[n] - '0');
		n++;
	}
	*value = v;
	*end = s + n;
	return n > 0;
}

static char text_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool text_glob(const char *pattern, size_t pattern_len, const char *s)
{
	const char *p = pattern, *end = pattern + pattern_len;
	const char *star = NULL, *star_s = NULL; /* where to go on when the run after a '*' fails */
	while (*s) {
		if (p < end && *p == '*') {
			star = ++p;
			star_s = s;
		} else if (p < end && (*p == '?' || text_lower(*p) == text_lower(*s))) {
			p++;
			s++;
		} else if (star) {
			p = star;
			s = ++star_s;
		} else {
			return false;
		}
	}
	while (p < end && *p == '*')
		p++;
	return p == end;
}

/* 16, 8, 4 and 2 bytes at any alignment: one register each. */
typedef uint8_t text_v16 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t text_v8 __attribute__((aligned(1), may_alias));
typedef uint32_t text_v4 __attribute__((aligned(1), may_alias));
typedef uint16_t text_v2 __attribute__((aligned(1), may_alias));

/* The first and the last bytes of a short run, which may overlap: no loop, no byte twice by itself. */
#define COPY_BOTH_ENDS(type)                                                                       \
	do {                                                                                       \
		type first = *(const type *)f, last = *(const type *)(f + n - sizeof(type));       \
		*(type *)t = first;                                                                \
		*(type *)(t + n - sizeof(type)) = last;                                            \
	} while (0)

static void copy_short(uint8_t *t, const uint8_t *f, size_t n)
{
	if (n >= 8)
		COPY_BOTH_ENDS(text_v8);
	else if (n >= 4)
		COPY_BOTH_ENDS(text_v4);
	else if (n >= 2)
		COPY_BOTH_ENDS(text_v2);
	else if (n)
		*t = *f;
}

void text_bytes(void *to, const void *from, size_t n)
{
	uint8_t *t = to;
	const uint8_t *f = from;
	if (n < 16) {
		copy_short(t, f, n);
		return;
	}
	text_v16 last = *(const text_v16 *)(f + n - 16);
	uint8_t *end = t + n - 16;
	for (; n > 64; n -= 64, t += 64, f += 64) {
		text_v16 a = *(const text_v16 *)f, b = *(const text_v16 *)(f + 16);
		text_v16 c = *(const text_v16 *)(f + 32), d = *(const text_v16 *)(f + 48);
		*(text_v16 *)t = a;
		*(text_v16 *)(t + 16) = b;
		*(text_v16 *)(t + 32) = c;
		*(text_v16 *)(t + 48) = d;
	}
	for (; n > 16; n -= 16, t += 16, f += 16)
		*(text_v16 *)t = *(const text_v16 *)f;
	*(text_v16 *)end = last;
}

#ifndef SHIM_UNIT_TEST
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int byte, size_t n);

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	text_bytes(to, from, n);
	return to;
}

void *memset(void *to, int byte, size_t n)
{
	for (volatile uint8_t *t = to; n; n--)
		*t++ = (uint8_t)byte;
	return to;
}
#endif
