/*
 * JSON by json.h and by JavaScript's JSON.parse: which documents are well-formed, and what is wanted of them.
 * JSON.parse builds the whole value, ours tells of it as it passes: its events are put together as a reader
 * would that keeps the last of a key's values, and both are written down alike (json.js has the form).
 */
#include "tests/oracles/body/json_depth.h"
#include "tests/oracles/body/json_makes.h"
#include "tests/oracles/node.h"
#include "tests/oracles/oracle.h"
#include "tests/oracles/replaced.h"

#include "agent/body/json.h"

#include <math.h>

/* As in json.js, where members of an object are told in this order. */
enum {
	ID_TOP = 1,
	ID_TOP_MODEL,
	ID_MODEL,
	ID_N,
	ID_USAGE,
	ID_TOTAL,
	ID_CHOICES,
	ID_CHOICE,
	ID_TEXT,
	ID_DELTA,
	ID_CONTENT,
	ID_SCORES,
	ID_SCORE,
	IDS
};

static const struct json_want wants[] = {
	{"[]", ID_TOP},
	{"[].model", ID_TOP_MODEL},
	{"model", ID_MODEL},
	{"n", ID_N},
	{"usage", ID_USAGE},
	{"usage.total", ID_TOTAL},
	{"choices", ID_CHOICES},
	{"choices[]", ID_CHOICE},
	{"choices[].text", ID_TEXT},
	{"choices[].delta", ID_DELTA},
	{"choices[].delta.content", ID_CONTENT},
	{"scores", ID_SCORES},
	{"scores[]", ID_SCORE},
};

/* As much is told of a text: what was cut has it for certain, before what may be half a sequence. */
#define TEXT_BYTES   250
#define WORDS_OF(n)  #n
#define DIGITS_OF(n) WORDS_OF(n)
_Static_assert(TEXT_BYTES <= LIMIT_JSON_TEXT_BYTES - 6, "of a cut text there is less");

/* More digits than ours keeps. */
static void make_long_number(struct chance *c, struct text *to)
{
	say(to, one_in(c, 2) ? "{\"n\":0." : "{\"n\":1");
	for (unsigned n = LIMIT_JSON_TEXT_BYTES - 5 + below(c, 40); n; n--)
		put_byte(to, '0' + below(c, 10));
	say(to, "}");
}

static struct chance make_input(uint64_t seed, struct text *to)
{
	static const char telling[] = "\"\"{}[],:\\u0e.-+ \n\0\xff"
				      "dD8tfn";
	static struct text document;
	struct chance c = chance_of(seed);
	struct maker m = {c, chance_of(~seed), &document};
	m.scalars.odd = c.odd;
	document.len = 0;
	put(&document, "", 0);
	if (one_in(&c, 400))
		make_long_number(&c, &document);
	else
		make_document(&m);
	if (c.odd && one_in(&c, 3))
		mutate(&c, &document, telling, sizeof(telling) - 1);
	put(to, document.at, document.len);
	return c;
}

static void put_input(uint64_t seed, struct text *to)
{
	make_input(seed, to);
}

/* ---- ours: events put together --------------------------------------------------------------------- */

enum row { ROW_TEXT_CUT, ROW_MINUS_ZERO, ROW_ROUNDED, ROW_NUMBER_CUT, ROW_DEEP, ROWS };

static struct allowed table[ROWS] = {
	[ROW_TEXT_CUT] = {"a string of more than LIMIT_JSON_TEXT_BYTES: ours has its start", 0},
	[ROW_NUMBER_CUT] = {"a number of more than LIMIT_JSON_TEXT_BYTES: ours has its start", 0},
	[ROW_MINUS_ZERO] = {"-0: negative to json_whole, a whole number to JavaScript", 0},
	[ROW_ROUNDED] = {"a double rounds to a whole number what is none, or is above 2^53", 0},
	[ROW_DEEP] = {"deeper than LIMIT_JSON_DEPTH brackets are counted, not paired", 0},
};

#define MOST_VALUES 8192u
#define NO_VALUE    0u

/* How it is written lies in `scalars`: without its id and, of a container, the opening bracket alone. The
 * first is the document; it is nobody's member. */
struct value {
	unsigned id, parent, first, last, next;
	size_t at, end;
	bool container, empty;
};

