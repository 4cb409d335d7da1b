#include "agent/call/server.h"

#include "agent/base/limits.h"
#include "agent/base/utf8.h"
#include "agent/call/configured.h"
#include "agent/call/provider.h"
#include "agent/call/reply.h"
#include "agent/call/words.h"

#include <stdio.h>
#include <stdlib.h>

/* Models that a process served: more than any server has names for. Past it the oldest make room. */
#define PROVEN_MODELS 1024u

/* The label of what is not known. */
#define UNKNOWN "unknown"

/* A set of names by their hash; 64 bits of it stand for the name. */
struct names {
	uint64_t *at;
	size_t count, room, next;
};

struct server {
	const struct call_sink *sink;
	char provider[LIMIT_PROVIDER_BYTES]; /* empty = not known yet */
	char last_model[LIMIT_MODEL_BYTES];
	struct configured *configured;
	bool routes; /* models are called PROVIDER/MODEL */
	struct names proven, unproven;
	struct reply_reader *reader;
	struct words *words;
};

static uint64_t hash_of(const char *text)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3u;
	return h;
}

static bool names_have(const struct names *n, uint64_t hash)
{
	for (size_t i = 0; i < n->count; i++) {
		if (n->at[i] == hash)
			return true;
	}
	return false;
}

static bool names_init(struct names *n, size_t room)
{
	n->at = calloc(room, sizeof(*n->at));
	n->room = room;
	return n->at != NULL;
}

static void names_add(struct names *n, uint64_t hash)
{
	n->at[n->next] = hash;
	n->next = (n->next + 1) % n->room;
	if (n->count < n->room)
		n->count++;
}

struct server *server_new(const char *program, struct span command_line, const char *provider,
			  const struct call_sink *sink)
{
	struct server *s = calloc(1, sizeof(*s));
	if (!s || !names_init(&s->proven, PROVEN_MODELS) ||
	    !names_init(&s->unproven, LIMIT_UNPROVEN_MODELS) || !(s->words = words_new()) ||
	    !(s->reader = reply_reader_new(s->words))) {
		server_free(s);
		return NULL;
	}
	s->sink = sink;
	const char *known =
		provider && *provider ? provider : provider_by_command(program, command_line);
	if (known)
		server_text_label(span_str(known), s->provider, sizeof(s->provider));
	s->routes = !(provider && *provider) && strcmp(s->provider, "llama-stack") == 0;
	return s;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	free(s->proven.at);
	free(s->unproven.at);
	configured_free(s->configured);
	reply_reader_free(s->reader);
	words_free(s->words);
	free(s);
}

void server_set_endpoints(struct server *s, const char *text, configured_bad *bad, void *user)
{
	configured_free(s->configured);
	s->configured = configured_new(text, bad, user);
}

const struct configured *server_configured(const struct server *s)
{
	return s->configured;
}

const struct call_sink *server_sink(const struct server *s)
{
	return s->sink;
}

struct words *server_words(const struct server *s)
{
	return s->words;
}

struct reply_reader *server_reader(const struct server *s)
{
	return s->reader;
}

const char *server_provider(const struct server *s)
{
	return s->provider[0] ? s->provider : UNKNOWN;
}

void server_provider_label(const struct server *s, const char *model, char *to, size_t room)
{
	const char *slash = s->routes ? strchr(model, '/') : NULL;
	struct span label =
		slash ? span_of(model, (size_t)(slash - model)) : span_str(server_provider(s));
	utf8_copy(label, to, room); /* cut where a character ends */
}

static void learn(struct server *s, const char *provider)
{
	if (provider)
		snprintf(s->provider, sizeof(s->provider), "%s", provider);
}

bool server_has_provider(const struct server *s)
{
	return s->provider[0] != '\0';
}

void server_saw_module(struct server *s, struct span path)
{
	if (!s->provider[0])
		learn(s, provider_by_module(path));
}

void server_saw_response(struct server *s, const struct http_head *head)
{
	if (!s->provider[0])
		learn(s, provider_by_fields(head));
}

void server_saw_fingerprint(struct server *s, struct span fingerprint)
{
	if (!s->provider[0])
		learn(s, provider_by_fingerprint(fingerprint));
}

void server_saw_mark(struct server *s, const char *provider)
{
	if (!s->provider[0])
		learn(s, provider);
}

const char *server_only_model(const struct server *s)
{
	return s->proven.count == 1 ? s->last_model : NULL;
}

void server_proved_model(struct server *s, const char *model)
{
	/* The usual case: one model. And what a client calls unknown says nothing of what is served. */
	if (strcmp(s->last_model, model) == 0 || strcmp(model, UNKNOWN) == 0)
		return;
	snprintf(s->last_model, sizeof(s->last_model), "%s", model);
	uint64_t hash = hash_of(model);
	if (!names_have(&s->proven, hash))
		names_add(&s->proven, hash);
}

const char *server_error_model(struct server *s, const char *model)
{
	uint64_t hash = hash_of(model);
	if (strcmp(model, UNKNOWN) == 0 || names_have(&s->proven, hash) ||
	    names_have(&s->unproven, hash))
		return model;
	if (s->unproven.count == s->unproven.room)
		return UNKNOWN;
	names_add(&s->unproven, hash);
	return model;
}

/* A file's path, not a name with an owner ("meta-llama/Llama-3.1-8B"). */
static bool is_path(struct span name)
{
	return span_starts(name, "/") || span_starts(name, "./") || span_starts(name, "../") ||
	       span_starts(name, "~/") || span_ends(name, ".gguf");
}

void server_text_label(struct span text, char *to, size_t room)
{
	size_t len = utf8_copy(text, to, room);
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)to[i], next = (uint8_t)to[i + 1];
		if (c < 0x20 || c == 0x7f)
			to[i] = '_';
		else if (c == 0xc2 && next < 0xa0) /* U+0080 to U+009F, as two characters */
			to[i] = to[i + 1] = '_';
	}
}

void server_model_label(struct span name, bool cut, char *to, size_t room)
{
	to[0] = '\0';
	if (cut && is_path(name))
		return;
	while (is_path(name) && name.len && name.at[name.len - 1] == '/')
		name.len--;
	if (is_path(name)) {
		const uint8_t *slash = memrchr(name.at, '/', name.len);
		if (slash)
			span_skip(&name, (size_t)(slash - name.at) + 1);
	}
	server_text_label(name, to, room);
}

/* Of PROVIDER/MODEL, with the slash; 0 where there is none. The model may be a path. */
static size_t prefix_bytes(struct span name)
{
	const uint8_t *slash = memchr(name.at, '/', name.len);
	bool relative =
		span_starts(name, "./") || span_starts(name, "../") || span_starts(name, "~/");
	return slash && !relative && slash != name.at ? (size_t)(slash - name.at) + 1 : 0;
}

void server_keep_model(const struct server *s, struct span name, bool cut, const char **at)
{
	char label[LIMIT_MODEL_BYTES] = "";
	size_t prefix = s->routes ? prefix_bytes(name) : 0;
	server_text_label(span_take(&name, prefix), label, sizeof(label));
	char *model = label + strlen(label);
	server_model_label(name, cut, model, sizeof(label) - (size_t)(model - label));
	if (cut && !*model)
		label[0] = '\0';
	words_set(s->words, at, label);
}
