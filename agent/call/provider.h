/*
 * provider.h - which engine serves, by what its process and its responses show.
 */
#ifndef CALL_PROVIDER_H
#define CALL_PROVIDER_H

#include "agent/http/event.h"

/* By the program and its first arguments; NULL if they say nothing. `arguments` are separated by NUL.
 */
const char *provider_by_command(const char *program, struct span arguments);
/* By a file whose code the process has mapped; NULL: many an engine is served by a script of another name. */
const char *provider_by_module(struct span path);
/* By a response's fields; NULL. */
const char *provider_by_fields(const struct http_head *head);
/* By a response's system_fingerprint; NULL. */
const char *provider_by_fingerprint(struct span fingerprint);

/* Whether the provider ignores that the client asks for this model, and serves what it has. */
bool provider_ignores_model(const char *provider, const char *asked);

#endif
