/*
 * The scalars that a shape does not keep are its holes. What lies between them is mostly the shape's, byte
 * by byte (fill):
 *
 *     shape      {"id":"","model":"m","n":0,"text":""}
 *     document   {"id":"c-7","model":"m","n":17,"text":"Hi"}
 *                 ======~~~==================~~========~~===
 *
 * Where it is not, the two are compared from the left: where they differ there must be some scalar of the
 * shape, and the document's own is read in its place (compare). A shape whose kept scalars are others time
 * after time, as when a server's clients turn to another model, takes those of a document.
 */
#include "agent/body/json_shape.h"

#include "agent/body/json_number.h"
#include "agent/body/json_scan.h"
#include "agent/body/json_text.h"
#include "agent/body/same_bytes.h"

#include <stdlib.h>

#define SHAPES	      16u
#define SHAPE_BYTES   1536u
#define SHAPE_SCALARS 64u
#define SHAPE_EVENTS  64u
#define ESCAPED_TEXTS 2u /* wanted ones, of one document */

/* Learning takes longer than scanning: what may be learnt without a document that is like it. */
#define CREDIT_MOST  64u
#define CREDIT_LEARN 4u
#define MISSES_WORTH                                                                               \
	16u /* so many bring one more credit: what a server is asked for changes, too */

#define NO_EVENT UINT16_MAX

/* A string's content, or a number. */
struct scalar {
	uint16_t start, end;
	uint16_t event; /* whose text it is */
	bool string, kept;
};

enum hole_kind { HOLE_STRING, HOLE_NUMBER, HOLE_NONE };

/* A scalar that is not kept, and the bytes of the shape that lead to it. The last one is none: the document
 * ends there. */
struct hole {
	uint16_t from, before; /* where in the shape, and how many */
	uint16_t event;
	uint8_t kind;
};

/* Documents in which kept scalars were others, until the shape takes those of one. Each time it does it
 * waits twice as long, unless that was of use. */
#define STRAYS_LEAST 4u
#define STRAYS_MOST  4096u
#define USES_WORTH   64u

/* The parts lie in one block of memory, in this order. */
struct shape {
	void *note;
	struct json_event *events;
	struct scalar *scalars;
	struct hole *holes;
	uint16_t *open; /* events of holes */
	uint8_t *bytes; /* and SAME_BYTES_ROOM more */
	uint16_t event_count, scalar_count, open_count, len;
	uint16_t uses, strays, strays_most;
	bool lent; /* events of kept scalars may have texts of a document */
};

/* A scalar of a document that the shape does not have. */
struct other {
	struct span text;
	uint16_t scalar;
	bool escaped;
};

struct json_shapes {
	struct json *scan;
	struct json_shapes_notes notes;
	uint16_t first_kept;
	uint32_t credit, misses;
	uint32_t count;
	struct shape *at[SHAPES];
	uint8_t order[SHAPES]; /* places in `at`: of the last that was of use first */
	struct json_text texts[ESCAPED_TEXTS];
};

struct json_shapes *json_shapes_new(const struct json_tree *t, uint16_t first_kept,
				    const struct json_shapes_notes *notes)
{
	struct json_shapes *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->scan = json_new(t);
	s->notes = *notes;
	s->first_kept = first_kept;
	s->credit = CREDIT_MOST;
	if (!s->scan) {
		free(s);
		return NULL;
	}
	return s;
}

static void drop(struct json_shapes *s, struct shape *shape)
{
	if (s->notes.drop)
		s->notes.drop(s->notes.user, shape->note);
	free(shape);
}

void json_shapes_free(struct json_shapes *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->count; i++)
		drop(s, s->at[i]);
	json_free(s->scan);
	free(s);
}

/* `place` is somewhere in the order. */
static void move_to_front(struct json_shapes *s, uint8_t place)
{
	uint8_t *to = s->order, moved = place;
	while (*to != place) {
		uint8_t was = *to;
		*to++ = moved;
		moved = was;
	}
	*to = moved;
}

/* ---- a document that is like a shape ------------------------------------------------------------ */

#define NO_SCALAR SIZE_MAX

/* Bytes of a string with escapes before its quote, of which `plain` are before the first. NO_SCALAR if there
 * is no quote, or no such escape. A call and not code in line, so that what is plain stays in registers. */
