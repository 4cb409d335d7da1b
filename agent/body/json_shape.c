/*
 * A document is compared with a shape from the left. Where they differ there must be a scalar of the
 * shape, and the document's own is read in its place:
 *
 *     shape      {"model":"m","n":0,"text":""}
 *     document   {"model":"m","n":17,"text":"Hi"}
 *                             ^^           ^^
 *
 * Scalars that do not differ are not even looked at.
 */
#include "agent/body/json_shape.h"

#include "agent/body/json_number.h"
#include "agent/body/json_scan.h"
#include "agent/body/json_text.h"
#include "agent/body/same_bytes.h"

#include <stdlib.h>

#define SHAPES	      8u
#define SHAPE_BYTES   1536u
#define SHAPE_SCALARS 64u
#define SHAPE_EVENTS  64u
#define ESCAPED_TEXTS 2u /* wanted ones, of one document */

/* Learning takes longer than scanning: what may be learnt without a document that is like it. */
#define CREDIT_MOST  64u
#define CREDIT_LEARN 8u
#define MISSES_WORTH                                                                               \
	16u /* so many bring one more credit: what a server is asked for changes, too */

#define NO_EVENT UINT16_MAX

/* A string's content, or a number. */
struct scalar {
	uint16_t start, end;
	uint16_t event; /* whose text it is */
	bool string;
};

/* The parts lie in one block of memory, in this order. */
struct shape {
	struct json_event *events;
	struct scalar *scalars;
	uint16_t *lent; /* scalars whose events have texts of a document, not of the shape */
	uint8_t *bytes;
	uint16_t event_count, scalar_count, lent_count, len;
};

/* A scalar of a document that the shape does not have. */
struct other {
	struct span text;
	uint16_t scalar;
	bool escaped;
};

struct json_shapes {
	struct json *scan;
	uint16_t first_kept;
	uint32_t credit, misses;
	uint32_t count;
	struct shape *at[SHAPES]; /* the last that was of use is the first */
	struct json_text texts[ESCAPED_TEXTS];
};

struct json_shapes *json_shapes_new(const struct json_tree *t, uint16_t first_kept)
{
	struct json_shapes *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->scan = json_new(t);
	s->first_kept = first_kept;
	s->credit = CREDIT_MOST;
	if (!s->scan) {
		free(s);
		return NULL;
	}
	return s;
}

void json_shapes_free(struct json_shapes *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->count; i++)
		free(s->at[i]);
	json_free(s->scan);
	free(s);
}

static void move_to_front(struct json_shapes *s, uint32_t n)
{
	struct shape *shape = s->at[n];
	memmove(s->at + 1, s->at, n * sizeof(s->at[0]));
	s->at[0] = shape;
}

/* ---- a document that is like a shape ------------------------------------------------------------ */

/* The rest of a string with escapes in it, up to its quote; false if there is none, or no such escape. */
static bool take_escaped(struct span *rest, struct json_text *t)
{
	while (rest->len && rest->at[0] == '\\') {
		span_skip(rest, 1);
		json_text_backslash(t);
		if (!json_text_escape(t, rest) || !rest->len)
			return false;
		json_text_put(t, span_take(rest, json_plain_bytes(*rest)));
	}
	return rest->len && rest->at[0] == '"';
}

/* Digits of a whole number that is not 0, and what must be behind; 0 if it is anything else. */
static inline size_t plain_digits(struct span s)
{
	size_t n = 0;
	while (n < s.len && s.at[n] >= '0' && s.at[n] <= '9')
		n++;
	bool plain =
		n && n < s.len && n < 20 && s.at[0] != '0' && (s.at[n] == ',' || s.at[n] == '}');
	return plain ? n : 0;
}

/* The scalar at the front of *rest, without its end's quote. */
static inline __attribute__((always_inline)) bool take_scalar(struct span *rest, bool string,
							      struct other *o)
{
	const uint8_t *start = rest->at;
	uint8_t state = 0;
	o->escaped = false;
	if (string) {
		span_skip(rest, json_plain_bytes(*rest));
		if (!rest->len)
			return false;
		if (rest->at[0] != '"') {
			struct json_text t;
			json_text_begin(&t, false);
			o->escaped = true;
			if (!take_escaped(rest, &t))
				return false;
		}
		o->text = span_of(start, (size_t)(rest->at - start));
		return true;
	}
	size_t digits = plain_digits(*rest);
	if (digits) {
		o->text = span_take(rest, digits);
		return true;
	}
	o->text = span_take(rest, json_number_bytes(&state, *rest));
	return json_number_complete(state) && rest->len && o->text.len <= LIMIT_JSON_TEXT_BYTES;
}

