#include "agent/body/json_number.h"

#include "agent/body/json.h"

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* RFC 8259 section 6: the state behind `c`, NUM_NONE if the number cannot go on with it. */
static enum json_number after(enum json_number n, uint8_t c)
{
	bool digit = is_digit(c);
	switch (n) {
	case NUM_NONE:
		if (c == '-')
			return NUM_MINUS;
		/* fall through */
	case NUM_MINUS:
		return c == '0' ? NUM_ZERO : digit ? NUM_INT : NUM_NONE;
	case NUM_INT:
		if (digit)
			return NUM_INT;
		/* fall through */
	case NUM_ZERO:
		return c == '.' ? NUM_DOT : (c | 0x20) == 'e' ? NUM_E : NUM_NONE;
	case NUM_DOT:
		return digit ? NUM_FRAC : NUM_NONE;
	case NUM_FRAC:
		return digit ? NUM_FRAC : (c | 0x20) == 'e' ? NUM_E : NUM_NONE;
	case NUM_E:
		if (c == '+' || c == '-')
			return NUM_E_SIGN;
		/* fall through */
	case NUM_E_SIGN:
	case NUM_EXP:
		return digit ? NUM_EXP : NUM_NONE;
	}
	return NUM_NONE;
}

/* States that digits lead back to. */
static bool is_run(enum json_number n)
{
	return n == NUM_INT || n == NUM_FRAC || n == NUM_EXP;
}

size_t json_number_bytes(uint8_t *state, struct span in)
{
	enum json_number now = *state;
	size_t n = 0;
	for (;;) {
		while (is_run(now) && n < in.len && is_digit(in.at[n]))
			n++;
		enum json_number next = n < in.len ? after(now, in.at[n]) : NUM_NONE;
		if (next == NUM_NONE)
			break;
		now = next;
		n++;
	}
	*state = (uint8_t)now;
	return n;
}

bool json_number_complete(uint8_t state)
{
	return state == NUM_ZERO || is_run(state);
}

/* ---- whole numbers -------------------------------------------------------------------------------- */

#define WHOLE_MAX    (1ull << 53) /* beyond, a double does not hold every whole number */
#define SHORT_DIGITS 15u
#define EXPONENT_MAX                                                                               \
	1000000000 /* a text that a larger one could bring back does not fit in memory */

/* A decimal: digits times ten to a power. Digits end in no zero, or are 0. */
struct decimal {
	uint64_t digits;
	int64_t power;
	bool beyond; /* more digits than any whole number up to WHOLE_MAX has */
};

static void put_digit(struct decimal *d, int64_t *zeros, unsigned digit)
{
	if (digit == 0) {
		++*zeros;
		return;
	}
	/* Leading zeros say nothing; those between digits count now that one follows. */
	for (; d->digits && *zeros >= 0 && !d->beyond; --*zeros) {
		d->beyond = d->digits > WHOLE_MAX / 10;
		d->digits *= 10;
	}
	d->digits += digit;
	*zeros = 0;
}

/* Digits from *s; their number. `zeros` are those at the end of what was taken so far. */
static size_t take_digits(struct span *s, struct decimal *d, int64_t *zeros)
{
	size_t n = 0;
	while (n < s->len && is_digit(s->at[n]))
		put_digit(d, zeros, s->at[n++] - '0');
	span_skip(s, n);
	return n;
}

/* The exponent at the front of *s, if there is one; false if it is malformed. */
static bool take_exponent(struct span *s, int64_t *exponent)
{
	*exponent = 0;
	if (!s->len)
		return true;
	if ((s->at[0] | 0x20) != 'e')
		return false;
	span_skip(s, 1);
	bool negative = s->len && s->at[0] == '-';
	if (s->len && (s->at[0] == '-' || s->at[0] == '+'))
		span_skip(s, 1);
	if (!s->len)
		return false;
	for (; s->len && is_digit(s->at[0]); span_skip(s, 1)) {
		if (*exponent < EXPONENT_MAX)
			*exponent = *exponent * 10 + (s->at[0] - '0');
	}
	if (negative)
		*exponent = -*exponent;
	return s->len == 0;
}

static bool take_decimal(struct span s, struct decimal *d)
{
	int64_t zeros = 0, exponent;
	size_t decimals = 0;
	if (!take_digits(&s, d, &zeros))
		return false;
	if (s.len && s.at[0] == '.') {
		span_skip(&s, 1);
		decimals = take_digits(&s, d, &zeros);
		if (!decimals)
			return false;
	}
	if (!take_exponent(&s, &exponent))
		return false;
	d->power = exponent - (int64_t)decimals + zeros;
	return true;
}

/* Few digits and nothing else, as counts mostly are. */
static bool short_whole(struct span text, uint64_t *value)
{
	uint64_t n = 0;
	if (!text.len || text.len > SHORT_DIGITS)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (!is_digit(text.at[i]))
			return false;
		n = n * 10 + (text.at[i] - (unsigned)'0');
	}
	*value = n;
	return true;
}

bool json_whole(struct span text, uint64_t *value)
{
	if (short_whole(text, value))
		return true;
	struct decimal d = {0};
	if (!text.len || !take_decimal(text, &d) || d.beyond)
		return false;
	if (d.digits == 0) {
		*value = 0;
		return true;
	}
	if (d.power < 0)
		return false;
	for (; d.power > 0; d.power--) {
		if (d.digits > WHOLE_MAX / 10)
			return false;
		d.digits *= 10;
	}
	if (d.digits > WHOLE_MAX)
		return false;
	*value = d.digits;
	return true;
}
