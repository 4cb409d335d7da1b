/*
 * json_makes.h - a JSON document, made up: what servers write, what the grammar allows beyond, and what is
 * none. Its keys are those that its readers want, and some beside.
 */
#ifndef TESTS_ORACLES_JSON_MAKES_H
#define TESTS_ORACLES_JSON_MAKES_H

#include "tests/oracles/chance.h"

#include <stdio.h>

/* How a document is built, and which scalars it has: two rows of choices. */
struct maker {
	struct chance build, scalars;
	struct text *to;
};

static inline void white(struct maker *m)
{
	static const char *const some[] = {" ", "\n", "\t", "\r\n", "   "};
	static const char *const wrong[] = {"\f",   "\v", "\xc2\xa0", "\xef\xbb\xbf",
					    "\x1e", "\b", "/**/"};
	if (odd(&m->build) && one_in(&m->build, 20))
		put_byte(m->to, 0);
	if (one_in(&m->build, 8))
		say(m->to, odd(&m->build) && one_in(&m->build, 3) ? PICK(&m->build, wrong)
								  : PICK(&m->build, some));
}

static inline void make_escape(struct maker *m, unsigned code)
{
	char text[8];
	snprintf(text, sizeof(text), "\\u%04x", code & 0xffffu);
	say(m->to, text);
}

/* A code point beside a bound of something, or any. */
static inline void make_code(struct maker *m, struct chance *c)
{
	static const unsigned bounds[] = {0x01,	   0x1f,    0x7f,    0x80,     0x7ff,
					  0x800,   0xd7ff,  0xe000,  0xfffd,   0xffff,
					  0x10000, 0x103ff, 0x10400, 0x10fc00, 0x10ffff};
	static const unsigned halves[] = {0xd800, 0xdbff, 0xdc00, 0xdfff};
	unsigned code = one_in(c, 2) ? PICK(c, bounds) : 1 + below(c, 0xd7ff);
	if (odd(c)) {
		make_escape(m, PICK(c, halves));
	} else if (code < 0x10000) {
		make_escape(m, code);
	} else {
		make_escape(m, 0xd800 + ((code - 0x10000) >> 10));
		make_escape(m, 0xdc00 + (code & 0x3ff));
	}
}

static inline void make_string(struct maker *m, struct chance *c)
{
	static const char *const parts[] = {"a",
					    "hello ",
					    "\xc3\xa9",
					    "\xe2\x82\xac",
					    "\xf0\x9f\x98\x80",
					    "/",
					    "\\n",
					    "\\\"",
					    "\\\\",
					    "\\/",
					    "\\u00e9",
					    "\\u20AC",
					    "\\ud83d\\ude00",
					    "\\u0041",
					    "\\t",
					    "\x7f",
					    "{\\\"a\\\":1}",
					    "0123456789abcdef",
					    "data: "};
	static const char *const wrong[] = {"\n",
					    "\x1f",
					    "\\x",
					    "\\u12g4",
					    "\\",
					    "\xff",
					    "\xc3",
					    "\\ud800",
					    "\\udc00",
					    "\\ud800\\u0041",
					    "\\u0000",
					    "\\ud83d\\n",
					    "\"",
					    "\xed\xa0\x80",
					    "\\U0041",
					    "\xc0\x80",
					    "\xe2\x82",
					    "\xf0\x9f\x98",
					    "\xf4\x90\x80\x80",
					    "\x80",
					    "\xed\xa0\xbd\xed\xb8\x80",
					    "\\ud83d\\ud83d\\ude00",
					    "\\ude00\\ud83d",
					    "\\ud83d\\",
					    "\\ud83d\\u",
					    "\\u 041",
					    "\\u004",
					    "\\ud83d\xf0\x9f\x98\x80",
					    "\\a",
					    "\\'",
					    "\r",
					    "\t",
					    "\\\n"};
	unsigned n = one_in(c, 40) ? 20 + below(c, 300) : below(c, 6);
	say(m->to, "\"");
	for (; n; n--) {
		if (one_in(c, 10))
			make_code(m, c);
		else
			say(m->to, odd(c) && one_in(c, 6) ? PICK(c, wrong) : PICK(c, parts));
	}
	say(m->to, "\"");
}

