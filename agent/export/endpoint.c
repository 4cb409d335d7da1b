#include "agent/export/endpoint.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* libcurl is the one that will connect: what it takes for the host is the host. */

/* libcurl skips slashes until it finds a host: `http:///v1/metrics` would be one called v1. */
static bool has_host(const char *text)
{
	const char *at = strstr(text, "://");
	return at && at[3] && !strchr("/?#", at[3]);
}

/* 0 if `u` is an http or https URL. */
static int check_scheme(CURLU *u)
{
	char *scheme = NULL;
	int err = -EINVAL;
	if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    (strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0))
		err = 0;
	curl_free(scheme);
	return err;
}

/* Puts `more` behind the path of `u`, with one slash between them. */
static int extend_path(CURLU *u, const char *more)
{
	char *path = NULL, *longer = NULL;
	if (curl_url_get(u, CURLUPART_PATH, &path, 0) != CURLUE_OK)
		return -ENOMEM;
	size_t n = strlen(path);
	while (n && path[n - 1] == '/')
		n--;
	int err = 0;
	if (asprintf(&longer, "%.*s/%s", (int)n, path, more) < 0) {
		longer = NULL;
		err = -ENOMEM;
	}
	if (!err && curl_url_set(u, CURLUPART_PATH, longer, 0) != CURLUE_OK)
		err = -EINVAL;
	free(longer);
	curl_free(path);
	return err;
}

static int build(const char *text, const char *signal_path, char **url)
{
	CURLU *u = curl_url();
	if (!u)
		return -ENOMEM;
	int err = -EINVAL;
	char *whole = NULL;
	/* Dots in the path are the receiver's business. */
	if (has_host(text) && curl_url_set(u, CURLUPART_URL, text, CURLU_PATH_AS_IS) == CURLUE_OK)
		err = check_scheme(u);
	if (!err && signal_path)
		err = extend_path(u, signal_path);
	if (!err)
		err = curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
				      curl_url_get(u, CURLUPART_URL, &whole, 0) == CURLUE_OK
			      ? 0
			      : -ENOMEM;
	if (!err && !(*url = strdup(whole)))
		err = -ENOMEM;
	curl_free(whole);
	curl_url_cleanup(u);
	return err;
}

int endpoint_from_base(const char *base, const char *signal_path, char **url)
{
	return build(base, signal_path, url);
}

int endpoint_as_is(const char *endpoint, char **url)
{
	return build(endpoint, NULL, url);
}
