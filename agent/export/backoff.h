/*
 * backoff.h - how long to wait before the next try: longer each time, and never in step with others.
 */
#ifndef EXPORT_BACKOFF_H
#define EXPORT_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FIRST_MS 1000u
#define BACKOFF_MAX_MS	 10000u

/* A zeroed struct has not failed yet. */
struct backoff {
	uint32_t base_ms;
};

static inline void backoff_reset(struct backoff *b)
{
	b->base_ms = 0;
}

/* Milliseconds to wait after a further failure: 1 s, 2 s, 4 s, 8 s, 10 s, each between 80 and 120
 * per cent by `random`, whose every value is as likely. */
static inline uint32_t backoff_next(struct backoff *b, uint32_t random)
{
	b->base_ms = b->base_ms ? b->base_ms * 2 : BACKOFF_FIRST_MS;
	if (b->base_ms > BACKOFF_MAX_MS)
		b->base_ms = BACKOFF_MAX_MS;
	return b->base_ms * 4 / 5 + random % (b->base_ms * 2 / 5 + 1);
}

#endif
