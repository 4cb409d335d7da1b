/*
 * States are named for what may come next:
 *
 *                    +------------------ , ---------------+
 *                    v                                    |
 *   '{' FIRST_KEY   KEY --> IN_KEY --> COLON --> VALUE   AFTER_MEMBER --> '}'
 *   '[' FIRST_ELEMENT                            VALUE   AFTER_ELEMENT -> ']'
 *                                                 |  ^    |   ^
 *         IN_STRING IN_NUMBER IN_LITERAL <--------+  +- , +   |
 *                    |                                        |
 *                    +-- `after`, the open container's state -+
 *
 * Behind the document nothing may come but white space: AT_END. Below LIMIT_JSON_DEPTH levels the
 * brackets are counted, their kinds are not kept: IN_DEEP, IN_DEEP_STRING.
 *
 * A token that lies whole in the input is taken at once, from where it lies; the IN_ states are for
 * those that the input's end cuts, and for strings with escapes.
 */
#include "agent/body/json.h"

#include "agent/body/json_number.h"
#include "agent/body/json_scan.h"
#include "agent/body/json_text.h"
#include "agent/body/json_tree.h"

#include <stdlib.h>

enum json_state {
	JSON_AT_VALUE,
	JSON_AT_FIRST_ELEMENT,
	JSON_AT_FIRST_KEY,
	JSON_AT_KEY,
	JSON_AT_COLON,
	JSON_AFTER_MEMBER,
	JSON_AFTER_ELEMENT,
	JSON_AT_END,
	JSON_IN_KEY,
	JSON_IN_STRING,
	JSON_IN_NUMBER,
	JSON_IN_LITERAL,
	JSON_IN_DEEP,
	JSON_IN_DEEP_STRING,
	JSON_FAILED,
};

struct json {
	const struct json_tree *tree;
	uint32_t depth;	      /* open brackets */
	uint8_t state;	      /* enum json_state */
	uint8_t after;	      /* the state behind a value of the container that is open */
	uint8_t number;	      /* enum json_number */
	uint8_t literal_type; /* enum json_type */
	const char *literal;  /* what is left of it */
	uint16_t node;	      /* of the value that comes or is read */
	uint16_t
		path[JSON_PATH_LEVELS]; /* nodes of the open containers; deeper ones lead nowhere */
	uint64_t kinds[LIMIT_JSON_DEPTH / 64]; /* a bit a level: 1 = object */
	struct json_text text;
};

struct json *json_new(const struct json_tree *t)
{
	struct json *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->tree = t;
	json_reset(p);
	return p;
}

void json_free(struct json *p)
{
	free(p);
}

void json_reset(struct json *p)
{
	p->depth = 0;
	p->state = JSON_AT_VALUE;
	p->after = JSON_AT_END;
	p->node = JSON_DOCUMENT;
}

void json_skip_document(struct json *p)
{
	json_reset(p);
	p->state = JSON_AT_END;
}

/* ---- containers --------------------------------------------------------------------------------- */

static inline const struct json_node *node_at(const struct json *p, uint16_t node)
{
	return &p->tree->nodes[node];
}

/* The node of the innermost open container; there is one. */
static inline uint16_t here(const struct json *p)
{
	return p->depth <= JSON_PATH_LEVELS ? p->path[p->depth - 1] : JSON_NOWHERE;
}

static bool is_object(const struct json *p, uint32_t level)
{
	return p->kinds[level / 64] >> (level % 64) & 1;
}

static inline void remember_kind(struct json *p, uint32_t level, bool object)
{
	uint64_t bit = (uint64_t)1 << (level % 64), *word = &p->kinds[level / 64];
	*word = object ? *word | bit : *word & ~bit;
}

