#include "agent/call/words.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define CHAINS_LEAST 16u

struct word {
	struct word *next; /* of its chain */
	uint32_t hash;
	uint32_t holders;
	char text[];
};

struct words {
	struct word **chains;
	uint32_t chain_count; /* a power of two */
	uint32_t count;
	uint32_t seed; /* words are the clients': without it they could choose ones that collide */
};

struct words *words_new(void)
{
	struct words *w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->chain_count = CHAINS_LEAST;
	w->chains = calloc(w->chain_count, sizeof(*w->chains));
	if (!w->chains) {
		free(w);
		return NULL;
	}
	if (getrandom(&w->seed, sizeof(w->seed), GRND_NONBLOCK) != sizeof(w->seed))
		w->seed = (uint32_t)(uintptr_t)w;
	return w;
}

void words_free(struct words *w)
{
	if (!w)
		return;
	for (uint32_t i = 0; i < w->chain_count; i++) {
		while (w->chains[i]) {
			struct word *word = w->chains[i];
			w->chains[i] = word->next;
			free(word);
		}
	}
	free(w->chains);
	free(w);
}

static uint32_t hash_of(const struct words *w, const char *text)
{
	uint64_t h = w->seed;
	for (; *text; text++) {
		h = (h ^ (uint8_t)*text) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	return (uint32_t)h;
}

static struct word **chain_of(const struct words *w, uint32_t hash)
{
	return &w->chains[hash & (w->chain_count - 1)];
}

/* Chains that stay long are slower, no more. */
static void make_room(struct words *w)
{
	struct words wider = *w;
	if (w->count < w->chain_count || w->chain_count > UINT32_MAX / 2)
		return;
	wider.chain_count = w->chain_count * 2;
	wider.chains = calloc(wider.chain_count, sizeof(*wider.chains));
	if (!wider.chains)
		return;
	for (uint32_t i = 0; i < w->chain_count; i++) {
		while (w->chains[i]) {
			struct word *word = w->chains[i], **to = chain_of(&wider, word->hash);
			w->chains[i] = word->next;
			word->next = *to;
			*to = word;
		}
	}
	free(w->chains);
	*w = wider;
}

const char *words_hold(struct words *w, const char *text)
{
	if (!*text)
		return "";
	uint32_t hash = hash_of(w, text);
	for (struct word *word = *chain_of(w, hash); word; word = word->next) {
		if (word->hash == hash && strcmp(word->text, text) == 0) {
			word->holders++;
			return word->text;
		}
	}
	make_room(w);
	size_t room = strlen(text) + 1;
	struct word *word = malloc(sizeof(*word) + room), **to = chain_of(w, hash);
	if (!word)
		return "";
	word->next = *to;
	word->hash = hash;
	word->holders = 1;
	memcpy(word->text, text, room);
	*to = word;
	w->count++;
	return word->text;
}

void words_drop(struct words *w, const char *text)
{
	if (!*text)
		return;
	struct word *word = (struct word *)(text - offsetof(struct word, text));
	struct word **at = chain_of(w, word->hash);
	if (--word->holders)
		return;
	while (*at != word)
		at = &(*at)->next;
	*at = word->next;
	w->count--;
	free(word);
}

void words_set(struct words *w, const char **at, const char *text)
{
	const char *old = *at;
	*at = words_hold(w, text);
	words_drop(w, old);
}
