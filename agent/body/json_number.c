#include "agent/body/json.h"

#define WHOLE_MAX (1ull << 53) /* beyond, a double does not hold every whole number */

/* Digits from *s; false if there are none. Past WHOLE_MAX the value stays there. */
static bool take_digits(struct span *s, uint64_t *value, size_t *count)
{
	*count = 0;
	while (s->len && s->at[0] >= '0' && s->at[0] <= '9') {
		if (*value <= WHOLE_MAX)
			*value = *value * 10 + (uint64_t)(s->at[0] - '0');
		++*count;
		span_skip(s, 1);
	}
	return *count > 0;
}

/* The exponent at the front of *s, if there is one; false if it is malformed. */
static bool take_exponent(struct span *s, int *exponent)
{
	uint64_t value = 0;
	size_t count;
	*exponent = 0;
	if (!s->len)
		return true;
	if ((s->at[0] | 0x20) != 'e')
		return false;
	span_skip(s, 1);
	bool negative = s->len && s->at[0] == '-';
	if (s->len && (s->at[0] == '-' || s->at[0] == '+'))
		span_skip(s, 1);
	if (!take_digits(s, &value, &count))
		return false;
	int e = value > 1000 ? 1000 : (int)value;
	*exponent = negative ? -e : e;
	return true;
}

bool json_whole(struct span text, uint64_t *value)
{
	uint64_t v = 0;
	size_t count, decimals = 0;
	int exponent;
	if (!take_digits(&text, &v, &count))
		return false;
	if (text.len && text.at[0] == '.') {
		span_skip(&text, 1);
		if (!take_digits(&text, &v, &decimals))
			return false;
	}
	if (!take_exponent(&text, &exponent) || text.len)
		return false;
	/* The digits stand for v * 10^(exponent - decimals); more than 16 of them overflow to "no". */
	if (v > WHOLE_MAX && decimals == 0)
		return false;
	long scale = (long)exponent - (long)decimals;
	for (; scale > 0 && v; scale--) {
		if (v > WHOLE_MAX / 10)
			return false;
		v *= 10;
	}
	for (; scale < 0; scale++) {
		if (v % 10 || v > WHOLE_MAX * 10)
			return false;
		v /= 10;
		if (!v)
			break;
	}
	if (v > WHOLE_MAX)
		return false;
	*value = v;
	return true;
}