static __attribute__((noinline)) size_t escaped_bytes(struct span in, size_t plain)
{
	struct json_text t;
	struct span rest = in;
	span_skip(&rest, plain);
	json_text_begin(&t, false);
	while (rest.len && rest.at[0] == '\\') {
		span_skip(&rest, 1);
		json_text_backslash(&t);
		if (!json_text_escape(&t, &rest) || !rest.len)
			return NO_SCALAR;
		json_text_put(&t, span_take(&rest, json_plain_bytes(rest)));
	}
	return rest.len && rest.at[0] == '"' ? in.len - rest.len : NO_SCALAR;
}

/* Bytes of any number; what is behind it must be there. */
static __attribute__((noinline)) size_t number_bytes(struct span in)
{
	uint8_t state = 0;
	size_t n = json_number_bytes(&state, in);
	bool whole = json_number_complete(state) && n < in.len && n <= LIMIT_JSON_TEXT_BYTES;
	return whole ? n : NO_SCALAR;
}

/* Digits at the front of *s, as far as they are of interest. */
static inline size_t digits_of(struct span s)
{
	size_t n = 0;
#ifdef __SSE2__
	if (s.len >= 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)s.at);
		__m128i above = _mm_sub_epi8(v, _mm_set1_epi8('0'));
		__m128i digits = _mm_cmpeq_epi8(_mm_min_epu8(above, _mm_set1_epi8(9)), above);
		return (size_t)__builtin_ctz(~(unsigned)_mm_movemask_epi8(digits));
	}
#endif
	while (n < s.len && n < 16 && s.at[n] >= '0' && s.at[n] <= '9')
		n++;
	return n;
}

/* Bytes of the scalar at the front of `in`, without its end's quote; NO_SCALAR if there is none. */
static inline __attribute__((always_inline)) size_t scalar_bytes(struct span in, bool string,
								 bool *escaped)
{
	size_t n;
	*escaped = false;
	if (string) {
		n = json_plain_bytes(in);
		if (n == in.len)
			return NO_SCALAR;
		if (in.at[n] == '"')
			return n;
		*escaped = true;
		return escaped_bytes(in, n);
	}
	/* Nearly all are whole numbers and not 0, and shorter than what was loaded. */
	n = digits_of(in);
	if (n && n < 16 && n < in.len && in.at[0] != '0' && (in.at[n] == ',' || in.at[n] == '}'))
		return n;
	return number_bytes(in);
}

/* The scalar at the front of *rest, without its end's quote. */
static bool take_scalar(struct span *rest, bool string, struct other *o)
{
	size_t n = scalar_bytes(*rest, string, &o->escaped);
	if (n == NO_SCALAR)
		return false;
	o->text = span_take(rest, n);
	return true;
}

/* The scalars of the document that differ from the shape's; its length, or 0. */
static size_t compare(const struct shape *shape, struct span in, struct other *others,
		      size_t *count)
{
	const struct scalar *at = shape->scalars, *end = at + shape->scalar_count;
	struct span rest = in;
	size_t from = 0, found = 0;
	for (;;) {
		size_t n = shape->len - from;
		size_t both = n < rest.len ? n : rest.len;
		size_t same = same_bytes(shape->bytes + from, rest.at, both);
		if (same == n) {
			*count = found;
			return in.len - rest.len + n;
		}
		if (same == rest.len)
			return 0;
		size_t differs = from + same;
		while (at < end && at->end < differs)
			at++;
		if (at == end || at->start > differs || from > at->start)
			return 0;
		span_skip(&rest, at->start - from);
		others[found].scalar = (uint16_t)(at - shape->scalars);
		if (!take_scalar(&rest, at->string, &others[found]))
			return 0;
		found++;
		from = at->end;
		at++;
	}
}

