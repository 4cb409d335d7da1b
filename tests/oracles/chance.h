/*
 * chance.h - a seed's choices, and the text that they make.
 */
#ifndef TESTS_ORACLES_CHANCE_H
#define TESTS_ORACLES_CHANCE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct chance {
	uint64_t state;
	unsigned odd; /* an odd choice is one in so many; 0 = never */
};

/* splitmix64: seeds that follow one another give choices that do not. */
static inline uint64_t chance_next(struct chance *c)
{
	uint64_t z = c->state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static inline unsigned below(struct chance *c, unsigned n)
{
	return (unsigned)((chance_next(c) >> 32) * n >> 32);
}

static inline bool one_in(struct chance *c, unsigned n)
{
	return below(c, n) == 0;
}

static inline bool odd(struct chance *c)
{
	return c->odd && one_in(c, c->odd);
}

/* A third of all inputs is what a well-behaved sender writes; the others get wilder. */
static inline struct chance chance_of(uint64_t seed)
{
	struct chance c = {.state = seed * 0x2545f4914f6cdd1du};
	static const unsigned odds[] = {0, 0, 60, 20, 20, 6};
	c.odd = odds[below(&c, 6)];
	return c;
}

#define PICK(c, list) ((list)[below((c), sizeof(list) / sizeof((list)[0]))])

/* ---- text ------------------------------------------------------------------------------------------ */

struct text {
	uint8_t *at;
	size_t len, room;
};

static inline void make_room(struct text *t, size_t len)
{
	if (len <= t->room)
		return;
	t->room = len * 2;
	t->at = realloc(t->at, t->room);
	if (!t->at)
		abort();
}

static inline void put(struct text *t, const void *at, size_t len)
{
	make_room(t, t->len + len);
	if (len)
		memcpy(t->at + t->len, at, len);
	t->len += len;
}

static inline void say(struct text *t, const char *s)
{
	put(t, s, strlen(s));
}

static inline void put_byte(struct text *t, unsigned byte)
{
	uint8_t b = (uint8_t)byte;
	put(t, &b, 1);
}

/* A few bytes changed, dropped, doubled or cut off; those that mean something to the reader preferred. */
static inline void mutate(struct chance *c, struct text *t, const char *telling, size_t count)
{
	for (unsigned n = 1 + below(c, 3); n && t->len; n--) {
		size_t at = below(c, (unsigned)t->len), most = t->len - at;
		unsigned byte =
			one_in(c, 4) ? below(c, 256) : (uint8_t)telling[below(c, (unsigned)count)];
		switch (below(c, 5)) {
		case 0:
			t->at[at] = (uint8_t)byte;
			break;
		case 1: /* drop */
			most = most > 4 ? 1 + below(c, 4) : 1;
			memmove(t->at + at, t->at + at + most, t->len - at - most);
			t->len -= most;
			break;
		case 2: /* insert */
			put_byte(t, 0);
			memmove(t->at + at + 1, t->at + at, t->len - at - 1);
			t->at[at] = (uint8_t)byte;
			break;
		case 3: { /* repeat */
			uint8_t copy[12];
			most = most < sizeof(copy) ? most : 1 + below(c, sizeof(copy));
			memcpy(copy, t->at + at, most);
			put(t, copy, most);
			memmove(t->at + at + most, t->at + at, t->len - at - most);
			memcpy(t->at + at, copy, most);
			break;
		}
		default:
			if (one_in(c, 4))
				t->len = at;
		}
	}
}

#endif
