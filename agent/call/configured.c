#include "agent/call/configured.h"

#include "agent/base/limits.h"
#include "agent/call/pattern.h"
#include "agent/call/server.h"

#include <stdlib.h>

#define NONE "none"

struct configured {
	char *text; /* the patterns lie in it */
	size_t count;
	struct {
		struct span pattern;
		enum call_endpoint type;
	} at[CONFIGURED_MAX];
};

static bool is_white(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span trimmed(struct span s)
{
	while (s.len && is_white(s.at[0]))
		span_skip(&s, 1);
	while (s.len && is_white(s.at[s.len - 1]))
		s.len--;
	return s;
}

static bool type_of(struct span word, enum call_endpoint *type)
{
	unsigned e = 0;
	while (e < CALL_ENDPOINTS && !span_is(word, call_endpoint_name((enum call_endpoint)e)))
		e++;
	*type = (enum call_endpoint)e;
	return e < CALL_ENDPOINTS || span_is(word, NONE);
}

/* Takes one entry; what is wrong with it, or NULL. */
static const char *take(struct configured *c, struct span entry)
{
	enum call_endpoint type;
	const uint8_t *sign = memrchr(entry.at, '=', entry.len);
	if (!sign)
		return "it has no '='; an entry is PATH=TYPE, such as /my/chat=chat_completion";
	struct span pattern = trimmed(span_of(entry.at, (size_t)(sign - entry.at)));
	struct span word = trimmed(span_of(sign + 1, entry.len - (size_t)(sign + 1 - entry.at)));
	if (!pattern_is_plain(pattern))
		return "its path is none; a path begins with '/', has no '/' at its end, and \"*\" "
		       "only "
		       "as a whole segment, such as /v3/*/gen";
	if (!type_of(word, &type))
		return "its type is none of chat_completion, completion, embedding, rerank, "
		       "response, "
		       "message, transcription, none";
	if (c->count == CONFIGURED_MAX)
		return "there are 64 before it, the most there may be";
	c->at[c->count].pattern = pattern;
	c->at[c->count++].type = type;
	return NULL;
}

struct configured *configured_new(const char *text, configured_bad *bad, void *user)
{
	struct configured *c = calloc(1, sizeof(*c));
	if (c)
		c->text = strdup(text);
	struct span rest = c && c->text ? span_str(c->text) : span_of(NULL, 0);
	while (rest.len) {
		char told[LIMIT_MODEL_BYTES];
		const uint8_t *comma = memchr(rest.at, ',', rest.len);
		struct span entry =
			trimmed(span_take(&rest, comma ? (size_t)(comma - rest.at) : rest.len));
		if (comma)
			span_skip(&rest, 1);
		const char *why = entry.len ? take(c, entry) : NULL;
		if (!why)
			continue;
		server_text_label(entry, told, sizeof(told));
		bad(user, told, why);
	}
	if (c && c->count)
		return c;
	configured_free(c);
	return NULL;
}

void configured_free(struct configured *c)
{
	if (c)
		free(c->text);
	free(c);
}

bool configured_find(const struct configured *c, struct span path, enum call_endpoint *type)
{
	struct span model;
	for (size_t i = 0; c && i < c->count; i++) {
		if (pattern_matches(c->at[i].pattern, path, &model)) {
			*type = c->at[i].type;
			return true;
		}
	}
	return false;
}
