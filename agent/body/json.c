/*
 * States are named for what may come next:
 *
 *   VALUE          a value
 *   FIRST_ELEMENT  a value or ']'        FIRST_KEY  a key or '}'
 *   KEY            a key                 COLON      ':'
 *   AFTER          ',' or the bracket that closes; at the top: nothing more
 *   STRING, NUMBER, LITERAL              the rest of one
 *   DEEP           below LIMIT_JSON_DEPTH: brackets are counted, their kinds are not kept
 *
 * `path` holds the tree's node of each open container, as long as every one from the document down
 * has one: then path_len == depth, and what comes may be wanted. Where path_len < depth everything
 * is skipped until the brackets close again.
 */
#include "agent/body/json.h"

#include "agent/body/json_scan.h"
#include "agent/body/json_tree.h"

#include <stdlib.h>

enum json_state {
	JSON_AT_VALUE,
	JSON_AT_FIRST_ELEMENT,
	JSON_AT_FIRST_KEY,
	JSON_AT_KEY,
	JSON_AT_COLON,
	JSON_AT_AFTER,
	JSON_IN_STRING,
	JSON_IN_NUMBER,
	JSON_IN_LITERAL,
	JSON_IN_DEEP,
	JSON_FAILED,
};

enum json_number { NUM_MINUS, NUM_ZERO, NUM_INT, NUM_DOT, NUM_FRAC, NUM_E, NUM_E_SIGN, NUM_EXP };

/* Where in an escape a string is. */
enum json_escape { ESC_NONE, ESC_BACKSLASH, ESC_HEX_4, ESC_HEX_3, ESC_HEX_2, ESC_HEX_1 };

#define NOT_WANTED UINT16_MAX /* in place of a node */

struct json {
	const struct json_tree *tree;
	uint32_t depth; /* open brackets */
	uint8_t state;	/* enum json_state */
	uint8_t path_len;
	uint8_t escape;	 /* enum json_escape */
	uint8_t number;	 /* enum json_number */
	uint8_t literal; /* which one, and how much of it was read */
	uint8_t literal_read;
	bool is_key; /* the string is a key */
	bool keep;   /* the string's or number's text is wanted */
	bool empty;  /* the string has no content yet */
	bool cut;
	uint16_t node;	    /* of the value that comes or is read; NOT_WANTED */
	uint16_t code;	    /* \uXXXX so far */
	uint16_t surrogate; /* a high one that waits for its low one */
	uint16_t text_len;
	uint16_t path[JSON_PATH_LEVELS];
	uint64_t kinds[LIMIT_JSON_DEPTH / 64]; /* a bit a level: 1 = object */
	uint8_t text[LIMIT_JSON_TEXT_BYTES];
};

static const char *const literals[] = {"true", "false", "null"};

struct json *json_new(const struct json_tree *t)
{
	struct json *p = malloc(sizeof(*p));
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
	const struct json_tree *t = p->tree;
	memset(p, 0, offsetof(struct json, kinds));
	p->tree = t;
	p->state = JSON_AT_VALUE;
}

/* ---- containers --------------------------------------------------------------------------------- */

static bool in_object(const struct json *p)
{
	uint32_t level = p->depth - 1;
	return p->kinds[level / 64] >> (level % 64) & 1;
}

static uint16_t id_of(const struct json *p, uint16_t node)
{
	return node == NOT_WANTED ? 0 : p->tree->nodes[node].id;
}

static enum step open_container(struct json *p, bool object, struct json_event *ev)
{
	uint16_t node = p->node;
	uint32_t level = p->depth++;
	if (level >= LIMIT_JSON_DEPTH) {
		p->state = JSON_IN_DEEP;
		return STEP_MORE;
	}
	uint64_t bit = (uint64_t)1 << (level % 64);
	p->kinds[level / 64] = object ? p->kinds[level / 64] | bit : p->kinds[level / 64] & ~bit;
	p->state = object ? JSON_AT_FIRST_KEY : JSON_AT_FIRST_ELEMENT;
	if (node == NOT_WANTED)
		return STEP_MORE;
	p->path[p->path_len++] = node;
	/* Elements have one node all; keys get theirs one by one. */
	p->node =
		object || !p->tree->nodes[node].element ? NOT_WANTED : p->tree->nodes[node].element;
	if (!id_of(p, node))
		return STEP_MORE;
	*ev = (struct json_event){.id = id_of(p, node), .type = object ? JSON_OBJECT : JSON_ARRAY};
	return STEP_EVENT;
}

