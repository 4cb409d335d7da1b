/*
 * environment.h - values of variables by the common rules of OpenTelemetry: an empty value is as
 * good as none, only `true` is true, numbers are 0 to 2^31-1, and what cannot be used is reported.
 */
#ifndef EXPORT_ENVIRONMENT_H
#define EXPORT_ENVIRONMENT_H

#include "agent/base/span.h"
#include "agent/export/config.h"

/* Where warnings and the error go. */
struct environment {
	char *error;
	size_t room;
	config_warn warn; /* or NULL */
	void *user;
};

const char *environment_text(const char *name); /* NULL if unset or empty */
bool environment_bool(struct environment *env, const char *name);
uint32_t environment_number(struct environment *env, const char *name, uint32_t otherwise);

struct span environment_trim(struct span s);

void environment_warn(struct environment *env, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Writes the error; always -EINVAL. */
int environment_error(struct environment *env, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
