/*
 * head.h - one complete HTTP/1 head: start line and fields, and what they say of the body's length.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "agent/http/event.h"

enum head_framing {
	HEAD_NO_BODY,
	HEAD_LENGTH, /* `length` bytes follow (at least 1) */
	HEAD_CHUNKED,
	HEAD_UNTIL_CLOSE, /* responses: to the end of the connection */
};

struct head {
	struct http_head fields;
	enum head_framing framing; /* of the message by its own fields alone */
	uint64_t length;
};

/* Length of the head at the start of `in`, with the blank line that ends it; 0 if the end is not
 * there yet. */
size_t head_find_end(struct span in);

/* Reads a whole head. False if it is none, or if its framing is ambiguous. */
bool head_read_request(struct span text, struct head *h);
bool head_read_response(struct span text, struct head *h);

/*
 * Whether `piece` starts like a message: with a start line, or the beginning of one where the piece
 * ends before it does. A word in capitals and a space are not enough: many a line of prose has them.
 */
bool head_starts_request(struct span piece);
bool head_starts_response(struct span piece);

#endif