static inline void make_digits(struct maker *m, struct chance *c, unsigned n)
{
	for (; n; n--)
		put_byte(m->to, '0' + below(c, 10));
}

/* Any number of digits in each part that the grammar has. */
static inline void make_any_number(struct maker *m, struct chance *c)
{
	static const char *const signs[] = {"e", "E", "e+", "E+", "e-", "E-"};
	unsigned most = one_in(c, 4) ? 25 : 6;
	if (one_in(c, 4))
		say(m->to, "-");
	if (one_in(c, 4)) {
		say(m->to, "0");
	} else {
		put_byte(m->to, '1' + below(c, 9));
		make_digits(m, c, below(c, most));
	}
	if (one_in(c, 2)) {
		say(m->to, ".");
		make_digits(m, c, 1 + below(c, most));
	}
	if (one_in(c, 3)) {
		say(m->to, PICK(c, signs));
		make_digits(m, c, 1 + below(c, one_in(c, 8) ? 4 : 2));
	}
}

static inline void make_number(struct maker *m, struct chance *c)
{
	static const char *const some[] = {"0",
					   "1",
					   "42",
					   "123456",
					   "9007199254740992",
					   "9007199254740993",
					   "9007199254740991",
					   "-1",
					   "-0",
					   "0.0",
					   "12.0",
					   "1e3",
					   "1E+3",
					   "1.5e1",
					   "100e-2",
					   "0.1",
					   "1e-7",
					   "2.50",
					   "1.7976931348623157e308",
					   "9223372036854775807",
					   "12345678901234567.0",
					   "0e5",
					   "1000000000000000000000e-18",
					   "3.0000000000000000000"};
	static const char *const wrong[] = {"01",
					    "+1",
					    "1.",
					    ".5",
					    "1e",
					    "1e+",
					    "-",
					    "0x1",
					    "1_0",
					    "NaN",
					    "Infinity",
					    "1e400",
					    "9223372036854775808",
					    "-9223372036854775809",
					    "--1",
					    "1.e1",
					    "1e1.5",
					    "00"};
	if (one_in(c, 3))
		make_any_number(m, c);
	else
		say(m->to, odd(c) && one_in(c, 4) ? PICK(c, wrong) : PICK(c, some));
}

static inline void make_scalar(struct maker *m)
{
	static const char *const words[] = {"true", "false", "null"};
	static const char *const wrong[] = {"True",	 "nul",	     "nulll", "",     "undefined",
					    "'a'",	 "t",	     "truE",  "fals", "NULL",
					    "-Infinity", "nullnull", "true1", "1true"};
	switch (below(&m->build, 5)) {
	case 0:
		say(m->to, odd(&m->build) ? PICK(&m->build, wrong) : PICK(&m->build, words));
		break;
	case 1:
	case 2:
		make_number(m, &m->scalars);
		break;
	default:
		make_string(m, &m->scalars);
	}
}

static inline void make_value(struct maker *m, unsigned depth);

static inline void make_key(struct maker *m)
{
	static const char *const keys[] = {
		"model",  "n",	"usage",  "total",   "choices", "text", "delta",  "content",
		"scores", "id", "object", "created", "",	"usag", "usages", "finish_reason"};
	static const char *const escaped[] = {"mod\\u0065l", "\\u006e", "tex\\u0074", "usage.total",
					      "choices[]"};
	if (one_in(&m->build, 30)) {
		make_string(m, &m->build);
		return;
	}
	say(m->to, "\"");
	if (odd(&m->build) && one_in(&m->build, 10))
		say(m->to, "\\u0000");
	say(m->to, one_in(&m->build, 12) ? PICK(&m->build, escaped) : PICK(&m->build, keys));
	say(m->to, "\"");
}

