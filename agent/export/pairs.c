#include "agent/export/pairs.h"

#include "agent/base/hex.h"

#include "agent/export/environment.h"

#include <errno.h>
#include <stdlib.h>

/* What stands before the first `stop`, which is dropped from *rest with it. */
static struct span take_until(struct span *rest, uint8_t stop)
{
	const uint8_t *at = rest->len ? memchr(rest->at, stop, rest->len) : NULL;
	struct span head = span_take(rest, at ? (size_t)(at - rest->at) : rest->len);
	if (at)
		span_skip(rest, 1);
	return head;
}

int pairs_next(struct span *rest, struct span *key, struct span *value)
{
	while (rest->len) {
		struct span element = environment_trim(take_until(rest, ','));
		if (!element.len)
			continue;
		if (!memchr(element.at, '=', element.len))
			return -EINVAL;
		*key = environment_trim(take_until(&element, '='));
		*value = environment_trim(element);
		return key->len ? 1 : -EINVAL;
	}
	return 0;
}

/* The byte at the start of `raw`, decoded and dropped; -1 if that is no encoding. */
static int take_byte(struct span *raw)
{
	uint8_t b = span_take(raw, 1).at[0];
	if (b != '%')
		return b;
	if (raw->len < 2)
		return -1;
	struct span digits = span_take(raw, 2);
	int high = hex_digit(digits.at[0]), low = hex_digit(digits.at[1]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

int pairs_decode(struct span raw, char **text)
{
	char *to = malloc(raw.len + 1);
	if (!to)
		return -ENOMEM;
	size_t n = 0;
	while (raw.len) {
		int b = take_byte(&raw);
		if (b <= 0) {
			free(to);
			return -EINVAL;
		}
		to[n++] = (char)b;
	}
	to[n] = '\0';
	*text = to;
	return 0;
}
