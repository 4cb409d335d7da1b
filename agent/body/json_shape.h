/*
 * json_shape.h - documents that are alike: the events of one that repeats another but for its values.
 *
 * The events of a stream are built by the server from one template, so each document is the one before
 * with another text, another number. What a document is like is kept as a shape: its bytes, with holes
 * where scalars stand that may differ. A document that is the shape's bytes with other scalars of the
 * same type in the holes gives the same events as from the scanner, with those scalars for texts: which
 * characters a string has, and which digits a number, changes nothing else in how a document is read.
 * Only whole documents, in one piece; all else is the scanner's.
 *
 *     {"id":"","created":0,"model":"m","choices":[{"delta":{"content":""}}]}
 *            ^           ^          ^                               ^
 *
 * No byte of an answer is kept: of strings and numbers in a shape, only those whose ids the caller names.
 */
#ifndef BODY_JSON_SHAPE_H
#define BODY_JSON_SHAPE_H

#include "agent/body/json.h"

struct json_shapes;

/* What the caller wants to remember of a shape: memory with it, all zeros at first. */
struct json_shapes_notes {
	size_t bytes;			      /* of one */
	void (*drop)(void *user, void *note); /* its shape goes */
	void *user;
};

/* Scalars of ids from `first_kept` on may be kept. NULL without memory. */
struct json_shapes *json_shapes_new(const struct json_tree *t, uint16_t first_kept,
				    const struct json_shapes_notes *notes);
void json_shapes_free(struct json_shapes *s);

/* A document that is like a shape. It all dies at the next call, or with the document. */
struct json_known {
	size_t len;			 /* bytes of the document */
	const struct json_event *events; /* all of them, in their order */
	size_t count;
	/* Those of scalars that no shape keeps, by their number. The others are the same in each document
	 * that is given with this note; NULL: they may be others this time. */
	const uint16_t *open;
	size_t open_count;
	void *note;
};

/* Whether `in` begins with a document like one that is known. What is behind it is not looked at. *place is
 * where the one before it in its stream was found, and is looked at first: streams that come in turns have
 * different shapes. 0 before any. */
bool json_shapes_find(struct json_shapes *s, struct span in, uint8_t *place, struct json_known *k);

/* What the scanner read as a complete document, and json_shapes_find did not know. It takes the place
 * of the shape that was of no use for longest. Where few documents are alike, not each is learnt. */
void json_shapes_learn(struct json_shapes *s, struct span document);

#endif
