#include "agent/base/buf.h"

#include <errno.h>
#include <stdlib.h>

#define BUF_ROOM_FIRST 64u

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_release(struct buf *b)
{
	free(b->at);
	b->at = NULL;
	b->len = b->room = 0;
}

static int buf_grow(struct buf *b, size_t need)
{
	size_t room = b->room ? b->room : BUF_ROOM_FIRST;
	while (room < need)
		room *= 2; /* need <= max, far from overflow: maxima are set in limits.h */
	if (room > b->max)
		room = b->max;
	uint8_t *at = realloc(b->at, room);
	if (!at)
		return -ENOMEM;
	b->at = at;
	b->room = room;
	return 0;
}

int buf_put(struct buf *b, struct span s)
{
	if (s.len > b->max - b->len)
		return -ENOSPC;
	if (s.len > b->room - b->len) {
		int err = buf_grow(b, b->len + s.len);
		if (err)
			return err;
	}
	if (s.len)
		memcpy(b->at + b->len, s.at, s.len);
	b->len += s.len;
	return 0;
}
