/*
 * Any bytes as a compressed body, whole and in pieces: what comes out is the same up to where it is bad,
 * it has its limits, and all memory comes back. The first two bytes say the codings and how it is cut.
 */
#include "tests/fuzz/cut.h"

#include "agent/base/limits.h"
#include "agent/http/coding.h"

static const char *const codings[] = {"gzip", "deflate", "br", "zstd", "gzip, br", "zstd, gzip"};

struct seen {
	uint64_t hash;
	size_t made;
	bool bad;
};

static void drain(struct seen *s, struct coding *c, struct span piece)
{
	struct span out;
	enum step step;
	while ((step = coding_next(c, &piece, &out)) == STEP_EVENT) {
		must(out.len > 0, "an empty piece");
		s->made += out.len;
		sum_add(&s->hash, out);
		must(coding_memory() <= LIMIT_CODING_BYTES, "memory");
	}
	must(step == STEP_BAD || piece.len == 0, "input left");
	must(step == STEP_BAD || !s->bad, "bad is for good");
	s->bad = step == STEP_BAD;
}

static struct seen run(const char *name, struct span in, size_t step)
{
	struct seen s = {.hash = SUM_BEGIN};
	struct coding *c = coding_new(span_str(name));
	must(c != NULL, "no memory");
	struct cut pieces = cut_begin(in, step, step);
	struct span piece;
	while (cut_next(&pieces, &piece))
		drain(&s, c, piece);
	coding_free(c);
	must(coding_memory() == 0, "memory is left");
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3)
		return 0;
	const char *name = codings[data[0] % (sizeof(codings) / sizeof(codings[0]))];
	struct span in = span_of(data + 2, size - 2);
	struct seen whole = run(name, in, in.len);
	struct seen cut = run(name, in, 1u + data[1] % 32u);
	/* A library may give what it had before it says that it is bad, or not. */
	must(whole.bad == cut.bad, "bad in one way only");
	must(whole.bad || (whole.hash == cut.hash && whole.made == cut.made),
	     "pieces differ from the whole");
	must(whole.made <= LIMIT_DECODED_FREE + 4096u + LIMIT_DECODED_RATIO * in.len, "a bomb");
	return 0;
}
