#include "agent/export/gzip.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#define WINDOW_BITS 15
#define GZIP_FORMAT 16 /* added to the window bits */

int gzip_pack(struct span plain, uint8_t **at, size_t *len)
{
	z_stream z = {0};
	/* The fastest level: names that repeat in every point shrink twentyfold already. */
	if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS + GZIP_FORMAT, MAX_MEM_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	size_t room = deflateBound(&z, plain.len);
	uint8_t *to = malloc(room);
	if (to) {
		z.next_in = (uint8_t *)plain.at;
		z.avail_in = (uInt)plain.len; /* requests are far below 4 GiB, limits.h */
		z.next_out = to;
		z.avail_out = (uInt)room;
		deflate(&z, Z_FINISH); /* ends: the bound was asked for */
		*at = to;
		*len = z.total_out;
	}
	deflateEnd(&z);
	return to ? 0 : -ENOMEM;
}
