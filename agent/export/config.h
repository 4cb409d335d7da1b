/*
 * config.h - the environment of the agent, read once and checked (OpenTelemetry's variables and ours).
 *
 * A value that cannot be used is an error with one line that says what is wrong and what to write
 * instead, except where the OpenTelemetry specification wants a warning and the default (numbers).
 */
#ifndef EXPORT_CONFIG_H
#define EXPORT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_header {
	char *name;
	char *value; /* never logged */
};

struct config {
	bool disabled;		  /* OTEL_SDK_DISABLED=true or OTEL_METRICS_EXPORTER=none alone */
	bool to_otlp, to_console; /* OTEL_METRICS_EXPORTER, a comma list */
	char *metrics_url; /* the URL that is posted to, by the rules of both ENDPOINT variables */
	struct config_header *headers; /* OTEL_EXPORTER_OTLP_HEADERS under _METRICS_HEADERS */
	size_t header_count;
	uint32_t interval_ms; /* OTEL_METRIC_EXPORT_INTERVAL, 60000 */
	uint32_t
		export_timeout_ms; /* OTEL_METRIC_EXPORT_TIMEOUT, 30000: an export with its retries */
	uint32_t
		request_timeout_ms; /* OTEL_EXPORTER_OTLP_TIMEOUT (_METRICS_TIMEOUT), 10000; 0 = none */
	bool gzip;		    /* OTEL_EXPORTER_OTLP_COMPRESSION (_METRICS_COMPRESSION) */
	char *ca_file, *client_key,
		*client_certificate; /* OTEL_EXPORTER_OTLP_[METRICS_]CERTIFICATE, ... */
	char *call_log;		     /* INFERWIRE_CALL_LOG, NULL = none */
};

/* Called with each warning (one line, no newline). */
typedef void (*config_warn)(void *user, const char *line);

/*
 * Reads the environment. 0, or -EINVAL with one line in `error` (room bytes, NUL-terminated).
 * On success config_release frees it.
 */
int config_read(struct config *c, char *error, size_t room, config_warn warn, void *user);
void config_release(struct config *c);

#endif
