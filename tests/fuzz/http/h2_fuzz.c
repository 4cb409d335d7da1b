/*
 * Any bytes as frames of either side, whole and in pieces, with bytes missing where the input says so: what
 * is told is the same, no body is made up, and bad is for good. The first four bytes say the side, how the
 * rest is cut and where the gap is; requests get their preface.
 */
#include "tests/fuzz/http/sum_head.h"

#include "agent/http/h2.h"

struct plan {
	enum h2_side side;
	size_t first, step; /* of the pieces */
	bool lossy;
	size_t gap_at, gap_bytes;
};

/* What one run told; of a body's pieces only the bytes count. */
struct seen {
	uint64_t hash;
	size_t body_bytes, heads, gap_stream;
	bool bad, goes_on;
};

static void mix_number(struct seen *s, uint32_t n)
{
	sum_add(&s->hash, span_of(&n, sizeof(n)));
}

static void see(struct seen *s, const struct h2_event *ev)
{
	if (ev->type == H2_BODY) {
		must(ev->body.len > 0, "an empty piece");
		s->body_bytes += ev->body.len;
		sum_add(&s->hash, ev->body);
		return;
	}
	mix_number(s, ev->type);
	mix_number(s, ev->stream);
	mix_number(s, ev->error);
	must(ev->type == H2_AWAY || ev->stream, "a stream's event without one");
	if (ev->type != H2_HEAD)
		return;
	s->heads++;
	must(ev->head.status == 0 || (ev->head.status >= 100 && ev->head.status <= 999), "status");
	sum_head(&s->hash, &ev->head);
}

static void drain(struct seen *s, struct h2 *h2, struct span piece)
{
	struct h2_event ev;
	enum step step;
	while ((step = h2_next(h2, &piece, 1, &ev)) == STEP_EVENT)
		see(s, &ev);
	must(step == STEP_BAD || piece.len == 0, "input left");
	must(step == STEP_BAD || !s->bad, "bad is for good");
	s->bad = step == STEP_BAD;
}

static void give(struct seen *s, struct h2 *h2, const struct plan *plan, struct span in)
{
	struct cut pieces = cut_begin(in, plan->first, plan->step);
	struct span piece;
	while (cut_next(&pieces, &piece))
		drain(s, h2, piece);
}

static struct seen run(struct span in, const struct plan *plan)
{
	struct seen s = {.hash = SUM_BEGIN};
	struct h2 *h2 = h2_new(plan->side);
	uint32_t stream = 0;
	must(h2 != NULL, "no memory");
	if (plan->side == H2_REQUESTS)
		drain(&s, h2, span_str(H2_PREFACE));
	if (plan->lossy) {
		give(&s, h2, plan, span_take(&in, plan->gap_at));
		span_skip(&in, plan->gap_bytes);
		s.goes_on = h2_gap(h2, plan->gap_bytes, &stream);
		must(!s.goes_on || (stream && !s.bad), "goes on with nothing");
		s.gap_stream = stream;
	}
	give(&s, h2, plan, in);
	must(!plan->lossy || s.goes_on || s.bad || !in.len, "read on behind a loss");
	h2_free(h2);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4)
		return 0;
	struct span in = span_of(data + 4, size - 4);
	struct plan plan = {.side = data[0] & 1 ? H2_RESPONSES : H2_REQUESTS};
	plan.lossy = data[0] & 2 && in.len;
	if (plan.lossy) {
		plan.gap_at = data[2] % in.len;
		plan.gap_bytes = 1 + data[3] % (in.len - plan.gap_at);
	}
	plan.first = plan.step = in.len;
	struct seen whole = run(in, &plan);
	plan.first = data[1] ? data[1] : 1;
	plan.step = 1u + data[1] % 32u;
	struct seen cut = run(in, &plan);
	must(whole.hash == cut.hash && whole.body_bytes == cut.body_bytes &&
		     whole.heads == cut.heads && whole.bad == cut.bad &&
		     whole.goes_on == cut.goes_on && whole.gap_stream == cut.gap_stream,
	     "pieces differ from the whole");
	must(whole.body_bytes + (plan.lossy ? plan.gap_bytes : 0) <= in.len, "a body from nowhere");
	return 0;
}