/* The scalars of the document that differ from the shape's, or false. */
static bool compare(const struct shape *shape, struct span document, struct other *others,
		    size_t *count)
{
	const struct scalar *at = shape->scalars, *end = at + shape->scalar_count;
	struct span rest = document;
	size_t from = 0, found = 0;
	for (;;) {
		size_t n = shape->len - from;
		size_t both = n < rest.len ? n : rest.len;
		size_t same = same_bytes(shape->bytes + from, rest.at, both);
		if (same == n || same == rest.len) {
			*count = found;
			return n == rest.len;
		}
		size_t differs = from + same;
		while (at < end && at->end < differs)
			at++;
		if (at == end || at->start > differs || from > at->start)
			return false;
		span_skip(&rest, at->start - from);
		others[found].scalar = (uint16_t)(at - shape->scalars);
		if (!take_scalar(&rest, at->string, &others[found]))
			return false;
		found++;
		from = at->end;
		at++;
	}
}

static void give_back(struct shape *shape)
{
	for (size_t i = 0; i < shape->lent_count; i++) {
		const struct scalar *own = &shape->scalars[shape->lent[i]];
		struct json_event *ev = &shape->events[own->event];
		ev->text = span_of(shape->bytes + own->start, (size_t)(own->end - own->start));
		ev->empty = own->string && !ev->text.len;
		ev->cut = false;
	}
	shape->lent_count = 0;
}

static void undo_escapes(struct json_text *t, struct span text, struct json_event *ev)
{
	json_text_begin(t, true);
	while (text.len) {
		json_text_put(t, span_take(&text, json_plain_bytes(text)));
		if (!text.len)
			break;
		span_skip(&text, 1);
		json_text_backslash(t);
		json_text_escape(t, &text);
	}
	ev->text = json_text_end(t);
	ev->cut = t->cut;
	ev->empty = false;
}

/* False: more texts with escapes than there is room for. */
static bool lend(struct json_shapes *s, struct shape *shape, const struct other *others,
		 size_t count)
{
	size_t escaped = 0;
	give_back(shape);
	for (size_t i = 0; i < count; i++) {
		const struct other *o = &others[i];
		uint16_t event = shape->scalars[o->scalar].event;
		if (event == NO_EVENT)
			continue;
		struct json_event *ev = &shape->events[event];
		shape->lent[shape->lent_count++] = o->scalar;
		if (o->escaped) {
			if (escaped == ESCAPED_TEXTS)
				return false;
			undo_escapes(&s->texts[escaped++], o->text, ev);
		} else {
			ev->cut = o->text.len > LIMIT_JSON_TEXT_BYTES;
			ev->empty = !o->text.len;
			ev->text =
				span_of(o->text.at, ev->cut ? LIMIT_JSON_TEXT_BYTES : o->text.len);
		}
	}
	return true;
}

const struct json_event *json_shapes_events(struct json_shapes *s, struct span document,
					    size_t *count)
{
	struct other others[SHAPE_SCALARS];
	size_t other_count;
	for (uint32_t i = 0; i < s->count; i++) {
		struct shape *shape = s->at[i];
		if (!compare(shape, document, others, &other_count))
			continue;
		if (!lend(s, shape, others, other_count))
			return NULL;
		if (i)
			move_to_front(s, i);
		if (s->credit < CREDIT_MOST)
			s->credit++;
		*count = shape->event_count;
		return shape->events;
	}
	return NULL;
}

/* ---- learning ----------------------------------------------------------------------------------- */

/* A shape that is being made. */
struct draft {
	struct json_event events[SHAPE_EVENTS];
	size_t event_ends[SHAPE_EVENTS]; /* where in the document */
	struct scalar scalars[SHAPE_SCALARS];
	uint8_t bytes[SHAPE_BYTES];
	uint16_t event_count, scalar_count, len;
};

static bool take_events(struct json_shapes *s, struct draft *d, struct span document)
{
	struct span rest = document;
	struct json_event ev;
	enum step step;
	json_reset(s->scan);
	while ((step = json_next(s->scan, &rest, &ev)) == STEP_EVENT) {
		if (d->event_count == SHAPE_EVENTS)
			return false;
		d->event_ends[d->event_count] = document.len - rest.len;
		d->events[d->event_count++] = ev;
	}
	return step == STEP_MORE && json_done(s->scan);
}

