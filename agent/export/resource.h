/*
 * resource.h - the attributes of a watched process's OTLP Resource.
 */
#ifndef EXPORT_RESOURCE_H
#define EXPORT_RESOURCE_H

#include "agent/intake/process.h"

struct resource_attribute {
	char *key;
	char *text; /* NULL: the value is the number */
	int64_t number;
};

struct resource {
	struct resource_attribute *attributes; /* no key twice; all text valid UTF-8 */
	size_t count, room;
};

/*
 * What was detected, under what the process's OTEL_RESOURCE_ATTRIBUTES says, under its
 * OTEL_SERVICE_NAME. 0 or -ENOMEM.
 */
int resource_init(struct resource *r, const struct process *p, const char *instance_id);
/* Also of a zeroed struct. */
void resource_release(struct resource *r);

/*
 * Whether OTEL_RESOURCE_ATTRIBUTES can be read. If not, resource_init discards all of it, as the
 * specification wants; whoever begins to watch a process reports it then, once.
 */
bool resource_text_readable(const char *text);

#endif
