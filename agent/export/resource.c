#include "agent/export/resource.h"

#include "agent/base/utf8.h"
#include "agent/export/pairs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void resource_release(struct resource *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->attributes[i].key);
		free(r->attributes[i].text);
	}
	free(r->attributes);
	*r = (struct resource){0};
}

/* A copy that is valid UTF-8: a byte that is not becomes three. */
static char *clean(const char *text)
{
	size_t room = strlen(text) * 3 + 1;
	char *to = malloc(room);
	if (to)
		utf8_copy(span_str(text), to, room);
	return to;
}

static struct resource_attribute *find(struct resource *r, const char *key)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->attributes[i].key, key) == 0)
			return &r->attributes[i];
	return NULL;
}

/* The attribute of this key, added if need be. */
static struct resource_attribute *attribute_at(struct resource *r, const char *raw_key)
{
	char *key = clean(raw_key);
	struct resource_attribute *a = key ? find(r, key) : NULL;
	if (a || !key) {
		free(key);
		return a;
	}
	if (r->count == r->room) {
		size_t room = r->room ? r->room * 2 : 16;
		struct resource_attribute *grown = realloc(r->attributes, room * sizeof(*grown));
		if (!grown) {
			free(key);
			return NULL;
		}
		r->attributes = grown;
		r->room = room;
	}
	a = &r->attributes[r->count++];
	*a = (struct resource_attribute){.key = key};
	return a;
}

static int set_text(struct resource *r, const char *key, const char *text)
{
	char *value = clean(text);
	struct resource_attribute *a = value ? attribute_at(r, key) : NULL;
	if (!a) {
		free(value);
		return -ENOMEM;
	}
	free(a->text);
	a->text = value;
	return 0;
}

static int set_number(struct resource *r, const char *key, int64_t number)
{
	struct resource_attribute *a = attribute_at(r, key);
	if (!a)
		return -ENOMEM;
	free(a->text);
	a->text = NULL;
	a->number = number;
	return 0;
}

static int set_detected(struct resource *r, const struct process *p, const char *instance_id)
{
	char service[sizeof("unknown_service:") + sizeof(p->program)];
	snprintf(service, sizeof(service), "unknown_service%s%s", p->program[0] ? ":" : "",
		 p->program);
	char host[HOST_NAME_MAX + 1] = "";
	gethostname(host, sizeof(host) - 1);
	const struct {
		const char *key, *text;
	} texts[] = {
		{"service.name", service},
		{"service.instance.id", instance_id},
		{"process.executable.name", p->program},
		{"host.name", host},
		{"telemetry.sdk.name", "inferwire"},
		{"telemetry.sdk.language", "c"},
		{"telemetry.sdk.version", INFERWIRE_VERSION},
	};
	int err = set_number(r, "process.pid", p->pid);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && !err; i++)
		if (texts[i].text[0])
			err = set_text(r, texts[i].key, texts[i].text);
	return err;
}

/* Sets what the list says, or only reads it if r is NULL. 0, -EINVAL or -ENOMEM. */
static int set_listed(struct resource *r, const char *list)
{
	struct span rest = span_str(list), raw_key, raw_value;
	int err;
	while ((err = pairs_next(&rest, &raw_key, &raw_value)) == 1) {
		char *key = NULL, *value = NULL;
		err = pairs_decode(raw_key, &key);
		if (!err)
			err = pairs_decode(raw_value, &value);
		if (!err && r)
			err = set_text(r, key, value);
		free(key);
		free(value);
		if (err)
			return err;
	}
	return err;
}

bool resource_text_readable(const char *text)
{
	return set_listed(NULL, text) != -EINVAL;
}

int resource_init(struct resource *r, const struct process *p, const char *instance_id)
{
	*r = (struct resource){0};
	int err = set_detected(r, p, instance_id);
	if (!err && resource_text_readable(p->resource_attributes))
		err = set_listed(r, p->resource_attributes);
	if (!err && p->service_name[0])
		err = set_text(r, "service.name", p->service_name);
	if (err)
		resource_release(r);
	return err;
}