static inline void comma(struct maker *m)
{
	static const char *const wrong[] = {"", ",,", ";", ",]", "}"};
	white(m);
	say(m->to, odd(&m->build) ? PICK(&m->build, wrong) : ",");
}

static inline void make_object(struct maker *m, unsigned depth)
{
	say(m->to, "{");
	for (unsigned n = below(&m->build, 5), i = 0; i < n; i++) {
		if (i)
			comma(m);
		white(m);
		make_key(m);
		white(m);
		say(m->to, odd(&m->build) ? "=" : ":");
		white(m);
		make_value(m, depth);
	}
	white(m);
	say(m->to, odd(&m->build) ? ",}" : "}");
}

static inline void make_array(struct maker *m, unsigned depth)
{
	say(m->to, "[");
	for (unsigned n = below(&m->build, 4), i = 0; i < n; i++) {
		if (i)
			comma(m);
		make_value(m, depth);
	}
	white(m);
	say(m->to, odd(&m->build) ? ",]" : "]");
}

static inline void make_value(struct maker *m, unsigned depth)
{
	unsigned kind = depth > 7 ? 9 : below(&m->build, 10);
	white(m);
	if (kind < 3)
		make_object(m, depth + 1);
	else if (kind < 5)
		make_array(m, depth + 1);
	else
		make_scalar(m);
}

/* What the wanted paths are made for: most documents that are random have none of them. */
static inline void make_chunk(struct maker *m)
{
	say(m->to, "{\"model\":");
	make_scalar(m);
	comma(m);
	say(m->to, "\"choices\":[{\"text\":");
	make_value(m, 5);
	say(m->to, "},{\"delta\":{\"content\":");
	make_scalar(m);
	comma(m);
	make_key(m);
	say(m->to, ":");
	make_value(m, 5);
	say(m->to, "}}],\"scores\":[");
	make_number(m, &m->scalars);
	comma(m);
	make_value(m, 6);
	say(m->to, "],\"usage\":{\"total\":");
	make_number(m, &m->scalars);
	say(m->to, "}}");
}

/* Past LIMIT_JSON_DEPTH ours counts brackets, of which those in strings are none. */
static inline void make_deep(struct maker *m)
{
	static const char *const inside[] = {"",	   "1",	    "\"]}[{\"",	   "\"\\\"]\"",
					     "{\"a\":[]}", "[],{}", "\"\\u005d\"", "1,2,\"a\"",
					     "\"\n\"",	   "}"};
	static const char opened[] = "[{", closed[] = "]}";
	uint8_t kinds[1060];
	unsigned n = 1000 + below(&m->build, 60), objects = below(&m->build, 3);
	bool crossed = one_in(&m->build, 4);
	for (unsigned i = 0; i < n; i++) {
		kinds[i] = objects == 2 ? one_in(&m->build, 2) : (uint8_t)objects;
		put_byte(m->to, (uint8_t)opened[kinds[i]]);
		if (kinds[i])
			say(m->to, "\"a\":");
	}
	say(m->to, PICK(&m->build, inside));
	for (unsigned i = n; i > one_in(&m->build, 4); i--)
		put_byte(m->to, (uint8_t)closed[kinds[i - 1] ^ (crossed && i == n)]);
}

static inline void make_document(struct maker *m)
{
	if (one_in(&m->build, 300)) {
		make_deep(m);
		return;
	}
	if (one_in(&m->build, 2))
		make_chunk(m);
	else if (one_in(&m->build, 5))
		make_value(m, 0);
	else
		make_object(m, 0);
	white(m);
	if (odd(&m->build))
		say(m->to, one_in(&m->build, 2) ? "x" : "{}");
}

#endif
