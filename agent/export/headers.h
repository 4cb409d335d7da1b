/*
 * headers.h - the header fields of OTEL_EXPORTER_OTLP_HEADERS. Values are secrets: no message
 * contains one.
 */
#ifndef EXPORT_HEADERS_H
#define EXPORT_HEADERS_H

#include "agent/export/environment.h"

/*
 * Adds what `list` (the value of `variable`) says; a name that is there already, in any case, gets
 * the new value. A pair that cannot be a header field is left out with a warning. 0 or -ENOMEM.
 */
int headers_add(struct config_header **headers, size_t *count, const char *variable,
		const char *list, struct environment *env);
void headers_release(struct config_header *headers, size_t count);

#endif
