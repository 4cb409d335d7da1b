/*
 * coding.h - content codings undone as their bytes come (RFC 9110 8.4): gzip, deflate, br, zstd.
 *
 *   while ((step = coding_next(c, &in, &piece)) == STEP_EVENT) ...
 *
 * What a coder flushed comes out at once, so that an event has the moment of the write that carried it.
 * All that a hostile body can make grow has a limit (limits.h): the window of one body, that of all bodies
 * together, and how much comes out, in all and for each byte that went in. Past one it is BAD for good,
 * as when it is no such coding.
 */
#ifndef HTTP_CODING_H
#define HTTP_CODING_H

#include "agent/base/span.h"
#include "agent/base/step.h"

#include <stdbool.h>

struct coding;

/* Whether the value of a Content-Encoding field says that nothing has to be undone. */
bool coding_is_identity(struct span codings);

/* `codings` is the value of the field: one coding, or two in the order in which they were applied. NULL:
 * an unknown one, more than two, or no memory. */
struct coding *coding_new(struct span codings);
void coding_free(struct coding *c);

/* The same for a value that may say that nothing has to be undone: then *c is NULL. False: it cannot be. */
bool coding_open(struct coding **c, struct span codings);

/* The next piece that came out, never empty; it dies at the next call. `in` is consumed from its front. */
enum step coding_next(struct coding *c, struct span *in, struct span *piece);

/* Bytes that all of them hold together. */
size_t coding_memory(void);

#endif
