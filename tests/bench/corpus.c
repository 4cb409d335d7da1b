#include "tests/bench/corpus.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

static struct span base64(const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = strlen(text), len = 0;
	uint8_t *out = malloc(n + 1);
	unsigned bits = 0, have = 0;
	for (size_t i = 0; out && i < n; i++) {
		const char *d = strchr(digits, text[i]);
		if (!d || !*d)
			continue;
		bits = bits << 6 | (unsigned)(d - digits);
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[len++] = (uint8_t)(bits >> have);
		}
	}
	return span_of(out, len);
}

/* A header's value; the corpus writes names in lower case. */
static const char *header(const json_t *exchange, const char *name)
{
	const char *value =
		json_string_value(json_object_get(json_object_get(exchange, "headers"), name));
	return value ? value : "";
}

static void take(struct corpus *c, const json_t *e)
{
	if (strncmp(header(e, "content-type"), "text/event-stream", 17) != 0 ||
	    *header(e, "content-encoding") ||
	    !strstr(json_string_value(json_object_get(e, "path")), "completions"))
		return;
	struct corpus_exchange *at = realloc(c->at, (c->count + 1) * sizeof(*at));
	if (!at)
		abort();
	c->at = at;
	at[c->count++] = (struct corpus_exchange){
		.method = strdup(json_string_value(json_object_get(e, "method"))),
		.path = strdup(json_string_value(json_object_get(e, "path"))),
		.content_type = strdup(header(e, "content-type")),
		.status = (int)json_integer_value(json_object_get(e, "status")),
		.request = base64(json_string_value(json_object_get(e, "request"))),
		.response = base64(json_string_value(json_object_get(e, "response"))),
	};
}

bool corpus_streams(struct corpus *c)
{
	char path[4096];
	const char *dir = getenv("INFERWIRE_CORPORA");
	snprintf(path, sizeof(path), "%s/openllmetry.jsonl.gz", dir ? dir : "../shared/corpora");
	*c = (struct corpus){0};
	gzFile file = gzopen(path, "r");
	const size_t room = 64u << 20;
	char *line = malloc(room);
	while (file && line && gzgets(file, line, (int)room)) {
		json_t *e = json_loads(line, 0, NULL);
		if (e)
			take(c, e);
		json_decref(e);
	}
	free(line);
	if (file)
		gzclose(file);
	if (!c->count)
		fprintf(stderr, "skip: no corpus at %s (INFERWIRE_CORPORA)\n", path);
	return c->count > 0;
}
