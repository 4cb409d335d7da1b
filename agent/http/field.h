/*
 * field.h - the value of a field: which bytes it may have, and the list that it may be (RFC 9110 5.5, 5.6.1).
 */
#ifndef HTTP_FIELD_H
#define HTTP_FIELD_H

#include "agent/base/span.h"

/* Without CR, LF and NUL, which RFC 9110 5.5 names dangerous. */
static inline bool field_is_clean(struct span value)
{
	return !value.len ||
	       (!memchr(value.at, '\r', value.len) && !memchr(value.at, '\n', value.len) &&
		!memchr(value.at, 0, value.len));
}

static inline bool field_is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static inline bool field_is_line_end(uint8_t c)
{
	return c == '\r' || c == '\n';
}

/* Without the white space around it; line ends are that too where a value is folded, elsewhere there are
 * none. */
static inline struct span field_trimmed(struct span s)
{
	while (s.len && (field_is_space(s.at[0]) || field_is_line_end(s.at[0])))
		span_skip(&s, 1);
	while (s.len && (field_is_space(s.at[s.len - 1]) || field_is_line_end(s.at[s.len - 1])))
		s.len--;
	return s;
}

/* The next element of a comma-separated list. False when the list is used up. */
static inline bool field_take_element(struct span *list, struct span *element)
{
	if (!list->at)
		return false;
	const uint8_t *comma = list->len ? memchr(list->at, ',', list->len) : NULL;
	*element = field_trimmed(span_take(list, comma ? (size_t)(comma - list->at) : list->len));
	if (comma)
		span_skip(list, 1);
	else
		list->at = NULL;
	return true;
}

#endif
