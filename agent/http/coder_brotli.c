/* RFC 7932. The window is at most 16 MiB; the library takes it as it is filled, from the allocator here. */
#include "agent/http/coder.h"

#include <brotli/decode.h>
#include <stdlib.h>

struct state {
	BrotliDecoderState *brotli;
	size_t memory;
};

/* Each block has its size before it. */
#define BLOCK_HEAD 16u

static void *allocate(void *user, size_t size)
{
	struct state *s = user;
	size_t *block = size < SIZE_MAX - BLOCK_HEAD ? malloc(BLOCK_HEAD + size) : NULL;
	if (!block)
		return NULL;
	*block = size;
	s->memory += size;
	return (uint8_t *)block + BLOCK_HEAD;
}

static void release(void *user, void *at)
{
	struct state *s = user;
	if (!at)
		return;
	size_t *block = (size_t *)(void *)((uint8_t *)at - BLOCK_HEAD);
	s->memory -= *block;
	free(block);
}

static void *open_brotli(void)
{
	struct state *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->brotli = BrotliDecoderCreateInstance(allocate, release, s);
	if (s->brotli)
		return s;
	free(s);
	return NULL;
}

static void close_brotli(void *state)
{
	struct state *s = state;
	BrotliDecoderDestroyInstance(s->brotli);
	free(s);
}

static size_t memory(const void *state)
{
	return sizeof(struct state) + ((const struct state *)state)->memory;
}

static enum step run_brotli(void *state, struct span *in, uint8_t *out, size_t room, size_t *made)
{
	struct state *s = state;
	size_t left = in->len, room_left = room;
	const uint8_t *at = in->at;
	BrotliDecoderResult result = BROTLI_DECODER_RESULT_SUCCESS;
	if (!BrotliDecoderIsFinished(s->brotli))
		result = BrotliDecoderDecompressStream(s->brotli, &left, &at, &room_left, &out,
						       NULL);
	*made = room - room_left;
	if (result == BROTLI_DECODER_RESULT_ERROR)
		return *made ? STEP_EVENT : STEP_BAD; /* the library says it again */
	/* What comes behind the end is dropped. */
	span_skip(in, result == BROTLI_DECODER_RESULT_SUCCESS ? in->len : in->len - left);
	return *made ? STEP_EVENT : STEP_MORE;
}

const struct coder coder_brotli = {"br", NULL, open_brotli, close_brotli, run_brotli, memory};
