/*
 * Texts of outsiders that the export stage reads: a receiver's answer, and the variables that hold
 * lists. The first byte says which.
 */
#include "tests/fuzz/must.h"

#include "agent/base/limits.h"
#include "agent/base/utf8.h"
#include "agent/export/answer.h"
#include "agent/export/headers.h"
#include "agent/export/resource.h"
#include "agent/export/secrets.h"

static void answer_of(unsigned choice, struct span body)
{
	static const char *const types[] = {"application/x-protobuf", "application/json",
					    "text/plain", "text/html"};
	static const long statuses[] = {200, 400, 503, 0};
	struct post_answer in = {.status = statuses[choice / 4 % 4], .error = "x"};
	snprintf(in.content_type, sizeof(in.content_type), "%s", types[choice % 4]);
	span_copy(body, in.retry_after, sizeof(in.retry_after));
	buf_init(&in.body, LIMIT_OTLP_RESPONSE_BYTES);
	if (buf_put(&in.body, body) == 0) {
		struct answer a = answer_read(&in, 1700000000);
		must(utf8_valid(span_str(a.message)), "a message that is no UTF-8");
		must(!strpbrk(a.message, "\r\n"), "a message of several lines");
		must(a.delay_ms >= -1 && a.delay_ms <= ANSWER_DELAY_MAX_MS, "an odd delay");
		must((a.verdict == ANSWER_ACCEPTED) == (in.status == 200), "another verdict");
	}
	buf_release(&in.body);
}

/* A secret that is a word is never in a warning, and no field can break out of its line. */
static void headers_of(const char *list)
{
	char error[64];
	struct environment env = {error, sizeof(error), NULL, NULL};
	struct config c = {0};
	headers_add(&c.headers, &c.header_count, "LIST", list, &env);
	char line[160];
	snprintf(line, sizeof(line), "HTTP 401: %s", list);
	secrets_hide(&c, line);
	for (size_t i = 0; i < c.header_count; i++) {
		must(!strpbrk(c.headers[i].value, "\r\n"), "a value of several lines");
		must(c.headers[i].name[0] && !strpbrk(c.headers[i].name, "\r\n: "), "an odd name");
	}
	headers_release(c.headers, c.header_count);
}

static void resource_of(const char *list)
{
	struct process p = {.pid = 1, .program = "server"};
	struct resource r;
	span_copy(span_str(list), p.resource_attributes, sizeof(p.resource_attributes));
	if (resource_init(&r, &p, "id") != 0)
		return;
	for (size_t i = 0; i < r.count; i++) {
		must(utf8_valid(span_str(r.attributes[i].key)), "a key that is no UTF-8");
		must(!r.attributes[i].text || utf8_valid(span_str(r.attributes[i].text)),
		     "a text that is no UTF-8");
		for (size_t k = 0; k < i && r.count < 64; k++)
			must(strcmp(r.attributes[i].key, r.attributes[k].key) != 0, "a key twice");
	}
	resource_release(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	struct span rest = span_of(data + 1, size - 1);
	char *text = malloc(rest.len + 1);
	if (!text)
		return 0;
	span_copy(rest, text, rest.len + 1);
	if (data[0] < 0x80)
		answer_of(data[0], rest);
	else if (data[0] < 0xc0)
		headers_of(text);
	else
		resource_of(text);
	free(text);
	return 0;
}
