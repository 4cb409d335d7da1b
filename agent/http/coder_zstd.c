/* RFC 8878; the window is at most 8 MiB (RFC 9659 3). Frames may follow each other. */
#include "agent/http/coder.h"

#include <stdbool.h>
#include <stdlib.h>
#include <zstd.h>

#define WINDOW_LOG_MAX 23
#define MAGIC_BYTES    4u

struct zstd {
	ZSTD_DStream *stream;
	unsigned magic_seen; /* bytes of the frame's magic number that were looked at */
	bool skippable;	     /* by the first of them */
};

static void close_zstd(void *state)
{
	struct zstd *z = state;
	ZSTD_freeDStream(z->stream);
	free(z);
}

static void *open_zstd(void)
{
	struct zstd *z = calloc(1, sizeof(*z));
	if (!z)
		return NULL;
	z->stream = ZSTD_createDStream();
	if (z->stream &&
	    !ZSTD_isError(ZSTD_DCtx_setParameter(z->stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
		return z;
	close_zstd(z);
	return NULL;
}

static size_t memory(const void *state)
{
	const struct zstd *z = state;
	return sizeof(*z) + ZSTD_sizeof_DStream(z->stream);
}

/*
 * The library may be built to read what came before the RFC, too, which it knows by its magic number if
 * that comes in one piece and refuses if not. Only what the RFC has (3.1.1, 3.1.2) is a frame here.
 */
static bool is_frame(struct zstd *z, struct span in)
{
	static const uint8_t plain[MAGIC_BYTES] = {0x28, 0xb5, 0x2f, 0xfd};
	static const uint8_t skip[MAGIC_BYTES] = {0x50, 0x2a, 0x4d, 0x18}; /* 0x50 to 0x5f */
	for (; in.len && z->magic_seen < MAGIC_BYTES; span_skip(&in, 1)) {
		uint8_t byte = in.at[0];
		if (!z->magic_seen && (byte & 0xf0) == skip[0]) {
			z->skippable = true;
			byte = skip[0];
		}
		if (byte != (z->skippable ? skip : plain)[z->magic_seen++])
			return false;
	}
	return true;
}

/* One call of the library, which stops at the end of a frame. */
static bool decompress(struct zstd *z, struct span *in, ZSTD_outBuffer *to)
{
	if (!is_frame(z, *in))
		return false;
	ZSTD_inBuffer from = {in->at, in->len, 0};
	size_t left = ZSTD_decompressStream(z->stream, to, &from);
	span_skip(in, from.pos);
	if (!left) {
		z->magic_seen = 0;
		z->skippable = false;
	}
	return !ZSTD_isError(left);
}

static enum step run_zstd(void *state, struct span *in, uint8_t *out, size_t room, size_t *made)
{
	ZSTD_outBuffer to = {out, room, 0};
	size_t before;
	do {
		before = in->len;
		if (!decompress(state, in, &to))
			return STEP_BAD;
	} while (!to.pos && in->len && in->len < before);
	*made = to.pos;
	return *made ? STEP_EVENT : STEP_MORE;
}

const struct coder coder_zstd = {"zstd", NULL, open_zstd, close_zstd, run_zstd, memory};
