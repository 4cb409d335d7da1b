/*
 * Any bytes, in pieces of any size: the parts are those of the whole, and no content is made up.
 * The first two bytes say how the rest is cut.
 */
#include "agent/body/multipart.h"

#include <stdio.h>
#include <stdlib.h>

struct seen {
	size_t data_bytes, parts, ends;
	uint64_t hash; /* of names, content and their order */
};

static void mix(struct seen *s, struct span bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		s->hash = (s->hash ^ bytes.at[i]) * 1099511628211u;
}

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

static void see(struct seen *s, const struct multipart_event *ev)
{
	switch (ev->type) {
	case MULTIPART_PART:
		must(ev->name.len <= MULTIPART_NAME_BYTES, "a long name");
		s->parts++;
		mix(s, span_str(ev->file ? "\xfe" : "\xff"));
		mix(s, ev->name);
		break;
	case MULTIPART_DATA:
		must(ev->data.len > 0, "an empty piece");
		must(s->parts == s->ends + 1, "content outside of a part");
		s->data_bytes += ev->data.len;
		mix(s, ev->data);
		break;
	case MULTIPART_END:
		s->ends++;
		mix(s, span_str("\xfd"));
		break;
	}
	must(s->parts == s->ends || s->parts == s->ends + 1, "parts in parts");
}

static struct seen run(struct span in, size_t first, size_t step)
{
	struct seen seen = {.hash = 14695981039346656037u};
	struct multipart_event ev;
	struct multipart p;
	must(multipart_init(&p, span_str("multipart/form-data; boundary=b")), "no boundary");
	for (size_t n = first; in.len; n = step) {
		struct span head = span_take(&in, n < in.len ? n : in.len);
		/* Its own memory, so that a read past its end is seen. */
		uint8_t *copy = malloc(head.len ? head.len : 1);
		must(copy != NULL, "no memory");
		if (head.len)
			memcpy(copy, head.at, head.len);
		struct span piece = span_of(copy, head.len);
		while (multipart_next(&p, &piece, &ev) == STEP_EVENT)
			see(&seen, &ev);
		must(piece.len == 0, "input left");
		free(copy);
	}
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct multipart p;
	if (size < 2)
		return 0;
	struct span in = span_of(data + 2, size - 2);
	multipart_init(&p, in);
	struct seen whole = run(in, in.len, in.len);
	struct seen cut = run(in, data[0], 1u + data[1] % 32u);
	must(whole.hash == cut.hash && whole.data_bytes == cut.data_bytes &&
		     whole.parts == cut.parts && whole.ends == cut.ends,
	     "pieces differ from the whole");
	must(whole.data_bytes <= in.len, "content from nowhere");
	return 0;
}