static struct value values[MOST_VALUES];
static unsigned count, open_value;
static struct text scalars, ours;
static bool seen[ROWS];

static bool is_element(unsigned id)
{
	return id == ID_TOP || id == ID_CHOICE || id == ID_SCORE;
}

/* In the place of the member that has this id; else, and for an element, at the end. */
static struct value *add_value(unsigned id)
{
	struct value *parent = &values[open_value];
	unsigned at = is_element(id) ? NO_VALUE : parent->first;
	while (at != NO_VALUE && values[at].id != id)
		at = values[at].next;
	if (at == NO_VALUE) {
		if (count == MOST_VALUES)
			abort();
		at = count++;
		if (parent->first == NO_VALUE)
			parent->first = at;
		else
			values[parent->last].next = at;
		parent->last = at;
		values[at].next = NO_VALUE;
	}
	values[at] = (struct value){
		.id = id, .parent = open_value, .next = values[at].next, .at = scalars.len};
	return &values[at];
}

static void write_text(struct text *t, struct span raw, bool cut)
{
	static struct text replaced;
	replaced.len = 0;
	put(&replaced, "", 0);
	put_replaced(&replaced, raw);
	seen[ROW_TEXT_CUT] |= cut;
	cut |= replaced.len > TEXT_BYTES;
	put_u32(t, cut ? UINT32_MAX : replaced.len);
	put(t, replaced.at, replaced.len > TEXT_BYTES ? TEXT_BYTES : replaced.len);
}

/* An exponent; of one that no double has, as much as leaves room to count. */
static long power_told(const char *literal)
{
	const long most = 1000000000;
	long power = strtol(literal, NULL, 10);
	return power > most ? most : power < -most ? -most : power;
}

/* The digits of a JSON number that are no zeros around it, and the power of ten behind them. */
static long digits_of(const char *literal, struct text *digits)
{
	long power = 0;
	bool fraction = false;
	digits->len = 0;
	put(digits, "", 0);
	for (literal += *literal == '-'; *literal && !strchr("eE", *literal); literal++) {
		fraction |= *literal == '.';
		if (*literal == '.' || (*literal == '0' && !digits->len && !fraction))
			continue;
		power -= fraction;
		if (*literal != '0' || digits->len)
			put_byte(digits, (uint8_t)*literal);
	}
	if (*literal)
		power += power_told(literal + 1);
	for (; digits->len && digits->at[digits->len - 1] == '0'; digits->len--)
		power++;
	return digits->len ? power : 0;
}

/* Whether a literal is the whole number that its double is. */
static bool is_exactly(const char *literal, double value)
{
	static struct text ones, others;
	char whole[32];
	snprintf(whole, sizeof(whole), "%.0f", value);
	return digits_of(literal, &ones) == digits_of(whole, &others) && ones.len == others.len &&
	       (!ones.len || !memcmp(ones.at, others.at, ones.len));
}

/* What json_whole says of a literal, beside the double that it is: as JavaScript has it, if a row of the
 * table explains what differs. */
static uint8_t whole_of(struct span text, const char *literal, double value)
{
	uint64_t whole = 0;
	bool is_whole = json_whole(text, &whole),
	     double_is = value >= 0 && value <= 0x1p53 && floor(value) == value;
	if (is_whole && (!double_is || (double)whole != value))
		return 2; /* never right */
	if (is_whole || !double_is)
		return is_whole;
	enum row row = value == 0 && signbit(value) ? ROW_MINUS_ZERO : ROW_ROUNDED;
	if (row == ROW_ROUNDED && is_exactly(literal, value))
		return 0;
	seen[row] = true;
	return 1;
}

/* Of a number that was cut nothing can be compared. */
static void write_number(struct text *t, struct span text, bool cut)
{
	char literal[LIMIT_JSON_TEXT_BYTES + 1];
	span_copy(text, literal, sizeof(literal));
	double value = strtod(literal, NULL);
	seen[ROW_NUMBER_CUT] |= cut;
	put(t, &value, sizeof(value));
	put_byte(t, whole_of(text, literal, value));
}

