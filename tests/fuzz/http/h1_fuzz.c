/*
 * Any bytes, whole and in pieces, on either side, with bytes missing where the input says so: the
 * events are those of the whole, in their order, and no body is made up. The first four bytes say the
 * side, what was asked for, how the rest is cut and where the gap is.
 */
#include "tests/fuzz/http/sum_head.h"

#include "agent/http/h1.h"

struct plan {
	enum h1_side side;
	uint8_t asked;	    /* the method of each response's request, two bits each */
	size_t first, step; /* of the pieces */
	bool lossy;
	size_t gap_at, gap_bytes;
};

/* What one run told; of a body's pieces only the bytes count. */
struct seen {
	uint64_t hash;
	size_t body_bytes, begun, ended;
	bool open, interim, bad, passed;
};

static void mark(struct seen *s, char c)
{
	sum_add(&s->hash, span_of(&c, 1));
}

static void expect(struct h1 *h1, const struct plan *plan, struct seen *s)
{
	static const enum http_method methods[] = {HTTP_GET, HTTP_POST, HTTP_HEAD_METHOD,
						   HTTP_CONNECT};
	if (plan->side == H1_RESPONSES)
		h1_expect(h1, methods[plan->asked >> s->ended % 4 * 2 & 3]);
}

/* BEGIN HEAD BODY* END, and what may break off in between; LOST also of what was no message. */
static void see(struct seen *s, struct h1 *h1, const struct plan *plan, const struct http_event *ev)
{
	must(!s->passed, "an event behind an upgrade");
	/* What was told as a message behind a loss may turn out to be none after its END. */
	must(ev->type == HTTP_LOST || (ev->type == HTTP_BEGIN) != s->open, "out of order");
	switch (ev->type) {
	case HTTP_BEGIN:
		s->begun++;
		s->open = true;
		break;
	case HTTP_HEAD:
		s->interim = plan->side == H1_RESPONSES && ev->head.status < 200;
		sum_head(&s->hash, &ev->head);
		break;
	case HTTP_BODY:
		must(ev->body.len > 0, "an empty piece");
		s->body_bytes += ev->body.len;
		sum_add(&s->hash, ev->body);
		return;
	case HTTP_END:
		s->open = false;
		mark(s, ev->closes ? '$' : '.');
		if (!s->interim) {
			s->ended++;
			expect(h1, plan, s);
		}
		break;
	case HTTP_UPGRADE:
		must(plan->side == H1_RESPONSES, "an upgrade by a request");
		sum_head(&s->hash, &ev->head);
		s->passed = true;
		break;
	case HTTP_LOST:
		must(plan->lossy, "lost without a loss");
		s->open = false;
		break;
	}
	mark(s, (char)('A' + ev->type));
}

static void drain(struct seen *s, struct h1 *h1, const struct plan *plan, struct span piece)
{
	struct http_event ev;
	enum step step;
	while ((step = h1_next(h1, &piece, &ev)) == STEP_EVENT)
		see(s, h1, plan, &ev);
	must(step == STEP_BAD || piece.len == 0, "input left");
	must(step == STEP_BAD || !s->bad, "bad is for good");
	must(h1_idle(h1) <= !s->open, "idle in a message");
	s->bad = step == STEP_BAD;
}

static void give(struct seen *s, struct h1 *h1, const struct plan *plan, struct span in,
		 size_t first)
{
	struct cut pieces = cut_begin(in, first, plan->step);
	struct span piece;
	while (cut_next(&pieces, &piece))
		drain(s, h1, plan, piece);
}

static struct seen run(struct span in, const struct plan *plan)
{
	struct seen s = {.hash = SUM_BEGIN};
	struct h1 parser, *h1 = &parser;
	h1_init(h1, plan->side);
	expect(h1, plan, &s);
	if (plan->lossy) {
		give(&s, h1, plan, span_take(&in, plan->gap_at), plan->first);
		span_skip(&in, plan->gap_bytes);
		bool open = s.open, goes_on = h1_gap(h1, plan->gap_bytes);
		must(goes_on || !s.bad, "bad is for good");
		size_t begun = s.begun;
		drain(&s, h1, plan, span_of(NULL, 0));
		must(s.begun == begun && (goes_on || !open || !s.open),
		     "neither lost nor going on");
		/* Where a message may begin there must be a whole piece, in each run the same. */
		struct plan whole = *plan;
		whole.step = in.len;
		give(&s, h1, &whole, in, in.len);
	} else {
		give(&s, h1, plan, in, plan->first);
	}
	bool between = h1_eof(h1);
	drain(&s, h1, plan, span_of(NULL, 0));
	must(between != (s.open && !s.passed) || s.bad, "whether it ended in a message");
	mark(&s, between ? '|' : '~');
	mark(&s, s.bad ? '!' : ' ');
	h1_release(h1);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 5)
		return 0;
	struct span in = span_of(data + 5, size - 5);
	struct plan plan = {.side = data[0] & 1 ? H1_RESPONSES : H1_REQUESTS, .asked = data[1]};
	plan.lossy = data[0] & 2 && in.len;
	if (plan.lossy) {
		plan.gap_at = data[3] % in.len;
		plan.gap_bytes = 1 + data[4] % (in.len - plan.gap_at);
	}
	plan.first = plan.step = in.len;
	struct seen whole = run(in, &plan);
	plan.first = data[2];
	plan.step = 1u + data[2] % 32u;
	if (!plan.first)
		plan.first = 1;
	struct seen cut = run(in, &plan);
	must(whole.hash == cut.hash && whole.body_bytes == cut.body_bytes &&
		     whole.begun == cut.begun && whole.ended == cut.ended && whole.bad == cut.bad,
	     "pieces differ from the whole");
	must(whole.body_bytes + (plan.lossy ? plan.gap_bytes : 0) <= in.len, "a body from nowhere");
	return 0;
}
