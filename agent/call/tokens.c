#include "agent/call/tokens.h"

#include "agent/call/sequences.h"

#include <stdlib.h>

void token_counts_put(struct token_counts *c, enum token_count what, uint64_t n)
{
	if (n > UINT32_MAX)
		return;
	c->at[what] = (uint32_t)n;
	c->has |= (uint16_t)(1u << what);
}

void tally_release(struct tally *t)
{
	free(t->sequences);
	t->sequences = NULL;
}

/* ---- usage -------------------------------------------------------------------------------------- */

/* The prompt's tokens, by whichever way the dialect counts them. */
static void read_input(const struct token_counts *c, struct tokens *t)
{
	bool cached = token_counts_have(c, TOKENS_CACHED);
	t->has_cached = cached || token_counts_have(c, TOKENS_CACHED_APART);
	t->cached = token_counts_of(c, cached ? TOKENS_CACHED : TOKENS_CACHED_APART);
	t->has_input = true;
	if (token_counts_have(c, TOKENS_INPUT))
		t->input =
			token_counts_of(c, TOKENS_INPUT) + token_counts_of(c, TOKENS_INPUT_TOOLS);
	else if (token_counts_have(c, TOKENS_INPUT_APART))
		t->input = token_counts_of(c, TOKENS_INPUT_APART) +
			   token_counts_of(c, TOKENS_CACHED_APART) +
			   token_counts_of(c, TOKENS_WRITTEN_APART);
	else if (token_counts_have(c, TOKENS_BILLED_INPUT))
		t->input = token_counts_of(c, TOKENS_BILLED_INPUT);
	else
		t->has_input = false;
}

/* Whether the total counts what was reasoned beside the rest: xAI does, all others count it among the
 * completion. */
static bool reasons_apart(const struct token_counts *c)
{
	uint64_t sum = (uint64_t)token_counts_of(c, TOKENS_INPUT) +
		       token_counts_of(c, TOKENS_OUTPUT) + token_counts_of(c, TOKENS_REASONING);
	return token_counts_have(c, TOKENS_INPUT) && token_counts_have(c, TOKENS_OUTPUT) &&
	       token_counts_have(c, TOKENS_TOTAL) && token_counts_of(c, TOKENS_TOTAL) == sum;
}

static void read_output(const struct token_counts *c, struct tokens *t)
{
	bool output = token_counts_have(c, TOKENS_OUTPUT);
	bool billed = token_counts_have(c, TOKENS_BILLED_OUTPUT);
	t->known = output || token_counts_have(c, TOKENS_THOUGHTS) || billed;
	t->output =
		(uint64_t)token_counts_of(c, TOKENS_OUTPUT) + token_counts_of(c, TOKENS_THOUGHTS);
	t->has_reasoning =
		token_counts_have(c, TOKENS_THOUGHTS) || token_counts_have(c, TOKENS_REASONING);
	t->reasoning = token_counts_of(c, token_counts_have(c, TOKENS_THOUGHTS) ? TOKENS_THOUGHTS
										: TOKENS_REASONING);
	if (reasons_apart(c))
		t->output += token_counts_of(c, TOKENS_REASONING);
	if (!output && billed)
		t->output = token_counts_of(c, TOKENS_BILLED_OUTPUT);
}

/* What counts no output does not replace what does; see tokens_are_told. */
uint64_t tally_usage(struct tally *t, const struct token_counts *c)
{
	struct tokens found = {0};
	read_input(c, &found);
	read_output(c, &found);
	if (found.known) {
		if (found.output || !t->usage.output)
			t->usage = found;
	} else if (found.has_input) {
		t->begun = found;
	} else if (token_counts_have(c, TOKENS_TOTAL)) {
		t->total = token_counts_of(c, TOKENS_TOTAL);
	}
	return found.output;
}

struct tokens tally_result(const struct tally *t, bool generates)
{
	struct tokens result = t->usage;
	/* The end of a message may count the output alone, or leave out what was cached. */
	if (!result.input || (!result.has_cached && t->begun.cached)) {
		result.has_input |= t->begun.has_input;
		result.input = t->begun.has_input ? t->begun.input : result.input;
		result.has_cached |= t->begun.has_cached;
		result.cached = t->begun.has_cached ? t->begun.cached : result.cached;
	}
	if (!generates && !result.has_input && t->total) {
		result.has_input = true;
		result.input = t->total;
	}
	return result;
}

bool tokens_are_told(const struct tokens *t, bool content)
{
	/* All zeros on every chunk are what Ollama's completions call a usage, and a continuous one
	 * (vLLM) begins with 0: with content that is no count. */
	return t->known && (t->output || (t->input && !content));
}

/* ---- the engine's own --------------------------------------------------------------------------- */

static void read_prompt(struct tokens *engine, const struct token_counts *c)
{
	if (token_counts_have(c, TOKENS_ENGINE_CACHED)) {
		engine->has_cached = true;
		engine->cached = token_counts_of(c, TOKENS_ENGINE_CACHED);
	}
	bool whole = token_counts_have(c, TOKENS_ENGINE_INPUT);
	if (!whole && !token_counts_have(c, TOKENS_ENGINE_UNCACHED))
		return;
	uint32_t input = whole ? token_counts_of(c, TOKENS_ENGINE_INPUT)
			       : token_counts_of(c, TOKENS_ENGINE_UNCACHED) +
					 token_counts_of(c, TOKENS_ENGINE_CACHED);
	if (input || !engine->has_input)
		engine->input = input;
	engine->has_input = true;
}

bool tally_engine(struct tally *t, const struct token_counts *c, uint32_t index)
{
	struct tokens *engine = &t->engine;
	read_prompt(engine, c);
	if (!token_counts_have(c, TOKENS_ENGINE_OUTPUT))
		return false;
	if (!t->sequences)
		t->sequences = calloc(1, sizeof(*t->sequences));
	if (!t->sequences)
		return false;
	bool more = sequences_put(t->sequences, index, token_counts_of(c, TOKENS_ENGINE_OUTPUT));
	engine->known = sequences_sum(t->sequences, &engine->output);
	/* Whether each has the same prompt or one of its own nobody says. */
	if (t->sequences->count > 1)
		engine->has_input = engine->has_cached = false;
	return more;
}
