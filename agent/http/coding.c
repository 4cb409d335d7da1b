/*
 *   bytes ---> [ last coding applied ] ---> [ the first ] ---> piece
 *                 its room                     its room
 *
 * A stage is asked until it has no more before the one in front of it is given more.
 */
#include "agent/http/coding.h"

#include "agent/base/limits.h"
#include "agent/http/coder.h"
#include "agent/http/field.h"

#include <stdlib.h>

#define STAGES_MAX 2u
#define ROOM_BYTES 4096u

struct stage {
	const struct coder *coder;
	void *state;
	struct span in; /* of the room of the stage in front, not taken yet */
	uint8_t room[ROOM_BYTES];
};

struct coding {
	struct stage *stages[STAGES_MAX]; /* in the order in which they were applied */
	unsigned count;
	bool bad;
	uint64_t taken, made;
	size_t memory; /* as counted in `held` */
};

/* Of all of them: they are used by one thread. */
static size_t held;

size_t coding_memory(void)
{
	return held;
}

bool coding_is_identity(struct span codings)
{
	return !codings.len || span_is_nocase(codings, "identity");
}

static const struct coder *find_coder(struct span name)
{
	static const struct coder *const all[] = {&coder_gzip, &coder_deflate, &coder_brotli,
						  &coder_zstd};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (span_is_nocase(name, all[i]->name) ||
		    (all[i]->other_name && span_is_nocase(name, all[i]->other_name)))
			return all[i];
	}
	return NULL;
}

static bool add_stage(struct coding *c, struct span name)
{
	const struct coder *coder = find_coder(name);
	if (!coder || c->count == STAGES_MAX)
		return false;
	struct stage *s = malloc(sizeof(*s));
	if (!s)
		return false;
	s->coder = coder;
	s->in = span_of(NULL, 0);
	s->state = coder->open();
	if (!s->state) {
		free(s);
		return false;
	}
	c->stages[c->count++] = s;
	return true;
}

/* False: more than is allowed is held, by this one or by all. */
static bool count_memory(struct coding *c)
{
	size_t memory = 0;
	for (unsigned i = 0; i < c->count; i++)
		memory += sizeof(struct stage) + c->stages[i]->coder->memory(c->stages[i]->state);
	held += memory - c->memory;
	c->memory = memory;
	return memory <= LIMIT_CODING_BYTES && held <= LIMIT_CODINGS_BYTES;
}

struct coding *coding_new(struct span codings)
{
	struct coding *c = calloc(1, sizeof(*c));
	struct span name;
	if (!c)
		return NULL;
	while (field_take_element(&codings, &name)) {
		if (coding_is_identity(name) || add_stage(c, name))
			continue;
		coding_free(c);
		return NULL;
	}
	if (c->count && count_memory(c))
		return c;
	coding_free(c);
	return NULL;
}

bool coding_open(struct coding **c, struct span codings)
{
	bool identity = coding_is_identity(codings);
	*c = identity ? NULL : coding_new(codings);
	return *c || identity;
}

static void drop_stages(struct coding *c)
{
	while (c->count) {
		struct stage *s = c->stages[--c->count];
		s->coder->close(s->state);
		free(s);
	}
	held -= c->memory;
	c->memory = 0;
}

void coding_free(struct coding *c)
{
	if (!c)
		return;
	drop_stages(c);
	free(c);
}

static enum step bad(struct coding *c)
{
	drop_stages(c);
	c->bad = true;
	return STEP_BAD;
}

/* What a stage makes of its input, of which those that were applied after it give more. */
static enum step run(struct coding *c, unsigned n, struct span *in, struct span *piece)
{
	struct stage *s = c->stages[n];
	bool outermost = n + 1 == c->count;
	for (;;) {
		size_t made = 0;
		struct span *source = outermost ? in : &s->in;
		enum step step = s->coder->run(s->state, source, s->room, ROOM_BYTES, &made);
		*piece = span_of(s->room, made);
		if (step != STEP_MORE || outermost)
			return step;
		step = run(c, n + 1, in, &s->in);
		if (step != STEP_EVENT)
			return step;
	}
}

/* JSON of a real prompt shrinks to a tenth, of a pathological one to a hundredth. */
static bool is_bomb(const struct coding *c)
{
	return c->made > LIMIT_DECODED_BYTES ||
	       (c->made > LIMIT_DECODED_FREE && c->made / LIMIT_DECODED_RATIO > c->taken);
}

enum step coding_next(struct coding *c, struct span *in, struct span *piece)
{
	if (c->bad)
		return STEP_BAD;
	size_t before = in->len;
	enum step step = run(c, 0, in, piece);
	c->taken += before - in->len;
	if (step == STEP_EVENT)
		c->made += piece->len;
	if (step == STEP_BAD || is_bomb(c) || !count_memory(c))
		return bad(c);
	return step;
}
