#include "agent/export/answer.h"

#include "agent/base/utf8.h"

#include "otlp.pb-c.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * OTLP 1, "OTLP/HTTP Response":
 *
 *	2xx			accepted, whatever the body is; it may tell of a partial success
 *	429 502 503 504		later, after Retry-After if it says so
 *	no (whole) answer	later
 *	certificates		refused: nothing changes until somebody acts; the next export tries
 *	everything else		refused, 408 and 500 and redirects too
 */

/* Answers worth reading are small. protobuf-c keeps 32 bytes for an unknown field of two. */
#define PARSE_BYTES (64u * 1024)

/* Bytes of an outsider as part of a line. */
static void say(struct answer *a, const char *head, struct span text)
{
	int n = snprintf(a->message, sizeof(a->message), "%s", head);
	size_t at = (size_t)n < sizeof(a->message) ? (size_t)n : sizeof(a->message) - 1;
	utf8_copy(text, a->message + at, sizeof(a->message) - at);
	for (char *c = a->message; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
}

static bool type_is(const struct post_answer *in, const char *type)
{
	size_t n = strlen(type);
	return strncasecmp(in->content_type, type, n) == 0 &&
	       (in->content_type[n] == '\0' || in->content_type[n] == ';' ||
		in->content_type[n] == ' ');
}

/* ---- partial success ---- */

static void set_partial(struct answer *a, int64_t rejected, const char *message)
{
	a->rejected_points = rejected > 0 ? (uint64_t)rejected : 0;
	if (message[0])
		say(a, "the receiver says: ", span_str(message));
	else if (rejected > 0)
		say(a, "the receiver rejected points without a word", span_str(""));
}

static void read_protobuf(struct answer *a, struct span body)
{
	Otlp__MetricsResponse *r = otlp__metrics_response__unpack(NULL, body.len, body.at);
	if (!r)
		return;
	if (r->partial_success)
		set_partial(a, r->partial_success->rejected_data_points,
			    r->partial_success->error_message);
	otlp__metrics_response__free_unpacked(r, NULL);
}

/* 64-bit integers are strings in the JSON of protobuf; some write numbers. */
static int64_t integer_of(const json_t *v)
{
	if (json_is_string(v))
		return strtoll(json_string_value(v), NULL, 10);
	return json_integer_value(v);
}

static void read_json(struct answer *a, struct span body)
{
	json_t *root = json_loadb((const char *)body.at, body.len, 0, NULL);
	const json_t *partial = json_object_get(root, "partialSuccess");
	const char *message = json_string_value(json_object_get(partial, "errorMessage"));
	if (partial)
		set_partial(a, integer_of(json_object_get(partial, "rejectedDataPoints")),
			    message ? message : "");
	json_decref(root);
}

static void read_success(struct answer *a, const struct post_answer *in)
{
	struct span body = buf_span(&in->body);
	if (!body.len || body.len > PARSE_BYTES)
		return;
	if (type_is(in, "application/x-protobuf"))
		read_protobuf(a, body);
	else if (type_is(in, "application/json"))
		read_json(a, body);
}

/* ---- refusals ---- */

/* The reason: google.rpc.Status, or text. HTML and what is not known tells nobody anything. */
static void read_refusal(struct answer *a, const struct post_answer *in)
{
	char head[32];
	struct span body = buf_span(&in->body);
	Otlp__Status *status = NULL;
	struct span reason = {0};
	if (body.len && body.len <= PARSE_BYTES) {
		if (type_is(in, "application/x-protobuf"))
			status = otlp__status__unpack(NULL, body.len, body.at);
		else if (type_is(in, "text/plain") || type_is(in, "application/json"))
			reason = body;
	}
	if (status)
		reason = span_str(status->message);
	while (reason.len &&
	       (reason.at[reason.len - 1] == '\n' || reason.at[reason.len - 1] == '\r'))
		reason.len--;
	snprintf(head, sizeof(head), "HTTP %ld%s", in->status, reason.len ? ": " : "");
	say(a, head, reason);
	otlp__status__free_unpacked(status, NULL);
}

int64_t answer_retry_after(const char *value, int64_t now_s)
{
	int64_t seconds = 0;
	if (value[0] >= '0' && value[0] <= '9') {
		const char *c = value;
		for (; *c >= '0' && *c <= '9'; c++)
			if (seconds <= ANSWER_DELAY_MAX_MS)
				seconds = seconds * 10 + (*c - '0');
		if (*c)
			return -1;
	} else {
		time_t date = curl_getdate(value, NULL);
		if (date == -1)
			return -1;
		seconds = date > now_s ? date - now_s : 0;
	}
	return seconds < ANSWER_DELAY_MAX_MS / 1000 ? seconds * 1000 : ANSWER_DELAY_MAX_MS;
}

static bool is_retryable(long status)
{
	return status == 429 || status == 502 || status == 503 || status == 504;
}

struct answer answer_read(const struct post_answer *in, int64_t now_s)
{
	struct answer a = {.verdict = ANSWER_REFUSED, .delay_ms = -1};
	if (in->status >= 200 && in->status < 300) {
		a.verdict = ANSWER_ACCEPTED;
		if (in->fault == POST_NO_FAULT)
			read_success(&a, in);
	} else if (is_retryable(in->status)) {
		a.verdict = ANSWER_LATER;
		a.delay_ms = answer_retry_after(in->retry_after, now_s);
		read_refusal(&a, in);
	} else if (in->status) {
		read_refusal(&a, in);
	} else {
		a.verdict = in->fault == POST_TLS ? ANSWER_REFUSED : ANSWER_LATER;
		say(&a, "", span_str(in->error));
	}
	return a;
}
