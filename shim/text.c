#include "shim/text.h"

#include "shim/copy.h"

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

void text_bytes(void *to, const void *from, size_t n)
{
	copy_bytes(to, from, n);
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
