/*
 * An ExportMetricsServiceRequest without any metrics is zero bytes long, and a receiver answers it as
 * any other (OTLP specification, "OTLP/HTTP Request").
 */
#include "tools/verify_endpoint.h"

#include "agent/export/config.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDPOINT_MS 4000

static size_t drop(char *bytes, size_t size, size_t count, void *user)
{
	(void)bytes, (void)user;
	return size * count;
}

static void ignore_warning(void *user, const char *line)
{
	(void)user, (void)line;
}

static struct curl_slist *make_headers(const struct config *c)
{
	struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/x-protobuf");
	for (size_t i = 0; i < c->header_count; i++) {
		char line[8192];
		int n = snprintf(line, sizeof(line), "%s: %s", c->headers[i].name,
				 c->headers[i].value);
		if (n > 0 && (size_t)n < sizeof(line))
			list = curl_slist_append(list, line);
	}
	return list;
}

static CURLcode post_nothing(const struct config *c, struct curl_slist *headers, long *status)
{
	CURL *curl = curl_easy_init();
	if (!curl)
		return CURLE_FAILED_INIT;
	curl_easy_setopt(curl, CURLOPT_URL, c->metrics_url);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ENDPOINT_MS);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "inferwire/" INFERWIRE_VERSION);
	if (c->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, c->ca_file);
	if (c->client_certificate)
		curl_easy_setopt(curl, CURLOPT_SSLCERT, c->client_certificate);
	if (c->client_key)
		curl_easy_setopt(curl, CURLOPT_SSLKEY, c->client_key);
	CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
	curl_easy_cleanup(curl);
	return code;
}

static bool is_configured(void)
{
	const char *general = getenv("OTEL_EXPORTER_OTLP_ENDPOINT");
	const char *metrics = getenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
	return (general && general[0]) || (metrics && metrics[0]);
}

bool verify_endpoint(char *text, size_t room)
{
	struct config c;
	char error[512];
	long status = 0;
	if (!is_configured()) {
		snprintf(text, room, "OTEL_EXPORTER_OTLP_ENDPOINT is not set: none to try");
		return true;
	}
	if (config_read(&c, error, sizeof(error), ignore_warning, NULL) != 0) {
		snprintf(text, room, "%s", error);
		return false;
	}
	if (c.disabled || !c.to_otlp || !c.metrics_url) {
		snprintf(text, room, "export by OTLP is switched off: none to try");
		config_release(&c);
		return true;
	}
	struct curl_slist *headers = make_headers(&c);
	CURLcode code = post_nothing(&c, headers, &status);
	curl_slist_free_all(headers);
	bool accepted = code == CURLE_OK && status >= 200 && status < 300;
	if (code != CURLE_OK)
		snprintf(text, room, "%s: %s; is a receiver there, and may this machine reach it?",
			 c.metrics_url, curl_easy_strerror(code));
	else if (accepted)
		snprintf(text, room, "%s accepts OTLP", c.metrics_url);
	else
		snprintf(text, room,
			 "%s answers %ld; is this the OTLP/HTTP port and path, and are "
			 "the headers right?",
			 c.metrics_url, status);
	config_release(&c);
	return accepted;
}
