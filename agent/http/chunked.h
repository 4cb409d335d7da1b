/*
 * chunked.h - the chunked transfer coding (RFC 9112 7.1), one piece of data at a time.
 */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include "agent/base/span.h"

enum chunked_state {
	CHUNKED_SIZE,	   /* hex digits of a chunk's size */
	CHUNKED_EXTENSION, /* the rest of that line */
	CHUNKED_DATA,
	CHUNKED_DATA_END, /* the line end behind a chunk's data */
	CHUNKED_TRAILER, /* at the start of a trailer line, or of the blank one that ends the body */
	CHUNKED_TRAILER_LINE,
};

struct chunked {
	uint64_t left;		/* of the chunk's data */
	uint32_t framing_bytes; /* of the present line: extensions and trailers are capped */
	uint8_t state;
	uint8_t digits;
	bool cr; /* the last byte was a CR that may begin a line end */
};

enum chunked_step { CHUNKED_PIECE, CHUNKED_MORE, CHUNKED_END, CHUNKED_BAD };

void chunked_init(struct chunked *c);
/* Consumes from `in`. PIECE: *piece is data, not empty. END: the body is complete. */
enum chunked_step chunked_next(struct chunked *c, struct span *in, struct span *piece);
/* `bytes` are missing; true if they all were data of the present chunk. */
bool chunked_gap(struct chunked *c, uint64_t bytes);

#endif
