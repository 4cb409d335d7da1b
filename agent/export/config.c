#include "agent/export/config.h"

#include "agent/export/endpoint.h"
#include "agent/export/environment.h"
#include "agent/export/headers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define INTERVAL_MS	   60000u
#define EXPORT_TIMEOUT_MS  30000u
#define REQUEST_TIMEOUT_MS 10000u

static const char endpoint_default[] = "http://localhost:4318";

/* The value of one of the two names of an OTLP setting: the one for metrics wins. */
static const char *otlp_setting(const char *suffix, char *name, size_t room)
{
	snprintf(name, room, "OTEL_EXPORTER_OTLP_METRICS_%s", suffix);
	const char *value = environment_text(name);
	if (value)
		return value;
	snprintf(name, room, "OTEL_EXPORTER_OTLP_%s", suffix);
	return environment_text(name);
}

/* ---- what is exported where ---- */

static int add_exporter(struct config *c, const char *word, bool *none, struct environment *env)
{
	if (strcasecmp(word, "otlp") == 0)
		c->to_otlp = true;
	else if (strcasecmp(word, "console") == 0)
		c->to_console = true;
	else if (strcasecmp(word, "none") == 0)
		*none = true;
	else
		return environment_error(env,
					 "OTEL_METRICS_EXPORTER=%s: unknown exporter; write otlp, "
					 "console or none",
					 word);
	return 0;
}

static int read_exporters(struct config *c, struct environment *env)
{
	const char *list = environment_text("OTEL_METRICS_EXPORTER");
	bool none = false;
	int err = 0;
	if (!list) {
		c->to_otlp = true;
		return 0;
	}
	while (*list && !err) {
		size_t n = strcspn(list, ",");
		char word[64];
		span_copy(environment_trim(span_of(list, n)), word, sizeof(word));
		list += n + (list[n] == ',');
		if (word[0])
			err = add_exporter(c, word, &none, env);
	}
	if (none && (c->to_otlp || c->to_console))
		environment_warn(env, "OTEL_METRICS_EXPORTER: `none` beside another exporter is "
				      "ignored");
	else if (none)
		c->disabled = true;
	return err;
}

/* ---- where OTLP goes and how ---- */

static int read_protocol(struct environment *env)
{
	char name[64];
	const char *value = otlp_setting("PROTOCOL", name, sizeof(name));
	if (!value || strcasecmp(value, "http/protobuf") == 0)
		return 0;
	if (strcasecmp(value, "grpc") == 0)
		return environment_error(env,
					 "%s=grpc: gRPC is not spoken; write http/protobuf and the "
					 "receiver's HTTP endpoint (port 4318)",
					 name);
	if (strcasecmp(value, "http/json") == 0)
		return environment_error(
			env, "%s=http/json: JSON is not spoken; write http/protobuf", name);
	return environment_error(env, "%s=%s: unknown protocol; write http/protobuf", name, value);
}

static int read_endpoint(struct config *c, struct environment *env)
{
	const char *name = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
	const char *value = environment_text(name);
	bool base = !value;
	if (base) {
		name = "OTEL_EXPORTER_OTLP_ENDPOINT";
		value = environment_text(name);
	}
	if (!value)
		value = endpoint_default;
	int err = base ? endpoint_from_base(value, "v1/metrics", &c->metrics_url)
		       : endpoint_as_is(value, &c->metrics_url);
	if (err == -EINVAL) /* the value is not shown: it may hold a password */
		return environment_error(env,
					 "%s: not a URL that can be posted to; write "
					 "http://HOST:PORT or https://HOST:PORT",
					 name);
	return err;
}

static void read_compression(struct config *c, struct environment *env)
{
	char name[64];
	const char *value = otlp_setting("COMPRESSION", name, sizeof(name));
	c->gzip = value && strcasecmp(value, "gzip") == 0;
	if (value && !c->gzip && strcasecmp(value, "none") != 0)
		environment_warn(env,
				 "%s=%s: unknown, nothing is compressed; gzip and none are known",
				 name, value);
}

