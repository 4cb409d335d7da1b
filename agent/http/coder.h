/*
 * coder.h - one content coding, undone by the library that knows it. What coding.c chains and bounds.
 */
#ifndef HTTP_CODER_H
#define HTTP_CODER_H

#include "agent/base/span.h"
#include "agent/base/step.h"

struct coder {
	const char *name;
	const char *other_name; /* or NULL */
	void *(*open)(void);	/* NULL without memory */
	void (*close)(void *state);
	/* Takes from the front of *in and puts at most `room` bytes at `out`, *made of them. EVENT: *made is
	 * not 0, and there may be more. MORE: *in is used up. Behind the coding's own end what comes is
	 * dropped. */
	enum step (*run)(void *state, struct span *in, uint8_t *out, size_t room, size_t *made);
	/* Bytes that it holds now. */
	size_t (*memory)(const void *state);
};

extern const struct coder coder_gzip, coder_deflate, coder_brotli, coder_zstd;

#endif
