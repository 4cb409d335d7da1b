/*
 * records.h - inputs that a program in Python makes, read from pipes.
 *
 * WORKERS of them are started, the n-th with the arguments FIRST + n and WORKERS: it writes the records of the
 * seeds FIRST + n, FIRST + n + WORKERS, ... in that order until nobody reads. A record is a u32 length and that
 * many bytes, of which the first eight are its seed; numbers are little-endian, as the machine's.
 */
#ifndef TESTS_ORACLES_RECORDS_H
#define TESTS_ORACLES_RECORDS_H

#include "agent/base/span.h"
#include "tests/oracles/chance.h"

#include <stdio.h>
#include <unistd.h>

#define RECORDS_WORKERS	 2u
#define RECORDS_PATIENCE 120u /* seconds; a maker that is silent for so long is broken */

struct records {
	const char *script; /* in tests/oracles */
	FILE *from[RECORDS_WORKERS];
	uint64_t first, present; /* seeds: of the first record, of the one in `text` */
	struct text text;
};

static inline void records_fail(const struct records *r, const char *what)
{
	fprintf(stderr, "tests/oracles/%s: %s\n", r->script, what);
	exit(2);
}

/* The build folder is BUILD, or build; the working directory is the repository's root. */
static inline void records_begin(struct records *r, uint64_t first)
{
	const char *build = getenv("BUILD");
	char command[1024];
	r->first = first;
	for (unsigned i = 0; i < RECORDS_WORKERS; i++) {
		snprintf(command, sizeof(command),
			 "exec '%s/venv/bin/python' 'tests/oracles/%s' %llu %u",
			 build ? build : "build", r->script, (unsigned long long)(first + i),
			 RECORDS_WORKERS);
		r->from[i] = popen(command, "r");
		if (!r->from[i])
			records_fail(r, "cannot be started");
	}
}

static inline void records_end(struct records *r)
{
	alarm(0);
	for (unsigned i = 0; i < RECORDS_WORKERS; i++) {
		if (r->from[i])
			pclose(r->from[i]);
	}
	free(r->text.at);
}

/* The record of `seed` behind its seed. They are asked for one after the other, or the last one again. */
static inline struct span records_get(struct records *r, uint64_t seed)
{
	uint32_t len;
	if (!r->from[0])
		records_begin(r, seed);
	if (!r->text.len || r->present != seed) {
		FILE *from = r->from[(seed - r->first) % RECORDS_WORKERS];
		alarm(RECORDS_PATIENCE);
		if (fread(&len, sizeof(len), 1, from) != 1 || len < sizeof(seed))
			records_fail(r, "ended");
		make_room(&r->text, len);
		if (fread(r->text.at, 1, len, from) != len)
			records_fail(r, "ended inside a record");
		r->text.len = len;
		memcpy(&r->present, r->text.at, sizeof(r->present));
		if (r->present != seed)
			records_fail(r, "wrote another record than was expected");
	}
	return span_of(r->text.at + sizeof(seed), r->text.len - sizeof(seed));
}

/* ---- what a record has ------------------------------------------------------------------------------- */

static inline uint32_t get_number(struct span *s, unsigned bytes)
{
	uint32_t n = 0;
	if (s->len < bytes)
		abort();
	memcpy(&n, s->at, bytes);
	span_skip(s, bytes);
	return n;
}

/* Bytes behind their length. */
static inline struct span get_bytes(struct span *s)
{
	uint32_t len = get_number(s, 4);
	if (s->len < len)
		abort();
	return span_take(s, len);
}

#endif
