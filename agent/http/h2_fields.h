/*
 * h2_fields.h - one block of HTTP/2 fields, as it comes out of HPACK, made into a http_head.
 */
#ifndef HTTP_H2_FIELDS_H
#define HTTP_H2_FIELDS_H

#include "agent/base/buf.h"
#include "agent/http/event.h"

struct h2_place {
	uint32_t at, len;
};

/* A zeroed struct is empty. */
struct h2_fields {
	struct buf text; /* values of pseudo-fields and lines of the others, as they came */
	struct h2_place method, path, content_type, content_encoding, server;
	uint32_t lines_at; /* where the regular fields begin; 0 = none came yet */
	unsigned status;
	bool cut; /* past LIMIT_HEAD_BYTES: what came later is missing */
};

void h2_fields_begin(struct h2_fields *f);
/* A field whose name or value could not stand in a line of HTTP/1 is left out (RFC 9113 8.2.1: it makes
 * the message malformed). */
void h2_fields_put(struct h2_fields *f, struct span name, struct span value);
/* False: it has neither :method nor :status, or not all of it was kept. Spans die at the next begin. */
bool h2_fields_head(const struct h2_fields *f, struct http_head *head);
void h2_fields_release(struct h2_fields *f);

#endif