static int read_file(const char *suffix, char **to)
{
	char name[64];
	const char *value = otlp_setting(suffix, name, sizeof(name));
	if (!value)
		return 0;
	*to = strdup(value);
	return *to ? 0 : -ENOMEM;
}

static int read_tls(struct config *c, struct environment *env)
{
	int err = read_file("CERTIFICATE", &c->ca_file);
	if (!err)
		err = read_file("CLIENT_KEY", &c->client_key);
	if (!err)
		err = read_file("CLIENT_CERTIFICATE", &c->client_certificate);
	if (!err && !c->client_key != !c->client_certificate)
		err = environment_error(env,
					"OTEL_EXPORTER_OTLP_CLIENT_KEY and _CLIENT_CERTIFICATE "
					"belong together; set both or none");
	return err;
}

static int read_headers(struct config *c, struct environment *env)
{
	static const char *const names[] = {"OTEL_EXPORTER_OTLP_HEADERS",
					    "OTEL_EXPORTER_OTLP_METRICS_HEADERS"};
	int err = 0;
	for (size_t i = 0; i < 2 && !err; i++) {
		const char *list = environment_text(names[i]);
		if (list)
			err = headers_add(&c->headers, &c->header_count, names[i], list, env);
	}
	return err;
}

static void read_numbers(struct config *c, struct environment *env)
{
	char name[64];
	c->interval_ms = environment_number(env, "OTEL_METRIC_EXPORT_INTERVAL", INTERVAL_MS);
	if (!c->interval_ms) {
		environment_warn(env, "OTEL_METRIC_EXPORT_INTERVAL=0: not an interval; %u is used",
				 INTERVAL_MS);
		c->interval_ms = INTERVAL_MS;
	}
	c->export_timeout_ms =
		environment_number(env, "OTEL_METRIC_EXPORT_TIMEOUT", EXPORT_TIMEOUT_MS);
	otlp_setting("TIMEOUT", name, sizeof(name));
	c->request_timeout_ms = environment_number(env, name, REQUEST_TIMEOUT_MS);
}

/* Standard variables that ask for something else than what is done: said, not passed over. */
static void warn_of_the_rest(struct environment *env)
{
	static const struct {
		const char *variable, *exported;
	} fixed[] = {
		{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative"},
		{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
		 "explicit_bucket_histogram"},
	};
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		const char *value = environment_text(fixed[i].variable);
		if (value && strcasecmp(value, fixed[i].exported) != 0)
			environment_warn(env, "%s=%s: only %s is exported", fixed[i].variable,
					 value, fixed[i].exported);
	}
	if (environment_text("OTEL_CONFIG_FILE") ||
	    environment_text("OTEL_EXPERIMENTAL_CONFIG_FILE"))
		environment_warn(env, "OTEL_CONFIG_FILE: configuration files are not read, the "
				      "environment is");
}

static int read_otlp(struct config *c, struct environment *env)
{
	int err = read_protocol(env);
	if (!err)
		err = read_endpoint(c, env);
	if (!err)
		err = read_headers(c, env);
	if (!err)
		err = read_tls(c, env);
	if (!err)
		read_compression(c, env);
	return err;
}

int config_read(struct config *c, char *error, size_t room, config_warn warn, void *user)
{
	struct environment env = {error, room, warn, user};
	*c = (struct config){0};
	error[0] = '\0';
	if (environment_bool(&env, "OTEL_SDK_DISABLED"))
		c->disabled = true;
	int err = read_exporters(c, &env);
	if (!err && c->to_otlp)
		err = read_otlp(c, &env);
	if (!err) {
		read_numbers(c, &env);
		warn_of_the_rest(&env);
		const char *path = environment_text("INFERWIRE_CALL_LOG");
		c->call_log = path ? strdup(path) : NULL;
		err = path && !c->call_log ? -ENOMEM : 0;
	}
	if (err == -ENOMEM)
		environment_error(&env, "no memory");
	if (err) {
		config_release(c);
		return -EINVAL;
	}
	return 0;
}

void config_release(struct config *c)
{
	headers_release(c->headers, c->header_count);
	free(c->metrics_url);
	free(c->ca_file);
	free(c->client_key);
	free(c->client_certificate);
	free(c->call_log);
	*c = (struct config){0};
}
