/*
 * configured.h - INFERWIRE_ENDPOINTS of a watched process: paths that its user names.
 *
 *     /my/chat=chat_completion,/v3/x=none
 *
 * Entries are PATTERN=TYPE (pattern.h; without "{}"), separated by commas, white space around them is
 * dropped. TYPE is a word of call_endpoint_name, or "none": no call. The first entry that a path matches
 * holds, before the table of endpoint.c.
 */
#ifndef CALL_CONFIGURED_H
#define CALL_CONFIGURED_H

#include "agent/base/span.h"
#include "agent/call/call.h"

/* Entries of one process; more are bad. */
#define CONFIGURED_MAX 64u

struct configured;

/* Told of each bad entry: the entry as text without control characters, and what is wrong with it. */
typedef void configured_bad(void *user, const char *entry, const char *why);

/* What is good of `text`. NULL if nothing is, or without memory. */
struct configured *configured_new(const char *text, configured_bad *bad, void *user);
void configured_free(struct configured *c);

/* Whether an entry names the path (as pattern_matches takes it); *type is CALL_ENDPOINTS for none. `c` may
 * be NULL. */
bool configured_find(const struct configured *c, struct span path, enum call_endpoint *type);

#endif