static enum step close_container(struct json *p, bool object, struct json_event *ev)
{
	bool empty = p->state == JSON_AT_FIRST_KEY || p->state == JSON_AT_FIRST_ELEMENT;
	if (in_object(p) != object)
		return STEP_BAD;
	bool on_path = p->path_len == p->depth--;
	p->state = JSON_AT_AFTER;
	uint16_t id = on_path ? id_of(p, p->path[--p->path_len]) : 0;
	if (!id)
		return STEP_MORE;
	*ev = (struct json_event){.id = id,
				  .type = object ? JSON_OBJECT : JSON_ARRAY,
				  .closes = true,
				  .empty = empty};
	return STEP_EVENT;
}

/* ---- strings ------------------------------------------------------------------------------------ */

static void keep_bytes(struct json *p, struct span s)
{
	size_t room = sizeof(p->text) - p->text_len;
	size_t n = s.len < room ? s.len : room;
	if (n)
		memcpy(p->text + p->text_len, s.at, n);
	p->text_len = (uint16_t)(p->text_len + n);
	p->cut |= n < s.len;
}

/* A code point in UTF-8, whole or not at all. */
static void keep_code(struct json *p, uint32_t c)
{
	uint8_t b[4];
	size_t n;
	if (c < 0x80) {
		b[0] = (uint8_t)c;
		n = 1;
	} else if (c < 0x800) {
		b[0] = (uint8_t)(0xc0 | c >> 6);
		b[1] = (uint8_t)(0x80 | (c & 0x3f));
		n = 2;
	} else if (c < 0x10000) {
		b[0] = (uint8_t)(0xe0 | c >> 12);
		b[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		b[2] = (uint8_t)(0x80 | (c & 0x3f));
		n = 3;
	} else {
		b[0] = (uint8_t)(0xf0 | c >> 18);
		b[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
		b[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		b[3] = (uint8_t)(0x80 | (c & 0x3f));
		n = 4;
	}
	if (n > sizeof(p->text) - p->text_len) {
		p->cut = true;
		p->text_len =
			sizeof(p->text) > p->text_len ? p->text_len : (uint16_t)sizeof(p->text);
		return;
	}
	keep_bytes(p, span_of(b, n));
}

/* A high surrogate that no low one followed. */
static void flush_surrogate(struct json *p)
{
	if (p->surrogate && p->keep)
		keep_code(p, 0xfffd);
	p->surrogate = 0;
}

/* \uXXXX is complete. */
static void take_code(struct json *p)
{
	uint16_t c = p->code;
	bool low = c >= 0xdc00 && c < 0xe000, high = c >= 0xd800 && c < 0xdc00;
	if (low && p->surrogate) {
		uint32_t whole =
			0x10000 + ((uint32_t)(p->surrogate - 0xd800) << 10) + (c - 0xdc00u);
		p->surrogate = 0;
		if (p->keep)
			keep_code(p, whole);
		return;
	}
	flush_surrogate(p);
	if (high)
		p->surrogate = c;
	else if (p->keep)
		keep_code(p, low ? 0xfffd : c);
}

static int hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of an escape; false if it is none. */
static bool take_escape(struct json *p, uint8_t c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	if (p->escape == ESC_BACKSLASH) {
		if (c == 'u') {
			p->escape = ESC_HEX_4;
			p->code = 0;
			return true;
		}
		const char *at = c ? strchr(from, c) : NULL;
		p->escape = ESC_NONE;
		if (!at)
			return false;
		flush_surrogate(p);
		if (p->keep)
			keep_bytes(p, span_of(&to[at - from], 1));
		return true;
	}
	int digit = hex(c);
	if (digit < 0)
		return false;
	p->code = (uint16_t)(p->code << 4 | digit);
	if (p->escape == ESC_HEX_1) {
		p->escape = ESC_NONE;
		take_code(p);
	} else {
		p->escape++;
	}
	return true;
}

static void begin_string(struct json *p, bool is_key)
{
	p->is_key = is_key;
	p->keep = is_key ? p->path_len == p->depth : id_of(p, p->node) != 0;
	p->text_len = 0;
	p->cut = false;
	p->empty = true;
	p->surrogate = 0;
	p->escape = ESC_NONE;
}

static enum step end_string(struct json *p, struct json_event *ev)
{
	struct span text = span_of(p->text, p->text_len);
	flush_surrogate(p);
	if (p->depth > LIMIT_JSON_DEPTH) {
		p->state = JSON_IN_DEEP;
		return STEP_MORE;
	}
	if (p->is_key) {
		p->state = JSON_AT_COLON;
		p->node = NOT_WANTED;
		if (p->keep && !p->cut) {
			uint16_t child = json_tree_child(p->tree, p->path[p->path_len - 1],
							 span_of(p->text, p->text_len));
			p->node = child ? child : NOT_WANTED;
		}
		return STEP_MORE;
	}
	p->state = JSON_AT_AFTER;
	if (!p->keep)
		return STEP_MORE;
	text.len = p->text_len;
	*ev = (struct json_event){.id = id_of(p, p->node),
				  .type = JSON_STRING,
				  .empty = p->empty,
				  .cut = p->cut,
				  .text = text};
	return STEP_EVENT;
}

static enum step in_string(struct json *p, struct span *in, struct json_event *ev)
{
	if (p->escape) {
		bool ok = take_escape(p, in->at[0]);
		span_skip(in, 1);
		return ok ? STEP_MORE : STEP_BAD;
	}
	struct span run = span_take(in, json_plain_bytes(*in));
	if (run.len) {
		p->empty = false;
		flush_surrogate(p);
		if (p->keep)
			keep_bytes(p, run);
	}
	if (!in->len)
		return STEP_MORE;
	uint8_t c = in->at[0];
	span_skip(in, 1);
	if (c == '"')
		return end_string(p, ev);
	if (c != '\\')
		return STEP_BAD;
	p->empty = false;
	p->escape = ESC_BACKSLASH;
	return STEP_MORE;
}

/* ---- numbers and literals ----------------------------------------------------------------------- */

/* The next state of a number's grammar; -1 if `c` is not part of it. */
static int number_after(enum json_number n, uint8_t c)
{
	bool digit = c >= '0' && c <= '9';
	switch (n) {
	case NUM_MINUS:
		return c == '0' ? NUM_ZERO : digit ? NUM_INT : -1;
	case NUM_INT:
		if (digit)
			return NUM_INT;
		/* fall through */
	case NUM_ZERO:
		return c == '.' ? NUM_DOT : (c | 0x20) == 'e' ? NUM_E : -1;
	case NUM_DOT:
		return digit ? NUM_FRAC : -1;
	case NUM_FRAC:
		return digit ? NUM_FRAC : (c | 0x20) == 'e' ? NUM_E : -1;
	case NUM_E:
		return c == '+' || c == '-' ? NUM_E_SIGN : digit ? NUM_EXP : -1;
	case NUM_E_SIGN:
	case NUM_EXP:
		return digit ? NUM_EXP : -1;
	}
	return -1;
}

static bool number_complete(const struct json *p)
{
	return p->number == NUM_ZERO || p->number == NUM_INT || p->number == NUM_FRAC ||
	       p->number == NUM_EXP;
}

static void begin_number(struct json *p, uint8_t c)
{
	p->state = JSON_IN_NUMBER;
	p->number = c == '-' ? NUM_MINUS : c == '0' ? NUM_ZERO : NUM_INT;
	p->keep = id_of(p, p->node) != 0;
	p->text_len = 0;
	p->cut = false;
	if (p->keep)
		keep_bytes(p, span_of(&c, 1));
}

static enum step in_number(struct json *p, struct span *in, struct json_event *ev)
{
	size_t n = 0;
	int next = 0;
	while (n < in->len && (next = number_after(p->number, in->at[n])) >= 0) {
		p->number = (uint8_t)next;
		n++;
	}
	struct span run = span_take(in, n);
	if (p->keep)
		keep_bytes(p, run);
	if (!in->len)
		return STEP_MORE;
	if (!number_complete(p))
		return STEP_BAD;
	p->state = JSON_AT_AFTER;
	if (!p->keep)
		return STEP_MORE;
	*ev = (struct json_event){.id = id_of(p, p->node),
				  .type = JSON_NUMBER,
				  .cut = p->cut,
				  .text = span_of(p->text, p->text_len)};
	return STEP_EVENT;
}

static enum step in_literal(struct json *p, struct span *in, struct json_event *ev)
{
	static const enum json_type types[] = {JSON_TRUE, JSON_FALSE, JSON_NULL};
	const char *word = literals[p->literal];
	while (in->len && word[p->literal_read]) {
		if (in->at[0] != (uint8_t)word[p->literal_read])
			return STEP_BAD;
		p->literal_read++;
		span_skip(in, 1);
	}
	if (word[p->literal_read])
		return STEP_MORE;
	p->state = JSON_AT_AFTER;
	if (!id_of(p, p->node))
		return STEP_MORE;
	*ev = (struct json_event){.id = id_of(p, p->node), .type = types[p->literal]};
	return STEP_EVENT;
}

/* ---- between tokens ----------------------------------------------------------------------------- */

static enum step begin_value(struct json *p, uint8_t c, struct json_event *ev)
{
	switch (c) {
	case '{':
	case '[':
		return open_container(p, c == '{', ev);
	case '"':
		p->state = JSON_IN_STRING;
		begin_string(p, false);
		return STEP_MORE;
	case 't':
	case 'f':
	case 'n':
		p->state = JSON_IN_LITERAL;
		p->literal = c == 't' ? 0 : c == 'f' ? 1 : 2;
		p->literal_read = 1;
		return STEP_MORE;
	default:
		if (c != '-' && (c < '0' || c > '9'))
			return STEP_BAD;
		begin_number(p, c);
		return STEP_MORE;
	}
}

/* Behind a value. */
static enum step after_value(struct json *p, uint8_t c, struct json_event *ev)
{
	if (!p->depth)
		return STEP_BAD;
	if (c == '}' || c == ']')
		return close_container(p, c == '}', ev);
	if (c != ',')
		return STEP_BAD;
	if (in_object(p)) {
		p->state = JSON_AT_KEY;
		return STEP_MORE;
	}
	p->state = JSON_AT_VALUE;
	p->node = NOT_WANTED;
	if (p->path_len == p->depth) {
		uint16_t element = p->tree->nodes[p->path[p->path_len - 1]].element;
		p->node = element ? element : NOT_WANTED;
	}
	return STEP_MORE;
}

static enum step take_token(struct json *p, uint8_t c, struct json_event *ev)
{
	switch ((enum json_state)p->state) {
	case JSON_AT_FIRST_ELEMENT:
		if (c == ']')
			return close_container(p, false, ev);
		/* fall through */
	case JSON_AT_VALUE:
		return begin_value(p, c, ev);
	case JSON_AT_FIRST_KEY:
		if (c == '}')
			return close_container(p, true, ev);
		/* fall through */
	case JSON_AT_KEY:
		if (c != '"')
			return STEP_BAD;
		p->state = JSON_IN_STRING;
		begin_string(p, true);
		return STEP_MORE;
	case JSON_AT_COLON:
		if (c != ':')
			return STEP_BAD;
		p->state = JSON_AT_VALUE;
		return STEP_MORE;
	case JSON_AT_AFTER:
		return after_value(p, c, ev);
	default:
		return STEP_BAD;
	}
}

/* Too deep for kinds to be kept: strings are read, brackets counted. */
static enum step in_deep(struct json *p, struct span *in)
{
	while (in->len) {
		uint8_t c = in->at[0];
		span_skip(in, 1);
		if (c == '"') {
			p->state = JSON_IN_STRING;
			begin_string(p, false);
			p->keep = false;
			return STEP_MORE;
		}
		if (c == '{' || c == '[') {
			if (++p->depth == UINT32_MAX)
				return STEP_BAD;
		} else if ((c == '}' || c == ']') && --p->depth == LIMIT_JSON_DEPTH) {
			p->state = JSON_AT_AFTER;
			return STEP_MORE;
		}
	}
	return STEP_MORE;
}

static bool is_white(uint8_t c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static enum step take(struct json *p, struct span *in, struct json_event *ev)
{
	switch ((enum json_state)p->state) {
	case JSON_IN_STRING:
		return in_string(p, in, ev);
	case JSON_IN_NUMBER:
		return in_number(p, in, ev);
	case JSON_IN_LITERAL:
		return in_literal(p, in, ev);
	case JSON_IN_DEEP:
		return in_deep(p, in);
	case JSON_FAILED:
		return STEP_BAD;
	default:
		break;
	}
	uint8_t c = in->at[0];
	span_skip(in, 1);
	return is_white(c) ? STEP_MORE : take_token(p, c, ev);
}

enum step json_next(struct json *p, struct span *in, struct json_event *ev)
{
	while (in->len) {
		enum step step = take(p, in, ev);
		if (step == STEP_BAD)
			p->state = JSON_FAILED;
		if (step != STEP_MORE)
			return step;
	}
	return p->state == JSON_FAILED ? STEP_BAD : STEP_MORE;
}

bool json_done(const struct json *p)
{
	return p->depth == 0 &&
	       (p->state == JSON_AT_AFTER || (p->state == JSON_IN_NUMBER && number_complete(p)));
}
