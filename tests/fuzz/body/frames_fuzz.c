/*
 * Any bytes, in pieces of any size: the frames are those of the whole, and no payload is made up.
 * The first two bytes say how the rest is cut.
 */
#include "agent/body/frames.h"

#include <stdio.h>
#include <stdlib.h>

struct seen {
	size_t data_bytes, frames, failed;
	bool bad;
	uint64_t hash; /* of payloads and their order */
};

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

static void see(struct seen *s, const struct frames_event *ev)
{
	if (ev->type == FRAMES_END) {
		s->frames++;
		s->failed += ev->failed;
		s->hash = (s->hash ^ 0x1ff) * 1099511628211u;
		return;
	}
	must(ev->data.len > 0, "an empty piece");
	s->data_bytes += ev->data.len;
	for (size_t i = 0; i < ev->data.len; i++)
		s->hash = (s->hash ^ ev->data.at[i]) * 1099511628211u;
}

static struct seen run(struct span in, size_t first, size_t step)
{
	struct seen seen = {.hash = 14695981039346656037u};
	uint8_t room[FRAMES_ROOM];
	struct frames_event ev;
	struct frames p;
	frames_init(&p);
	for (size_t n = first; in.len && !seen.bad; n = step) {
		struct span head = span_take(&in, n < in.len ? n : in.len);
		/* Its own memory, so that a read past its end is seen. */
		uint8_t *copy = malloc(head.len ? head.len : 1);
		must(copy != NULL, "no memory");
		if (head.len)
			memcpy(copy, head.at, head.len);
		struct span piece = span_of(copy, head.len);
		enum step taken;
		while ((taken = frames_next(&p, &piece, room, &ev)) == STEP_EVENT)
			see(&seen, &ev);
		seen.bad = taken == STEP_BAD;
		must(seen.bad || piece.len == 0, "input left");
		free(copy);
	}
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct span in = span_of(data + 2, size - 2);
	struct seen whole = run(in, in.len, in.len);
	struct seen cut = run(in, data[0], 1u + data[1] % 32u);
	must(whole.hash == cut.hash && whole.data_bytes == cut.data_bytes &&
		     whole.frames == cut.frames && whole.failed == cut.failed &&
		     whole.bad == cut.bad,
	     "pieces differ from the whole");
	must(whole.data_bytes <= in.len, "payload from nowhere");
	return 0;
}
