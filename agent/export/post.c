#include "agent/export/post.h"

#include "agent/base/limits.h"
#include "agent/export/clock.h"

#include <curl/curl.h>
#include <limits.h>
#include <stdlib.h>

struct post {
	CURL *curl;
	struct curl_slist *headers;
	const _Atomic uint64_t *abort_at_ns;
	struct post_answer answer;
	char curl_error[CURL_ERROR_SIZE];
};

/* ---- callbacks ---- */

/* Past the limit the rest is not read; curl then ends the transfer with CURLE_WRITE_ERROR. */
static size_t on_body(char *bytes, size_t one, size_t n, void *user)
{
	struct post *p = user;
	return buf_put(&p->answer.body, span_of(bytes, one * n)) == 0 ? n : 0;
}

static struct span trim_line(struct span s)
{
	while (s.len && (s.at[0] == ' ' || s.at[0] == '\t'))
		span_skip(&s, 1);
	while (s.len && (s.at[s.len - 1] == '\r' || s.at[s.len - 1] == '\n' ||
			 s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static void keep_field(struct span line, const char *name, char *to, size_t room)
{
	size_t n = strlen(name);
	if (line.len > n && line.at[n] == ':' && strncasecmp((const char *)line.at, name, n) == 0)
		span_copy(trim_line(span_of(line.at + n + 1, line.len - n - 1)), to, room);
}

static size_t on_header(char *bytes, size_t one, size_t n, void *user)
{
	struct post_answer *a = &((struct post *)user)->answer;
	struct span line = span_of(bytes, one * n);
	if (span_starts(line, "HTTP/")) /* a further head, after 100 Continue for one */
		a->content_type[0] = a->retry_after[0] = '\0';
	keep_field(line, "Content-Type", a->content_type, sizeof(a->content_type));
	keep_field(line, "Retry-After", a->retry_after, sizeof(a->retry_after));
	return n;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct post *p = user;
	(void)a, (void)b, (void)c, (void)d;
	return clock_mono_ns() >= atomic_load_explicit(p->abort_at_ns, memory_order_relaxed);
}

/* ---- set up ---- */

static bool add_header(struct post *p, const char *name, const char *value)
{
	char *line = NULL;
	/* "Name;" is curl's way to send a field without a value; "Name:" takes it away. */
	if (asprintf(&line, value[0] ? "%s: %s" : "%s;", name, value) < 0)
		return false;
	struct curl_slist *longer = curl_slist_append(p->headers, line);
	free(line);
	if (longer)
		p->headers = longer;
	return longer;
}

static bool add_headers(struct post *p, const struct config *c)
{
	/* No parameters: Prometheus compares the whole value. */
	if (!add_header(p, "Content-Type", "application/x-protobuf"))
		return false;
	if (c->gzip && !add_header(p, "Content-Encoding", "gzip"))
		return false;
	/* Otherwise libcurl asks before it sends a large body, and waits a second for an answer. */
	struct curl_slist *longer = curl_slist_append(p->headers, "Expect:");
	if (!longer)
		return false;
	p->headers = longer;
	for (size_t i = 0; i < c->header_count; i++)
		if (!add_header(p, c->headers[i].name, c->headers[i].value))
			return false;
	return true;
}

static bool set_tls(CURL *h, const struct config *c)
{
	CURLcode e = CURLE_OK;
	if (c->ca_file)
		e = curl_easy_setopt(h, CURLOPT_CAINFO, c->ca_file);
	if (e == CURLE_OK && c->client_key)
		e = curl_easy_setopt(h, CURLOPT_SSLKEY, c->client_key);
	if (e == CURLE_OK && c->client_certificate)
		e = curl_easy_setopt(h, CURLOPT_SSLCERT, c->client_certificate);
	return e == CURLE_OK;
}

static bool set_options(struct post *p, const struct config *c)
{
	CURL *h = p->curl;
	bool ok = true;
#define SET(option, value) (ok = ok && curl_easy_setopt(h, option, value) == CURLE_OK)
	SET(CURLOPT_URL, c->metrics_url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_HTTPHEADER, p->headers);
	SET(CURLOPT_USERAGENT,
	    "inferwire/" INFERWIRE_VERSION " OTel-OTLP-Exporter-C/" INFERWIRE_VERSION);
	/* A redirect would carry the headers, and what is secret in them, elsewhere. */
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_ERRORBUFFER, p->curl_error);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, p);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, p);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, p);
#undef SET
	return ok && set_tls(h, c);
}

struct post *post_new(const struct config *config, const _Atomic uint64_t *abort_at_ns)
{
	struct post *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	buf_init(&p->answer.body, LIMIT_OTLP_RESPONSE_BYTES);
	p->abort_at_ns = abort_at_ns;
	p->curl = curl_easy_init();
	if (!p->curl || !add_headers(p, config) || !set_options(p, config)) {
		post_free(p);
		return NULL;
	}
	return p;
}

void post_free(struct post *p)
{
	if (!p)
		return;
	curl_easy_cleanup(p->curl);
	curl_slist_free_all(p->headers);
	buf_release(&p->answer.body);
	free(p);
}

/* ---- one request ---- */

static enum post_fault fault_of(CURLcode e)
{
	switch (e) {
	case CURLE_OK:
		return POST_NO_FAULT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ENGINE_NOTFOUND:
		return POST_TLS;
	default:
		return POST_TRANSPORT;
	}
}

const struct post_answer *post_send(struct post *p, struct span body, uint64_t timeout_ms)
{
	struct post_answer *a = &p->answer;
	a->status = 0;
	a->content_type[0] = a->retry_after[0] = a->error[0] = p->curl_error[0] = '\0';
	buf_clear(&a->body);
	curl_easy_setopt(p->curl, CURLOPT_TIMEOUT_MS,
			 (long)(timeout_ms < INT_MAX ? timeout_ms : 0));
	curl_easy_setopt(p->curl, CURLOPT_POSTFIELDS, body.at);
	curl_easy_setopt(p->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
	CURLcode e = curl_easy_perform(p->curl);
	a->fault = fault_of(e);
	curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &a->status);
	if (a->status < 200)
		a->status = 0; /* a 100 that nothing followed */
	if (e != CURLE_OK)
		span_copy(span_str(p->curl_error[0] ? p->curl_error : curl_easy_strerror(e)),
			  a->error, sizeof(a->error));
	return a;
}