static bool put(struct draft *d, struct span bytes)
{
	if (bytes.len > SHAPE_BYTES - d->len)
		return false;
	memcpy(d->bytes + d->len, bytes.at, bytes.len);
	d->len = (uint16_t)(d->len + bytes.len);
	return true;
}

/* A scalar that ends at `end` in the document, with a string's quote. *next is the first event that may
 * be its. */
static bool put_scalar(const struct json_shapes *s, struct draft *d, const struct other *o,
		       bool string, size_t end, uint16_t *next)
{
	if (d->scalar_count == SHAPE_SCALARS)
		return false;
	struct scalar *to = &d->scalars[d->scalar_count++];
	while (*next < d->event_count && d->event_ends[*next] < end)
		++*next;
	bool wanted = *next < d->event_count && d->event_ends[*next] == end;
	bool keep = wanted && d->events[*next].id >= s->first_kept && !o->escaped &&
		    o->text.len <= LIMIT_JSON_TEXT_BYTES;
	*to = (struct scalar){
		.start = d->len, .event = wanted ? *next : NO_EVENT, .string = string};
	if (!put(d, keep ? o->text : span_of("0", string ? 0 : 1)))
		return false;
	to->end = d->len;
	return true;
}

static bool is_number_start(uint8_t c)
{
	return c == '-' || (c >= '0' && c <= '9');
}

/* Of a document that the scanner found good: a string is a key where a colon is behind it. */
static bool is_key(struct span behind)
{
	while (behind.len &&
	       (behind.at[0] == ' ' || (behind.at[0] >= '\t' && behind.at[0] <= '\r')))
		span_skip(&behind, 1);
	return behind.len && behind.at[0] == ':';
}

static bool take_bytes(const struct json_shapes *s, struct draft *d, struct span document)
{
	struct span rest = document;
	uint16_t event = 0;
	while (rest.len) {
		bool string = rest.at[0] == '"';
		struct other o;
		if (!string && !is_number_start(rest.at[0])) {
			if (!put(d, span_take(&rest, 1)))
				return false;
			continue;
		}
		if (string && !put(d, span_take(&rest, 1)))
			return false;
		if (!take_scalar(&rest, string, &o))
			return false;
		if (string && is_key(span_of(rest.at + 1, rest.len - 1))) {
			if (!put(d, o.text))
				return false;
		} else if (!put_scalar(s, d, &o, string, document.len - rest.len + string,
				       &event)) {
			return false;
		}
		if (string && !put(d, span_take(&rest, 1)))
			return false;
	}
	return true;
}

static struct shape *shape_of(const struct draft *d)
{
	size_t events = d->event_count * sizeof(d->events[0]);
	size_t scalars = d->scalar_count * sizeof(d->scalars[0]);
	size_t lent = d->scalar_count * sizeof(uint16_t);
	struct shape *shape = malloc(sizeof(*shape) + events + scalars + lent + d->len);
	if (!shape)
		return NULL;
	*shape = (struct shape){
		.event_count = d->event_count, .scalar_count = d->scalar_count, .len = d->len};
	shape->events = (struct json_event *)(shape + 1);
	shape->scalars = (struct scalar *)(shape->events + d->event_count);
	shape->lent = (uint16_t *)(shape->scalars + d->scalar_count);
	shape->bytes = (uint8_t *)(shape->lent + d->scalar_count);
	memcpy(shape->events, d->events, events);
	memcpy(shape->scalars, d->scalars, scalars);
	memcpy(shape->bytes, d->bytes, d->len);
	for (uint16_t i = 0; i < d->scalar_count; i++) {
		if (d->scalars[i].event != NO_EVENT)
			shape->lent[shape->lent_count++] = i;
	}
	give_back(shape);
	return shape;
}

/* Whether this document may be learnt. */
static bool spend(struct json_shapes *s)
{
	if (++s->misses % MISSES_WORTH == 0)
		s->credit++;
	if (s->credit < CREDIT_LEARN)
		return false;
	s->credit -= CREDIT_LEARN;
	return true;
}

void json_shapes_learn(struct json_shapes *s, struct span document)
{
	struct draft d;
	if (!spend(s))
		return;
	d.event_count = d.scalar_count = d.len = 0;
	if (!take_events(s, &d, document) || !take_bytes(s, &d, document))
		return;
	struct shape *shape = shape_of(&d);
	if (!shape)
		return;
	if (s->count == SHAPES)
		free(s->at[SHAPES - 1]);
	else
		s->count++;
	s->at[s->count - 1] = shape;
	move_to_front(s, s->count - 1);
}