static inline enum step open_container(struct json *p, bool object, struct json_event *ev)
{
	const struct json_node *node = node_at(p, p->node);
	uint32_t level = p->depth++;
	if (level >= LIMIT_JSON_DEPTH) {
		p->state = JSON_IN_DEEP;
		return STEP_MORE;
	}
	remember_kind(p, level, object);
	p->state = object ? JSON_AT_FIRST_KEY : JSON_AT_FIRST_ELEMENT;
	p->after = object ? JSON_AFTER_MEMBER : JSON_AFTER_ELEMENT;
	if (level < JSON_PATH_LEVELS)
		p->path[level] = p->node;
	p->node = node->element; /* an object's members get theirs from their keys */
	if (!node->id)
		return STEP_MORE;
	*ev = (struct json_event){.id = node->id, .type = object ? JSON_OBJECT : JSON_ARRAY};
	return STEP_EVENT;
}

static inline enum step close_container(struct json *p, bool object, bool empty,
					struct json_event *ev)
{
	uint16_t id = node_at(p, here(p))->id;
	p->depth--;
	p->after = !p->depth			? JSON_AT_END
		   : is_object(p, p->depth - 1) ? JSON_AFTER_MEMBER
						: JSON_AFTER_ELEMENT;
	p->state = p->after;
	if (!id)
		return STEP_MORE;
	*ev = (struct json_event){.id = id,
				  .type = object ? JSON_OBJECT : JSON_ARRAY,
				  .closes = true,
				  .empty = empty};
	return STEP_EVENT;
}

/* ---- strings ------------------------------------------------------------------------------------ */

/* Takes the quote at the front of the input, if the string ends there. */
static inline bool take_quote(struct span *in)
{
	if (!in->len || in->at[0] != '"')
		return false;
	span_skip(in, 1);
	return true;
}

static inline enum step end_string(struct json *p, struct span text, bool empty, bool cut,
				   struct json_event *ev)
{
	uint16_t id = node_at(p, p->node)->id;
	p->state = p->after;
	if (!id)
		return STEP_MORE;
	*ev = (struct json_event){
		.id = id, .type = JSON_STRING, .empty = empty, .cut = cut, .text = text};
	return STEP_EVENT;
}

/* The colon mostly stands right behind. */
static inline void end_key(struct json *p, struct span key, struct span *in)
{
	p->node = json_tree_child(p->tree, here(p), key);
	p->state = JSON_AT_COLON;
	if (in->len && in->at[0] == ':') {
		span_skip(in, 1);
		p->state = JSON_AT_VALUE;
	}
}

/* Behind the quote that opens a value. */
static inline enum step begin_string(struct json *p, struct span *in, struct json_event *ev)
{
	struct span run = span_take(in, json_plain_bytes(*in));
	if (take_quote(in)) {
		bool cut = run.len > LIMIT_JSON_TEXT_BYTES, empty = !run.len;
		run.len = cut ? LIMIT_JSON_TEXT_BYTES : run.len;
		return end_string(p, run, empty, cut, ev);
	}
	json_text_begin(&p->text, node_at(p, p->node)->id != 0);
	json_text_put(&p->text, run);
	p->state = JSON_IN_STRING;
	return STEP_MORE;
}

/* Behind the quote that opens a key. A call, and not code in line, would keep the input in memory in
 * place of registers: a tenth of the time that a document takes. */
static inline __attribute__((always_inline)) enum step begin_key(struct json *p, struct span *in)
{
	struct span run = span_take(in, json_plain_bytes(*in));
	if (take_quote(in)) {
		end_key(p, run, in);
		return STEP_MORE;
	}
	json_text_begin(&p->text, here(p) != JSON_NOWHERE);
	json_text_put(&p->text, run);
	p->state = JSON_IN_KEY;
	return STEP_MORE;
}

/* More of a string that did not lie plain and whole: EVENT where it ends. */
static enum step take_string(struct json *p, struct span *in)
{
	while (in->len) {
		if (!json_text_escape(&p->text, in))
			return STEP_BAD;
		json_text_put(&p->text, span_take(in, json_plain_bytes(*in)));
		if (take_quote(in))
			return STEP_EVENT;
		if (!in->len)
			break;
		if (in->at[0] != '\\')
			return STEP_BAD;
		span_skip(in, 1);
		json_text_backslash(&p->text);
	}
	return STEP_MORE;
}

