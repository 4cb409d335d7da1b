/*
 * h1_ours.h - the reading of h1.h, which gets the bytes in pieces; of the fields that llhttp found.
 */
#ifndef TESTS_ORACLES_H1_OURS_H
#define TESTS_ORACLES_H1_OURS_H

#include "tests/oracles/http/h1_llhttp.h"

static struct reading ours;

static inline void our_head(const struct plan *plan, const struct http_head *head, size_t nth)
{
	struct reading *r = &ours;
	unit(r, UNIT_HEAD);
	tell_line(r, plan->requests, head->method_text, head->path, head->status, 1, head->minor);
	tell_field(r, "type", head->content_type);
	tell_field(r, "coding", head->content_encoding);
	tell_field(r, "server", head->server);
	const struct their_head *h = nth < theirs.head_count ? &theirs.heads[nth] : NULL;
	for (size_t i = 0; h && i < h->count; i++) {
		char name[128];
		copy_name(name_of(h, i), name, sizeof(name));
		tell_field(r, name, http_field(head->fields, name));
	}
	unit(r, UNIT_BODY);
}

/* True where the direction has left HTTP. */
static inline bool our_event(const struct plan *plan, struct h1 *h1, const struct http_event *ev,
			     size_t at, size_t *heads, size_t *answered, unsigned *status)
{
	switch (ev->type) {
	case HTTP_BEGIN:
		ours.begin = at;
		break;
	case HTTP_HEAD:
	case HTTP_UPGRADE:
		*status = ev->head.status;
		our_head(plan, &ev->head, (*heads)++);
		if (ev->type == HTTP_UPGRADE)
			unit(&ours, UNIT_UPGRADE);
		return ev->type == HTTP_UPGRADE;
	case HTTP_BODY:
		tell(&ours, ev->body.at, ev->body.len);
		break;
	case HTTP_END:
		unit(&ours, UNIT_END);
		if (ev->closes)
			tell_text(&ours, "$");
		if (*status >= 200 && !plan->requests)
			h1_expect(h1, plan->asked[++*answered]);
		break;
	case HTTP_LOST:
		abort();
	}
	return false;
}

static inline void read_ours(struct chance *c, struct text *in, const struct plan *plan)
{
	struct h1 parser, *h1 = &parser;
	h1_init(h1, plan->requests ? H1_REQUESTS : H1_RESPONSES);
	size_t heads = 0, answered = 0, most = one_in(c, 3) ? in->len : 1 + below(c, 100);
	unsigned status = 0;
	bool left = false;
	enum step step = STEP_MORE;
	ours.count = ours.text.len = ours.begin = 0;
	if (!plan->requests)
		h1_expect(h1, plan->asked[0]);
	for (size_t at = 0; at < in->len && step != STEP_BAD && !left;) {
		size_t n = most >= in->len ? in->len : 1 + below(c, (unsigned)most);
		struct span piece = span_of(in->at + at, n < in->len - at ? n : in->len - at);
		at += piece.len;
		struct http_event ev;
		while (!left && (step = h1_next(h1, &piece, &ev)) == STEP_EVENT)
			left = our_event(plan, h1, &ev, at - piece.len, &heads, &answered, &status);
		ours.stopped = at - piece.len;
	}
	if (step == STEP_BAD) {
		unit(&ours, UNIT_BAD);
	} else if (!left) {
		bool between = h1_eof(h1);
		struct span none = span_of(NULL, 0);
		struct http_event ev;
		while (h1_next(h1, &none, &ev) == STEP_EVENT)
			our_event(plan, h1, &ev, in->len, &heads, &answered, &status);
		unit(&ours, between ? UNIT_BETWEEN : UNIT_INSIDE);
	}
	h1_release(h1);
}

#endif
