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

/* Scalars of ids from `first_kept` on may be kept. NULL without memory. */
struct json_shapes *json_shapes_new(const struct json_tree *t, uint16_t first_kept);
void json_shapes_free(struct json_shapes *s);

/* The events of the document; their number is in *count. NULL: it is like none that is known. They die at
 * the next call, or with the document. */
const struct json_event *json_shapes_events(struct json_shapes *s, struct span document,
					    size_t *count);

/* What the scanner read as a complete document, and json_shapes_events did not know. It takes the place
 * of the shape that was of no use for longest. Where few documents are alike, not each is learnt. */
void json_shapes_learn(struct json_shapes *s, struct span document);

#endif