static enum step in_string(struct json *p, struct span *in, struct json_event *ev)
{
	enum step step = take_string(p, in);
	if (step != STEP_EVENT)
		return step;
	return end_string(p, json_text_end(&p->text), p->text.empty, p->text.cut, ev);
}

static enum step in_key(struct json *p, struct span *in)
{
	enum step step = take_string(p, in);
	if (step != STEP_EVENT)
		return step;
	/* One that was cut is longer than any wanted key, one that was not kept has no like. */
	end_key(p, json_text_end(&p->text), in);
	return STEP_MORE;
}

/* ---- numbers and literals ----------------------------------------------------------------------- */

static inline enum step end_number(struct json *p, struct span text, bool cut,
				   struct json_event *ev)
{
	uint16_t id = node_at(p, p->node)->id;
	if (!json_number_complete(p->number))
		return STEP_BAD;
	p->state = p->after;
	if (!id)
		return STEP_MORE;
	*ev = (struct json_event){.id = id, .type = JSON_NUMBER, .cut = cut, .text = text};
	return STEP_EVENT;
}

static enum step begin_number(struct json *p, struct span *in, struct json_event *ev)
{
	p->number = NUM_NONE;
	struct span run = span_take(in, json_number_bytes(&p->number, *in));
	if (!run.len)
		return STEP_BAD;
	if (in->len && run.len <= LIMIT_JSON_TEXT_BYTES)
		return end_number(p, run, false, ev);
	json_text_begin(&p->text, node_at(p, p->node)->id != 0);
	json_text_put(&p->text, run);
	p->state = JSON_IN_NUMBER;
	return STEP_MORE;
}

static enum step in_number(struct json *p, struct span *in, struct json_event *ev)
{
	json_text_put(&p->text, span_take(in, json_number_bytes(&p->number, *in)));
	if (!in->len)
		return STEP_MORE;
	return end_number(p, json_text_end(&p->text), p->text.cut, ev);
}

static enum step in_literal(struct json *p, struct span *in, struct json_event *ev);

static inline enum step begin_literal(struct json *p, enum json_type type, const char *rest,
				      struct span *in, struct json_event *ev)
{
	span_skip(in, 1);
	p->literal = rest;
	p->literal_type = (uint8_t)type;
	p->state = JSON_IN_LITERAL;
	return in_literal(p, in, ev);
}

static enum step in_literal(struct json *p, struct span *in, struct json_event *ev)
{
	for (; in->len && *p->literal; p->literal++) {
		if (in->at[0] != (uint8_t)*p->literal)
			return STEP_BAD;
		span_skip(in, 1);
	}
	if (*p->literal)
		return STEP_MORE;
	uint16_t id = node_at(p, p->node)->id;
	p->state = p->after;
	if (!id)
		return STEP_MORE;
	*ev = (struct json_event){.id = id, .type = p->literal_type};
	return STEP_EVENT;
}

/* ---- between tokens ----------------------------------------------------------------------------- */

static inline enum step begin_value(struct json *p, struct span *in, struct json_event *ev)
{
	switch (in->at[0]) {
	case '{':
		span_skip(in, 1);
		return open_container(p, true, ev);
	case '[':
		span_skip(in, 1);
		return open_container(p, false, ev);
	case '"':
		span_skip(in, 1);
		return begin_string(p, in, ev);
	case 't':
		return begin_literal(p, JSON_TRUE, "rue", in, ev);
	case 'f':
		return begin_literal(p, JSON_FALSE, "alse", in, ev);
	case 'n':
		return begin_literal(p, JSON_NULL, "ull", in, ev);
	default:
		return begin_number(p, in, ev);
	}
}

/* The next key mostly stands right behind the comma. */
static inline enum step after_member(struct json *p, uint8_t c, struct span *in,
				     struct json_event *ev)
{
	if (c == '}')
		return close_container(p, true, false, ev);
	if (c != ',')
		return STEP_BAD;
	p->state = JSON_AT_KEY;
	return take_quote(in) ? begin_key(p, in) : STEP_MORE;
}

