/* RFC 8878; the window is at most 8 MiB (RFC 9659 3). Frames may follow each other. */
#include "agent/http/coder.h"

#include <zstd.h>

#define WINDOW_LOG_MAX 23

static void *open_zstd(void)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	if (z && ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
		ZSTD_freeDStream(z);
		return NULL;
	}
	return z;
}

static void close_zstd(void *state)
{
	ZSTD_freeDStream(state);
}

static size_t memory(const void *state)
{
	return ZSTD_sizeof_DStream(state);
}

static enum step run_zstd(void *state, struct span *in, uint8_t *out, size_t room, size_t *made)
{
	ZSTD_inBuffer from = {in->at, in->len, 0};
	ZSTD_outBuffer to = {out, room, 0};
	do {
		size_t before = from.pos;
		if (ZSTD_isError(ZSTD_decompressStream(state, &to, &from)))
			return STEP_BAD;
		if (from.pos == before && !to.pos)
			break;
	} while (!to.pos && from.pos < from.size);
	span_skip(in, from.pos);
	*made = to.pos;
	return *made ? STEP_EVENT : STEP_MORE;
}

const struct coder coder_zstd = {"zstd", NULL, open_zstd, close_zstd, run_zstd, memory};
