/*
 * server.h - what is learned of one watched process and shared by its sessions (struct server is made
 * by session.h's server_new).
 */
#ifndef CALL_SERVER_H
#define CALL_SERVER_H

#include "agent/call/session.h"
#include "agent/http/event.h"

/* The provider as it is known now; never NULL. */
const char *server_provider(const struct server *s);
/* The same as the label of a call: llama-stack routes, and its model ids begin with the provider they
 * are routed to, which INFERWIRE_PROVIDER outranks. */
void server_provider_label(const struct server *s, const char *model, char *to, size_t room);
/* Evidence that a response brings; the first that says something decides for good. */
void server_saw_response(struct server *s, const struct http_head *head);
void server_saw_fingerprint(struct server *s, struct span fingerprint);
/* The same: a field that this provider alone writes. */
void server_saw_mark(struct server *s, const char *provider);

/* The entries of INFERWIRE_ENDPOINTS, or NULL. */
struct configured;
const struct configured *server_configured(const struct server *s);

/* Where its calls are told. */
const struct call_sink *server_sink(const struct server *s);

/* The names of its calls. */
struct words *server_words(const struct server *s);

/* What reads its replies. */
struct reply_reader *server_reader(const struct server *s);

/* The model, if all successes had the same one; else NULL. */
const char *server_only_model(const struct server *s);
/* A call with this model got a 2xx. */
void server_proved_model(struct server *s, const char *model);
/* What an error is labelled with: the model, or "unknown" past LIMIT_UNPROVEN_MODELS. */
const char *server_error_model(struct server *s, const char *model);

/* A model's name as a label: a path cut to its last part, valid UTF-8 without control characters, cut
 * to `room` with its NUL. Empty for a path whose end is missing (`cut`): it has no last part. */
void server_model_label(struct span name, bool cut, char *to, size_t room);
/* The same, to be held in *at in place of what is there. Of PROVIDER/MODEL (server_provider_label) the provider stays. */
void server_keep_model(const struct server *s, struct span name, bool cut, const char **at);
/* Any text of a client or server as a label: valid UTF-8 without control characters, cut. */
void server_text_label(struct span text, char *to, size_t room);

#endif
