/*
 * endpoint.h - the URL that OTLP is posted to, by the rules of the two ENDPOINT variables.
 */
#ifndef EXPORT_ENDPOINT_H
#define EXPORT_ENDPOINT_H

/*
 * Both: *url is for free(); 0, -ENOMEM, or -EINVAL for what is no http or https URL with a host.
 * User, password and query are kept, a fragment is not.
 */

/* OTEL_EXPORTER_OTLP_ENDPOINT: a base, to which the signal's path is appended after one slash. */
int endpoint_from_base(const char *base, const char *signal_path, char **url);

/* OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: taken as it is; only an absent path becomes `/`. */
int endpoint_as_is(const char *endpoint, char **url);

#endif
