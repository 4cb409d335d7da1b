/*
 * json.h - the wanted values of one JSON document, in passing and in bounded memory (RFC 8259).
 *
 * The document streams through; nothing of it is kept but the start of a wanted value that is cut
 * by the end of the input. A request's "model" may follow 50 MB of base64.
 *
 * What is wanted is a table of paths, compiled once into a tree. A path is keys joined by '.';
 * "[]" stands for any element of an array:
 *     "model"   "usage.completion_tokens"   "choices[].delta.content"   "[].relevance_score"
 * Keys are compared after their escapes are undone ("mod\u0065l" is model). Of duplicate keys each
 * one gives an event: the caller keeps the last, as the servers' own parsers do.
 */
#ifndef BODY_JSON_H
#define BODY_JSON_H

#include "agent/base/limits.h"
#include "agent/base/span.h"
#include "agent/base/step.h"

/* One wanted path. `id` is the caller's and at least 1. */
struct json_want {
	const char *path;
	uint16_t id;
};

struct json_tree; /* compiled; immutable, shared by any number of scanners */

/* NULL without memory, and for what is no path: one that is empty, there already, has a key of more
 * than 40 bytes or 16 levels, or the id 0. */
struct json_tree *json_tree_new(const struct json_want *wants, size_t count);
void json_tree_free(struct json_tree *t);

enum json_type {
	JSON_STRING,
	JSON_NUMBER,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NULL,
	JSON_OBJECT,
	JSON_ARRAY
};

/*
 * A wanted value. A scalar comes when it is complete; `text` is a string's content with its escapes
 * undone, or a number's literal, cut to LIMIT_JSON_TEXT_BYTES (`cut` says so). It is borrowed from
 * the input or the scanner and dies at the next call on the scanner, or with the input. An object or
 * array comes when its bracket opens, and again (`closes`) when it closes, `empty` if nothing was in it.
 */
struct json_event {
	uint16_t id;
	enum json_type type;
	bool closes;
	bool empty; /* string without content; object or array without members (with `closes`) */
	bool cut;
	struct span text;
};

struct json;

struct json *json_new(const struct json_tree *t); /* NULL without memory */
void json_free(struct json *p);
/* Begins a new document. */
void json_reset(struct json *p);
/* A whole document was read without it (json_shape.h): what follows is taken as behind a document. */
void json_skip_document(struct json *p);

/* BAD at the first byte that cannot be JSON; text after a complete document is BAD too, white space
 * is not. Invalid UTF-8 and lone surrogates in strings are let pass (servers differ). */
enum step json_next(struct json *p, struct span *in, struct json_event *ev);

/* The input ended. Returns true if the document is complete. */
bool json_done(const struct json *p);

/* The whole number that `text` says; false if it is none, negative or above 2^53. "12.0" and "1e3"
 * are whole numbers. */
bool json_whole(struct span text, uint64_t *value);

#endif