static void take_event(const struct json_event *ev)
{
	static const char letters[] = {
		[JSON_STRING] = 's', [JSON_NUMBER] = 'n', [JSON_TRUE] = 't', [JSON_FALSE] = 'f',
		[JSON_NULL] = 'z',   [JSON_OBJECT] = '{', [JSON_ARRAY] = '['};
	if (ev->closes) {
		values[open_value].empty = ev->empty;
		open_value = values[open_value].parent;
		return;
	}
	struct value *v = add_value(ev->id);
	put_byte(&scalars, (uint8_t)letters[ev->type]);
	if (ev->type == JSON_STRING)
		write_text(&scalars, ev->text, ev->cut);
	else if (ev->type == JSON_NUMBER)
		write_number(&scalars, ev->text, ev->cut);
	v->end = scalars.len;
	v->container = ev->type == JSON_OBJECT || ev->type == JSON_ARRAY;
	if (v->container)
		open_value = (unsigned)(v - values);
}

static void write_inside(const struct value *v);

static void write_value(const struct value *v)
{
	put_byte(&ours, v->id);
	put(&ours, scalars.at + v->at, v->end - v->at);
	if (!v->container)
		return;
	write_inside(v);
	put_byte(&ours, scalars.at[v->at] == '{' ? '}' : ']');
	put_byte(&ours, v->empty);
}

/* Elements have one id, members one each. */
static void write_inside(const struct value *v)
{
	for (unsigned id = 1; id < IDS; id++) {
		for (unsigned at = v->first; at != NO_VALUE; at = values[at].next) {
			if (values[at].id == id)
				write_value(&values[at]);
		}
	}
}

/* Writes it as json.js does: nothing if the document is not well-formed. */
static void read_ours(struct json *json, struct chance *c, struct span doc)
{
	size_t most = one_in(c, 2) ? doc.len : 1 + below(c, 30);
	enum step step = STEP_MORE;
	json_reset(json);
	values[0] = (struct value){.first = NO_VALUE};
	count = 1;
	open_value = 0;
	scalars.len = ours.len = 0;
	while (doc.len && step != STEP_BAD) {
		size_t n = most >= doc.len ? doc.len : 1 + below(c, (unsigned)most);
		uint8_t *copy = malloc(n);
		struct span piece = span_of(memcpy(copy, doc.at, n), n);
		struct json_event ev;
		span_skip(&doc, n);
		while ((step = json_next(json, &piece, &ev)) == STEP_EVENT)
			take_event(&ev);
		free(copy);
	}
	if (step == STEP_BAD || !json_done(json))
		return;
	put_byte(&ours, 0);
	write_inside(&values[0]);
}

/* ---- beside node ----------------------------------------------------------------------------------- */

static bool is_deep(struct span doc)
{
	static struct text ignored;
	ignored.len = 0;
	return put_shallow(&ignored, doc);
}

static int compare(struct span doc, struct span theirs)
{
	if (seen[ROW_NUMBER_CUT] && ours.len == theirs.len)
		return ROW_NUMBER_CUT;
	if (theirs.len != ours.len || (ours.len && memcmp(ours.at, theirs.at, ours.len)))
		return !theirs.len && is_deep(doc) ? ROW_DEEP : ORACLE_WRONG;
	for (int row = ROW_ROUNDED; row >= 0; row--) {
		if (seen[row])
			return row;
	}
	return ORACLE_SAME;
}

static struct node_reader node = {
	.script = "node/json.js", .argument = DIGITS_OF(TEXT_BYTES), .put_input = put_input};
static struct json *json;

static int one(uint64_t seed, bool show)
{
	static struct text document;
	struct span theirs = node_said(&node, seed);
	document.len = 0;
	memset(seen, 0, sizeof(seen));
	struct chance c = make_input(seed, &document);
	struct span doc = span_of(document.at, document.len);
	read_ours(json, &c, doc);
	if (show) {
		show_bytes("document: ", doc.at, doc.len);
		show_bytes("ours: ", ours.at, ours.len);
		show_bytes("JSON.parse: ", theirs.at, theirs.len);
	}
	return compare(doc, theirs);
}

int main(int argc, char **argv)
{
	struct json_tree *tree = json_tree_new(wants, sizeof(wants) / sizeof(wants[0]));
	json = tree ? json_new(tree) : NULL;
	if (!json)
		return 2;
	struct oracle o = {"JSON beside JSON.parse", table, ROWS, one};
	node_start(&node);
	int status = oracle_main(argc, argv, &o);
	json_free(json);
	json_tree_free(tree);
	return status;
}
