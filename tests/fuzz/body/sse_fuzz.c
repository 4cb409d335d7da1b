/*
 * Any bytes, in pieces of any size: the events are those of the whole, and no data is made up.
 * The first two bytes say how the rest is cut.
 */
#include "tests/fuzz/cut.h"

#include "agent/body/sse.h"

struct seen {
	size_t data_bytes, events, comments;
	uint64_t hash; /* of the data, the names and their order */
};

static void see(struct seen *s, const struct sse_event *ev)
{
	switch (ev->type) {
	case SSE_DATA:
		must(ev->data.len > 0, "an empty piece");
		s->data_bytes += ev->data.len;
		sum_add(&s->hash, ev->data);
		break;
	case SSE_END:
		must(ev->name.len <= SSE_NAME_BYTES, "a long name");
		s->events++;
		sum_add(&s->hash, span_str("\xff"));
		sum_add(&s->hash, ev->name);
		break;
	case SSE_COMMENT:
		s->comments++;
		sum_add(&s->hash, span_str("\xfe"));
		break;
	}
}

static struct seen run(struct cut pieces)
{
	struct seen seen = {.hash = SUM_BEGIN};
	struct sse_event ev;
	struct sse p;
	sse_init(&p);
	struct span piece;
	while (cut_next(&pieces, &piece)) {
		while (sse_next(&p, &piece, &ev) == STEP_EVENT)
			see(&seen, &ev);
		must(piece.len == 0, "input left");
	}
	seen.events += sse_eof(&p);
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cut in, pieces;
	if (!cut_as_told(data, size, &in, &pieces))
		return 0;
	struct seen whole = run(in), cut = run(pieces);
	must(whole.hash == cut.hash && whole.data_bytes == cut.data_bytes &&
		     whole.events == cut.events && whole.comments == cut.comments,
	     "pieces differ from the whole");
	must(whole.data_bytes <= in.rest.len, "data from nowhere");
	return 0;
}
