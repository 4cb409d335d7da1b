#include "agent/export/headers.h"

#include "agent/export/pairs.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* RFC 9110, 5.6.2: a field name is a token. */
static bool is_name(const char *s)
{
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("!#$%&'*+-.^_`|~", *s))
			return false;
	return true;
}

/* Fields that say how the body is sent: whoever sets one breaks the request. */
static bool is_ours(const char *name)
{
	static const char *const ours[] = {"Content-Type",   "Content-Encoding",
					   "Content-Length", "Transfer-Encoding",
					   "Connection",     "Expect"};
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	return false;
}

/* No line breaks in particular: what follows one would be a field of its own. */
static bool is_value(const char *s)
{
	for (; *s; s++)
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
			return false;
	return true;
}

/* Takes ownership of both on success. */
static int set(struct config_header **headers, size_t *count, char *name, char *value)
{
	for (size_t i = 0; i < *count; i++) {
		struct config_header *h = &(*headers)[i];
		if (strcasecmp(h->name, name) == 0) {
			free(h->name);
			free(h->value);
			*h = (struct config_header){name, value};
			return 0;
		}
	}
	struct config_header *grown = realloc(*headers, (*count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	*headers = grown;
	grown[(*count)++] = (struct config_header){name, value};
	return 0;
}

static int add_pair(struct config_header **headers, size_t *count, struct span raw_name,
		    struct span raw_value)
{
	char *name = NULL, *value = NULL;
	int err = pairs_decode(raw_name, &name);
	if (!err)
		err = pairs_decode(raw_value, &value);
	if (!err && (!is_name(name) || is_ours(name) || !is_value(value)))
		err = -EINVAL;
	if (!err)
		err = set(headers, count, name, value);
	if (err) {
		free(name);
		free(value);
	}
	return err;
}

int headers_add(struct config_header **headers, size_t *count, const char *variable,
		const char *list, struct environment *env)
{
	struct span rest = span_str(list), name, value;
	unsigned position = 0;
	int err;
	while ((err = pairs_next(&rest, &name, &value)) != 0) {
		position++;
		if (err == 1)
			err = add_pair(headers, count, name, value);
		if (err == -ENOMEM)
			return err;
		if (err) /* not even its name is shown: without a `=` it is the value */
			environment_warn(
				env,
				"%s: pair %u is left out; write name=value, percent-encoded, "
				"with a name that may be set",
				variable, position);
	}
	return 0;
}

void headers_release(struct config_header *headers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(headers[i].name);
		free(headers[i].value);
	}
	free(headers);
}
