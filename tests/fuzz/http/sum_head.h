/*
 * sum_head.h - each field of a head in a sum, read through its span, so that one that points past its
 * end is seen.
 */
#ifndef TESTS_SUM_HEAD_H
#define TESTS_SUM_HEAD_H

#include "tests/fuzz/cut.h"

#include "agent/http/event.h"

static inline void sum_head(uint64_t *sum, const struct http_head *head)
{
	sum_add(sum, head->method_text);
	sum_add(sum, head->path);
	sum_add(sum, head->content_type);
	sum_add(sum, head->content_encoding);
	sum_add(sum, head->server);
	sum_add(sum, head->fields);
	sum_add(sum, http_field(head->fields, "host"));
	sum_add(sum, span_of(&head->status, sizeof(head->status)));
	sum_add(sum, span_of(&head->minor, sizeof(head->minor)));
}

#endif
