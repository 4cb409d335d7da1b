#include "agent/export/environment.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_BYTES 512

const char *environment_text(const char *name)
{
	const char *value = getenv(name);
	return value && value[0] ? value : NULL;
}

/* One line, whatever a variable holds. */
static void flatten(char *line)
{
	for (; *line; line++)
		if ((unsigned char)*line < ' ' || *line == 0x7f)
			*line = '?';
}

void environment_warn(struct environment *env, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	flatten(line);
	if (env->warn)
		env->warn(env->user, line);
}

int environment_error(struct environment *env, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(env->error, env->room, format, args);
	va_end(args);
	flatten(env->error);
	return -EINVAL;
}

bool environment_bool(struct environment *env, const char *name)
{
	const char *value = environment_text(name);
	if (!value)
		return false;
	bool yes = strcasecmp(value, "true") == 0;
	if (!yes && strcasecmp(value, "false") != 0)
		environment_warn(env, "%s=%s: taken as false; write true or false", name, value);
	return yes;
}

uint32_t environment_number(struct environment *env, const char *name, uint32_t otherwise)
{
	const char *value = environment_text(name);
	if (!value)
		return otherwise;
	struct span digits = environment_trim(span_str(value));
	uint64_t number = 0;
	bool good = digits.len > 0;
	for (size_t i = 0; i < digits.len && good; i++) {
		good = digits.at[i] >= '0' && digits.at[i] <= '9';
		number = number * 10 + (digits.at[i] - '0');
		good = good && number <= INT32_MAX;
	}
	if (good)
		return (uint32_t)number;
	environment_warn(env, "%s=%s: not a number from 0 to 2147483647; %u is used", name, value,
			 otherwise);
	return otherwise;
}

static bool is_space(uint8_t b)
{
	return b == ' ' || b == '\t';
}

struct span environment_trim(struct span s)
{
	while (s.len && is_space(s.at[0]))
		span_skip(&s, 1);
	while (s.len && is_space(s.at[s.len - 1]))
		s.len--;
	return s;
}
