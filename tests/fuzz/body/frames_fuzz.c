/*
 * Any bytes, in pieces of any size: the frames are those of the whole, and no payload is made up.
 * The first two bytes say how the rest is cut.
 */
#include "tests/fuzz/cut.h"

#include "agent/body/frames.h"

struct seen {
	size_t data_bytes, frames, failed;
	bool bad;
	uint64_t hash; /* of payloads and their order */
};

static void see(struct seen *s, const struct frames_event *ev)
{
	if (ev->type == FRAMES_END) {
		s->frames++;
		s->failed += ev->failed;
		sum_add(&s->hash, span_of(&s->frames, sizeof(s->frames)));
		return;
	}
	must(ev->data.len > 0, "an empty piece");
	s->data_bytes += ev->data.len;
	sum_add(&s->hash, ev->data);
}

static struct seen run(struct cut pieces)
{
	struct seen seen = {.hash = SUM_BEGIN};
	uint8_t room[FRAMES_ROOM];
	struct frames_event ev;
	struct frames p;
	frames_init(&p);
	struct span piece;
	while (cut_next(&pieces, &piece)) {
		enum step taken;
		while ((taken = frames_next(&p, &piece, room, &ev)) == STEP_EVENT)
			see(&seen, &ev);
		seen.bad = taken == STEP_BAD;
		must(seen.bad || piece.len == 0, "input left");
		if (seen.bad)
			break;
	}
	cut_end(&pieces);
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cut in, pieces;
	if (!cut_as_told(data, size, &in, &pieces))
		return 0;
	struct seen whole = run(in), cut = run(pieces);
	must(whole.hash == cut.hash && whole.data_bytes == cut.data_bytes &&
		     whole.frames == cut.frames && whole.failed == cut.failed &&
		     whole.bad == cut.bad,
	     "pieces differ from the whole");
	must(whole.data_bytes <= in.rest.len, "payload from nowhere");
	return 0;
}