static inline enum step after_element(struct json *p, uint8_t c, struct json_event *ev)
{
	if (c == ']')
		return close_container(p, false, false, ev);
	p->node = node_at(p, here(p))->element;
	p->state = JSON_AT_VALUE;
	return c == ',' ? STEP_MORE : STEP_BAD;
}

/* One token, or what there is of it; the input is not empty and does not begin with white space. */
static inline enum step take_token(struct json *p, struct span *in, struct json_event *ev)
{
	uint8_t c = in->at[0];
	switch ((enum json_state)p->state) {
	case JSON_AT_FIRST_ELEMENT:
		if (c == ']') {
			span_skip(in, 1);
			return close_container(p, false, true, ev);
		}
		/* fall through */
	case JSON_AT_VALUE:
		return begin_value(p, in, ev);
	case JSON_AT_FIRST_KEY:
		if (c == '}') {
			span_skip(in, 1);
			return close_container(p, true, true, ev);
		}
		/* fall through */
	case JSON_AT_KEY:
		span_skip(in, 1);
		return c == '"' ? begin_key(p, in) : STEP_BAD;
	case JSON_AT_COLON:
		span_skip(in, 1);
		p->state = JSON_AT_VALUE;
		return c == ':' ? STEP_MORE : STEP_BAD;
	case JSON_AFTER_MEMBER:
		span_skip(in, 1);
		return after_member(p, c, in, ev);
	case JSON_AFTER_ELEMENT:
		span_skip(in, 1);
		return after_element(p, c, ev);
	default: /* AT_END */
		return STEP_BAD;
	}
}

/* Too deep for kinds to be kept: strings are read, brackets counted. */
static enum step in_deep(struct json *p, struct span *in)
{
	while (in->len && p->state == JSON_IN_DEEP) {
		uint8_t c = in->at[0];
		span_skip(in, 1);
		if (c == '"') {
			json_text_begin(&p->text, false);
			p->state = JSON_IN_DEEP_STRING;
		} else if (c == '{' || c == '[') {
			if (++p->depth == UINT32_MAX)
				return STEP_BAD;
		} else if ((c == '}' || c == ']') && --p->depth == LIMIT_JSON_DEPTH) {
			p->state = p->after;
		}
	}
	return STEP_MORE;
}

static enum step in_deep_string(struct json *p, struct span *in)
{
	enum step step = take_string(p, in);
	if (step != STEP_EVENT)
		return step;
	p->state = JSON_IN_DEEP;
	return STEP_MORE;
}

/* The rest of a token that the end of the input cut. */
static enum step resume(struct json *p, struct span *in, struct json_event *ev)
{
	switch ((enum json_state)p->state) {
	case JSON_IN_KEY:
		return in_key(p, in);
	case JSON_IN_STRING:
		return in_string(p, in, ev);
	case JSON_IN_NUMBER:
		return in_number(p, in, ev);
	case JSON_IN_LITERAL:
		return in_literal(p, in, ev);
	case JSON_IN_DEEP:
		return in_deep(p, in);
	case JSON_IN_DEEP_STRING:
		return in_deep_string(p, in);
	default: /* FAILED */
		return STEP_BAD;
	}
}

static inline bool is_white(uint8_t c)
{
	return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t');
}

enum step json_next(struct json *p, struct span *in, struct json_event *ev)
{
	struct span rest = *in; /* a copy, which the compiler can hold in registers */
	enum step step = STEP_MORE;
	while (step == STEP_MORE && rest.len) {
		if (p->state >= JSON_IN_KEY)
			step = resume(p, &rest, ev);
		else if (is_white(rest.at[0]))
			span_skip(&rest, 1);
		else
			step = take_token(p, &rest, ev);
	}
	*in = rest;
	if (step == STEP_BAD)
		p->state = JSON_FAILED;
	return p->state == JSON_FAILED ? STEP_BAD : step;
}

bool json_done(const struct json *p)
{
	return p->state == JSON_AT_END || (p->state == JSON_IN_NUMBER && p->after == JSON_AT_END &&
					   json_number_complete(p->number));
}