/* The shape's own texts, for all events that a document may have lent one. */
static void give_back(struct shape *shape)
{
	for (size_t i = 0; i < shape->scalar_count; i++) {
		const struct scalar *own = &shape->scalars[i];
		if (own->event == NO_EVENT)
			continue;
		struct json_event *ev = &shape->events[own->event];
		ev->text = span_of(shape->bytes + own->start, (size_t)(own->end - own->start));
		ev->empty = own->string && !ev->text.len;
		ev->cut = false;
	}
	shape->lent = false;
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

static inline void lend_plain(struct json_event *ev, struct span text)
{
	ev->cut = text.len > LIMIT_JSON_TEXT_BYTES;
	ev->empty = !text.len;
	ev->text = span_of(text.at, ev->cut ? LIMIT_JSON_TEXT_BYTES : text.len);
}

/* False: there is no room for one more text with escapes; *lent are in use. */
static bool lend_escaped(struct json_shapes *s, struct json_event *ev, struct span text,
			 size_t *lent)
{
	if (*lent == ESCAPED_TEXTS)
		return false;
	undo_escapes(&s->texts[(*lent)++], text, ev);
	return true;
}

static bool lend_all(struct json_shapes *s, struct shape *shape, const struct other *others,
		     size_t count)
{
	size_t escaped = 0;
	for (size_t i = 0; i < count; i++) {
		uint16_t event = shape->scalars[others[i].scalar].event;
		if (event == NO_EVENT)
			continue;
		if (!others[i].escaped)
			lend_plain(&shape->events[event], others[i].text);
		else if (!lend_escaped(s, &shape->events[event], others[i].text, &escaped))
			return false;
	}
	return true;
}

/* The length of a document that has the shape's own bytes but for the holes, whose events get its scalars; 0
 * if it has others. */
static size_t fill(struct json_shapes *s, struct shape *shape, struct span in)
{
	const uint8_t *at = in.at, *end = in.at + in.len;
	size_t lent = 0;
	for (const struct hole *hole = shape->holes;; hole++) {
		size_t room = (size_t)(end - at);
		if (hole->before > room ||
		    !equal_bytes(shape->bytes + hole->from, at, hole->before, room))
			return 0;
		at += hole->before;
		if (hole->kind == HOLE_NONE)
			return (size_t)(at - in.at);
		bool escaped;
		struct span rest = span_of(at, (size_t)(end - at));
		size_t n = scalar_bytes(rest, hole->kind == HOLE_STRING, &escaped);
		if (n == NO_SCALAR)
			return 0;
		at += n;
		if (hole->event == NO_EVENT)
			continue;
		struct json_event *ev = &shape->events[hole->event];
		if (!escaped)
			lend_plain(ev, span_of(rest.at, n));
		else if (!lend_escaped(s, ev, span_of(rest.at, n), &lent))
			return 0;
	}
}

static void used(struct json_shapes *s, uint8_t place)
{
	if (s->order[0] != place)
		move_to_front(s, place);
	if (s->credit < CREDIT_MOST)
		s->credit++;
}

/* A document with the shape's kept scalars. */
static bool find_filled(struct json_shapes *s, uint8_t place, struct span in, struct json_known *k)
{
	struct shape *shape = s->at[place];
	if (shape->lent)
		give_back(shape);
	size_t len = fill(s, shape, in);
	if (!len)
		return false;
	shape->strays = 0;
	if (shape->uses < USES_WORTH && ++shape->uses == USES_WORTH)
		shape->strays_most = STRAYS_LEAST;
	*k = (struct json_known){len,	      shape->events,	 shape->event_count,
				 shape->open, shape->open_count, shape->note};
	used(s, place);
	return true;
}

static bool renew(struct json_shapes *s, uint8_t place, struct span document);

/* A document with others. */
static bool find_like(struct json_shapes *s, uint8_t place, struct span in, struct json_known *k)
{
	struct other others[SHAPE_SCALARS];
	struct shape *shape = s->at[place];
	size_t count, len = compare(shape, in, others, &count);
	if (!len)
		return false;
	if (++shape->strays >= shape->strays_most && renew(s, place, span_of(in.at, len)))
		return find_filled(s, place, in, k);
	give_back(shape);
	shape->lent = true;
	if (!lend_all(s, shape, others, count))
		return false;
	*k = (struct json_known){.len = len, .events = shape->events, .count = shape->event_count};
	used(s, place);
	return true;
}

/* The brackets that documents begin with tell some apart, and [DONE] from all that end with it. */
static inline bool begins_alike(const struct shape *shape, struct span in)
{
	return shape->bytes[0] == in.at[0];
}

/* At any other place than `tried`. */
static __attribute__((noinline)) bool find_elsewhere(struct json_shapes *s, uint8_t tried,
						     struct span in, struct json_known *k)
{
	for (uint32_t n = 0; n < s->count; n++) {
		uint8_t place = s->order[n];
		if (place != tried && begins_alike(s->at[place], in) &&
		    find_filled(s, place, in, k))
			return true;
	}
	for (uint32_t n = 0; n < s->count; n++) {
		uint8_t place = s->order[n];
		if (begins_alike(s->at[place], in) && find_like(s, place, in, k))
			return true;
	}
	return false;
}

bool json_shapes_find(struct json_shapes *s, struct span in, uint8_t *place, struct json_known *k)
{
	if (!in.len)
		return false;
	if (*place < s->count && begins_alike(s->at[*place], in) && find_filled(s, *place, in, k))
		return true;
	if (!find_elsewhere(s, *place, in, k))
		return false;
	*place = s->order[0]; /* it was of use just now */
	return true;
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
	*to = (struct scalar){.start = d->len,
			      .event = wanted ? *next : NO_EVENT,
			      .string = string,
			      .kept = keep};
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
	for (;;) {
		size_t n = 0;
		while (n < rest.len && rest.at[n] != '"' && !is_number_start(rest.at[n]))
			n++;
		if (!put(d, span_take(&rest, n)))
			return false;
		if (!rest.len)
			return true;
		bool string = rest.at[0] == '"';
		struct other o;
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
}

/* What fills need. */
static void put_holes(struct shape *shape)
{
	uint16_t from = 0;
	struct hole *hole = shape->holes;
	for (uint16_t i = 0; i < shape->scalar_count; i++) {
		const struct scalar *scalar = &shape->scalars[i];
		if (scalar->kept)
			continue;
		*hole++ = (struct hole){
			.from = from,
			.before = (uint16_t)(scalar->start - from),
			.event = scalar->event,
			.kind = scalar->string ? HOLE_STRING : HOLE_NUMBER,
		};
		from = scalar->end;
		if (scalar->event != NO_EVENT)
			shape->open[shape->open_count++] = scalar->event;
	}
	*hole = (struct hole){
		.from = from, .before = (uint16_t)(shape->len - from), .kind = HOLE_NONE};
}

static struct shape *shape_of(const struct draft *d, size_t note)
{
	size_t events = d->event_count * sizeof(d->events[0]);
	size_t scalars = d->scalar_count * sizeof(d->scalars[0]);
	size_t holes = (d->scalar_count + 1u) * sizeof(struct hole);
	size_t open = d->scalar_count * sizeof(uint16_t);
	note = (note + 15) / 16 * 16;
	struct shape *shape = calloc(1, sizeof(*shape) + note + events + scalars + holes + open +
						d->len + SAME_BYTES_ROOM);
	if (!shape)
		return NULL;
	shape->note = shape + 1;
	shape->events = (struct json_event *)((char *)(shape + 1) + note);
	shape->scalars = (struct scalar *)(shape->events + d->event_count);
	shape->holes = (struct hole *)(shape->scalars + d->scalar_count);
	shape->open = (uint16_t *)(shape->holes + d->scalar_count + 1);
	shape->bytes = (uint8_t *)(shape->open + d->scalar_count);
	shape->event_count = d->event_count;
	shape->scalar_count = d->scalar_count;
	shape->len = d->len;
	shape->strays_most = STRAYS_LEAST;
	memcpy(shape->events, d->events, events);
	memcpy(shape->scalars, d->scalars, scalars);
	memcpy(shape->bytes, d->bytes, d->len);
	put_holes(shape);
	give_back(shape);
	return shape;
}

/* NULL: it cannot be one, or there is no memory. */
static struct shape *read_shape(struct json_shapes *s, struct span document)
{
	struct draft d;
	d.event_count = d.scalar_count = d.len = 0;
	if (!take_events(s, &d, document) || !take_bytes(s, &d, document))
		return NULL;
	return shape_of(&d, s->notes.bytes);
}

/* Another of the same, with the kept scalars of a document that is like it. */
static bool renew(struct json_shapes *s, uint8_t place, struct span document)
{
	struct shape *old = s->at[place];
	old->strays = 0;
	struct shape *shape = read_shape(s, document);
	if (!shape)
		return false;
	shape->strays_most =
		old->strays_most < STRAYS_MOST ? (uint16_t)(old->strays_most * 2) : STRAYS_MOST;
	drop(s, old);
	s->at[place] = shape;
	return true;
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
	if (!spend(s))
		return;
	struct shape *shape = read_shape(s, document);
	if (!shape)
		return;
	if (s->count == SHAPES) {
		drop(s, s->at[s->order[SHAPES - 1]]);
	} else {
		s->order[s->count] = (uint8_t)s->count;
		s->count++;
	}
	uint8_t place = s->order[s->count - 1];
	s->at[place] = shape;
	move_to_front(s, place);
}
