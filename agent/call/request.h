/*
 * request.h - what an inference request asks for: the model and whether it streams.
 */
#ifndef CALL_REQUEST_H
#define CALL_REQUEST_H

#include "agent/base/limits.h"
#include "agent/base/span.h"

struct json;

struct request {
	struct json *scan; /* while the body is read */
	char model[LIMIT_MODEL_BYTES];
	bool stream;
	bool unread; /* part of it could not be read: what was not found may have been there */
};

/* 0 or -ENOMEM. A zeroed struct is released. */
int request_init(struct request *r);
void request_release(struct request *r);
void request_body(struct request *r, struct span bytes);
/* What is left cannot be read: bytes are missing, or it is compressed. What was found stays. */
void request_unreadable(struct request *r);
/* The body is complete; gives the scanner's memory back. What was found stays. */
void request_end(struct request *r);

#endif
