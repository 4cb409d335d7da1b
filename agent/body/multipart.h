/*
 * multipart.h - the parts of a multipart/form-data body, in passing and in bounded memory (RFC 7578,
 * RFC 2046 5.1).
 *
 *   MULTIPART_PART  a part's fields are complete; `name` is its name, cut to MULTIPART_NAME_BYTES, empty
 *                   if it has none; `file` tells that it is a file
 *   MULTIPART_DATA  a piece of its content, not empty
 *   MULTIPART_END   the part is complete
 */
#ifndef BODY_MULTIPART_H
#define BODY_MULTIPART_H

#include "agent/base/span.h"
#include "agent/base/step.h"

#define MULTIPART_NAME_BYTES	 32u
#define MULTIPART_BOUNDARY_BYTES 70u  /* RFC 2046 5.1.1 */
#define MULTIPART_LINE_BYTES	 256u /* of a field line; more is not looked at */

enum multipart_event_type { MULTIPART_PART, MULTIPART_DATA, MULTIPART_END };

struct multipart_event {
	enum multipart_event_type type;
	struct span name; /* MULTIPART_PART; dies at the next call */
	bool file;	  /* MULTIPART_PART */
	struct span
		data; /* MULTIPART_DATA; borrowed from the input, or lives as long as the parser */
};

struct multipart {
	uint8_t state;
	bool file;
	uint8_t name_len;
	uint8_t delimiter_len;
	uint8_t matched;   /* of the delimiter, at the end of what was read */
	bool at_start;	   /* what is matched of it begins before the content */
	uint16_t line_len; /* of the present field line */
	uint8_t delimiter[4 + MULTIPART_BOUNDARY_BYTES]; /* CR LF - - boundary */
	uint8_t name[MULTIPART_NAME_BYTES];
	uint8_t line[MULTIPART_LINE_BYTES];
};

/* By the Content-Type of the body. False if that is not multipart/form-data, or has no boundary. */
bool multipart_init(struct multipart *p, struct span content_type);

/* Never BAD: what is no part is passed over. Nothing comes behind the closing delimiter. */
enum step multipart_next(struct multipart *p, struct span *in, struct multipart_event *ev);

#endif
