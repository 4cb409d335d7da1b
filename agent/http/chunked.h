/*
 * chunked.h - the chunked transfer coding (RFC 9112 7.1), one piece of data at a time.
 *
 * Nothing is kept: extensions and trailers are checked as they pass and are not told.
 */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include "agent/base/span.h"

enum chunked_state {
	CHUNKED_SIZE,	    /* hex digits of a chunk's size */
	CHUNKED_SIZE_SPACE, /* white space between the size and an extension or the line end */
	CHUNKED_SIZE_LF,    /* the LF behind the size's CR */
	CHUNKED_EXTENSION,  /* the rest of that line */
	CHUNKED_DATA,
	CHUNKED_DATA_END, /* the line end behind a chunk's data */
	CHUNKED_TRAILER,  /* the start of a trailer line, or of the blank one that ends the body */
	CHUNKED_TRAILER_NAME, /* up to its colon */
	CHUNKED_TRAILER_LINE,
};

struct chunked {
	uint64_t left;		/* of the chunk's data */
	uint32_t framing_bytes; /* of the present size line, or of all trailers: capped */
	uint8_t state;		/* enum chunked_state */
	bool has_digits;	/* of the present size line */
	bool cr;		/* the last byte was a CR that may begin a line end */
};

enum chunked_step { CHUNKED_PIECE, CHUNKED_MORE, CHUNKED_END, CHUNKED_BAD };

void chunked_init(struct chunked *c);
/* Consumes from `in`. PIECE: *piece is data, not empty. END: the body is complete. After BAD and END
 * it is not to be called again. */
enum chunked_step chunked_next(struct chunked *c, struct span *in, struct span *piece);
/* `bytes` are missing; true if they all were data of the present chunk. */
bool chunked_gap(struct chunked *c, uint64_t bytes);

#endif
