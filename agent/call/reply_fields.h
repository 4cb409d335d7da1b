/*
 * reply_fields.h - the fields of a response's documents that mean something: one table for all dialects.
 */
#ifndef CALL_REPLY_FIELDS_H
#define CALL_REPLY_FIELDS_H

#include "agent/call/tokens.h"

struct json_tree;

/* What is told where a field is found. */
enum reply_want {
	WANT_TEXT = 1, /* a string: generated material where it is not empty */
	WANT_PARTS,    /* an array or object: the same */
	WANT_WHOLE,    /* a string or array: the same, where there is no delta or text beside it */
	WANT_SAYS,     /* there is */
	WANT_LOOSE,    /* a string: the same, in a document without a type */
	WANT_DELTA,    /* a string: the same, in one without, or whose type is a delta */
	WANT_DELTA_PARTS, /* the same, an array or object */
	WANT_BLOCK,	  /* a string: the same, where a block begins */
	WANT_BLOCK_PARTS, /* the same, an object */
	WANT_BLOCK_TYPE,
	WANT_TYPE,
	WANT_CHOICE_INDEX,
	WANT_INDEX,
	WANT_ELEMENT,
	WANT_MODEL,
	WANT_FINISH,
	WANT_CHOICE_FINISH,
	WANT_STOP_TYPE,
	WANT_STATUS,
	WANT_FINGERPRINT,
	WANT_ERROR,
	WANT_OBJECT,
	WANT_MARK_SGLANG,
	WANT_MARK_TENSORRT,
	WANT_MARK_MISTRALRS,
	WANT_MARK_LLAMACPP,
	WANT_GROWING_OUTPUT,
	WANT_COUNT, /* and its enum token_count */
};

/* Strings and numbers of the ids before it are what was generated, or may be. */
#define WANT_FIRST_NAME WANT_BLOCK_TYPE

/* The compiled table, which lives as long as the program. NULL without memory. */
const struct json_tree *reply_fields(void);

#endif
