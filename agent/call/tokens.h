/*
 * tokens.h - the token counts of an answer: what each of its documents says, and what holds of it at the end.
 */
#ifndef CALL_TOKENS_H
#define CALL_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

/* What a field of a document counts. */
enum token_count {
	TOKENS_INPUT,	    /* the whole prompt */
	TOKENS_INPUT_TOOLS, /* beside TOKENS_INPUT: what tools put into the prompt */
	TOKENS_INPUT_APART, /* without what was read from the cache or written to it */
	TOKENS_OUTPUT,
	TOKENS_THOUGHTS,      /* output beside TOKENS_OUTPUT */
	TOKENS_REASONING,     /* part of TOKENS_OUTPUT, or beside it */
	TOKENS_CACHED,	      /* part of TOKENS_INPUT */
	TOKENS_CACHED_APART,  /* beside TOKENS_INPUT_APART */
	TOKENS_WRITTEN_APART, /* the same */
	TOKENS_BILLED_INPUT,  /* where there is no other */
	TOKENS_BILLED_OUTPUT, /* the same */
	TOKENS_TOTAL,	      /* input and output */
	TOKENS_ENGINE_INPUT,  /* from here on the engine's own */
	TOKENS_ENGINE_OUTPUT,
	TOKENS_ENGINE_CACHED,
	TOKENS_ENGINE_UNCACHED, /* input beside TOKENS_ENGINE_CACHED */
	TOKENS_COUNTS,
};

_Static_assert(TOKENS_COUNTS <= 16, "a bit each in token_counts.has");

/* Those of one document. */
struct token_counts {
	uint16_t has; /* bits; the others have no value */
	uint32_t at[TOKENS_COUNTS];
};

static inline bool token_counts_have(const struct token_counts *c, enum token_count what)
{
	return c->has >> what & 1;
}

/* What is not there is 0. */
static inline uint32_t token_counts_of(const struct token_counts *c, enum token_count what)
{
	return token_counts_have(c, what) ? c->at[what] : 0;
}

/* No answer has more tokens than fit: such a number is none. */
void token_counts_put(struct token_counts *c, enum token_count what, uint64_t n);

/* Token counts of one source; `known` where output is. `input` is the whole prompt, the part of it that
 * was cached among it; `output` has what was reasoned in it, too. */
struct tokens {
	uint64_t output;
	uint32_t input, cached, reasoning;
	bool known, has_input, has_cached, has_reasoning;
};

struct sequences;

/* What was counted of the answer so far. All zeros at its beginning. */
struct tally {
	struct tokens usage;  /* the last that counts output, else the last; never the sum */
	struct tokens begun;  /* the last that counts the prompt alone: Messages' first */
	struct tokens engine; /* the engine's own fields; the sum of the sequences of an answer */
	struct sequences *sequences; /* NULL until the engine counts */
	uint32_t total;		     /* tokens of any kind, where a usage says no more */
};

void tally_release(struct tally *t);

/* The engine's own counts of a document, or of an element of one that is an array; `index` is the choice's
 * or sequence's. Returns whether the sequence's output is more than it was. */
bool tally_engine(struct tally *t, const struct token_counts *c, uint32_t index);
/* The usage of a document. Returns the output that it counts; 0: none. */
uint64_t tally_usage(struct tally *t, const struct token_counts *c);

/* The usage that holds at the end. Of what does not generate (embeddings) all tokens are the prompt's. */
struct tokens tally_result(const struct tally *t, bool generates);
/* Whether counts are the answer's; `content`: there were documents with generated material. */
bool tokens_are_told(const struct tokens *t, bool content);

#endif
