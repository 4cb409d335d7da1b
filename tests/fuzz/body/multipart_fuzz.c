/*
 * Any bytes, in pieces of any size: the parts are those of the whole, and no content is made up.
 * The first two bytes say how the rest is cut.
 */
#include "tests/fuzz/cut.h"

#include "agent/body/multipart.h"

struct seen {
	size_t data_bytes, parts, ends;
	uint64_t hash; /* of names, content and their order */
};

static void see(struct seen *s, const struct multipart_event *ev)
{
	switch (ev->type) {
	case MULTIPART_PART:
		must(ev->name.len <= MULTIPART_NAME_BYTES, "a long name");
		s->parts++;
		sum_add(&s->hash, span_str(ev->file ? "\xfe" : "\xff"));
		sum_add(&s->hash, ev->name);
		break;
	case MULTIPART_DATA:
		must(ev->data.len > 0, "an empty piece");
		must(s->parts == s->ends + 1, "content outside of a part");
		s->data_bytes += ev->data.len;
		sum_add(&s->hash, ev->data);
		break;
	case MULTIPART_END:
		s->ends++;
		sum_add(&s->hash, span_str("\xfd"));
		break;
	}
	must(s->parts == s->ends || s->parts == s->ends + 1, "parts in parts");
}

static struct seen run(struct cut pieces)
{
	struct seen seen = {.hash = SUM_BEGIN};
	struct multipart_event ev;
	struct multipart p;
	must(multipart_init(&p, span_str("multipart/form-data; boundary=b")), "no boundary");
	struct span piece;
	while (cut_next(&pieces, &piece)) {
		while (multipart_next(&p, &piece, &ev) == STEP_EVENT)
			see(&seen, &ev);
		must(piece.len == 0, "input left");
	}
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct multipart p;
	struct cut in, pieces;
	if (!cut_as_told(data, size, &in, &pieces))
		return 0;
	multipart_init(&p, in.rest);
	struct seen whole = run(in), cut = run(pieces);
	must(whole.hash == cut.hash && whole.data_bytes == cut.data_bytes &&
		     whole.parts == cut.parts && whole.ends == cut.ends,
	     "pieces differ from the whole");
	must(whole.data_bytes <= in.rest.len, "content from nowhere");
	return 0;
}
