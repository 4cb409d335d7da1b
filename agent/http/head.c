/*
 *   GET /path HTTP/1.1 CRLF
 *   Name: OWS value OWS CRLF
 *   <white space> continues the field before (obs-fold, RFC 9112 5.2) CRLF
 *   CRLF
 *
 * A bare LF ends a line too (RFC 9112 2.2). Framing is RFC 9112 6.3; where two readers could
 * disagree about it (6.1: Transfer-Encoding with Content-Length; lengths that differ; a coding after
 * chunked) the message is refused: a wrong split of the stream would make up requests.
 */
#include "agent/http/head.h"

#define LENGTH_MAX (UINT64_MAX / 2)

size_t head_find_end(struct span in, size_t from)
{
	size_t at = from > 3 ? from - 3 : 0;
	while (at < in.len) {
		const uint8_t *lf = memchr(in.at + at, '\n', in.len - at);
		if (!lf)
			return 0;
		at = (size_t)(lf - in.at) + 1;
		if (at < in.len && in.at[at] == '\n')
			return at + 1;
		if (at + 1 < in.len && in.at[at] == '\r' && in.at[at + 1] == '\n')
			return at + 2;
	}
	return 0;
}

/* The next line without its end, taken from *text. */
static struct span take_line(struct span *text)
{
	const uint8_t *lf = text->len ? memchr(text->at, '\n', text->len) : NULL;
	struct span line = span_take(text, lf ? (size_t)(lf - text->at) + 1 : text->len);
	if (line.len && line.at[line.len - 1] == '\n')
		line.len--;
	if (line.len && line.at[line.len - 1] == '\r')
		line.len--;
	return line;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct span trimmed(struct span s)
{
	while (s.len && is_space(s.at[0]))
		span_skip(&s, 1);
	while (s.len && is_space(s.at[s.len - 1]))
		s.len--;
	return s;
}

/* RFC 9110 5.6.2 */
static bool is_token(struct span s)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.at[i];
		bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
		if (!letter && !(c >= '0' && c <= '9') && !(c && strchr(marks, c)))
			return false;
	}
	return s.len > 0;
}

/* The next field: name and value, both borrowed. False at the end; *bad if a line is no field. */
static bool take_field(struct span *text, struct span *name, struct span *value, bool *bad)
{
	struct span line = take_line(text);
	if (!line.len)
		return false;
	const uint8_t *colon = memchr(line.at, ':', line.len);
	*name = span_of(line.at, colon ? (size_t)(colon - line.at) : 0);
	if (!colon || !is_token(*name)) {
		*bad = true;
		return false;
	}
	struct span rest = line;
	span_skip(&rest, name->len + 1);
	/* A folded value stays as it is on the wire: no field that is read here is ever folded. */
	while (text->len && is_space(text->at[0])) {
		struct span more = take_line(text);
		rest.len = (size_t)(more.at + more.len - rest.at);
	}
	*value = trimmed(rest);
	return true;
}

struct span http_field(struct span fields, const char *wanted)
{
	struct span name, value;
	bool bad = false;
	while (take_field(&fields, &name, &value, &bad)) {
		if (span_is_nocase(name, wanted))
			return value;
	}
	return span_of(NULL, 0);
}

/* Digits only: "+1", "1 " and "0x1" are somebody's attempt. */
static bool read_length(struct span s, uint64_t *length)
{
	uint64_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9' || n > LENGTH_MAX / 10)
			return false;
		n = n * 10 + (uint64_t)(s.at[i] - '0');
	}
	*length = n;
	return s.len > 0;
}

/* What the fields say of the body. */
struct framing {
	bool has_length, has_coding, chunked_last, bad;
	uint64_t length;
};

/* "5, 5" is what a proxy makes of two equal fields (RFC 9112 6.3, item 5). */
static void add_length(struct framing *f, struct span value)
{
	while (!f->bad) {
		const uint8_t *comma = value.len ? memchr(value.at, ',', value.len) : NULL;
		struct span part =
			span_of(value.at, comma ? (size_t)(comma - value.at) : value.len);
		uint64_t length = 0;
		if (!read_length(trimmed(part), &length) || (f->has_length && length != f->length))
			f->bad = true;
		f->has_length = true;
		f->length = length;
		if (!comma)
			return;
		span_skip(&value, part.len + 1);
	}
}

static void add_coding(struct framing *f, struct span value)
{
	for (bool more = true; more;) {
		const uint8_t *comma = value.len ? memchr(value.at, ',', value.len) : NULL;
		struct span part =
			span_of(value.at, comma ? (size_t)(comma - value.at) : value.len);
		struct span coding = trimmed(part);
		if (coding.len) {
			if (f->chunked_last) /* a coding after chunked */
				f->bad = true;
			f->chunked_last = span_is_nocase(coding, "chunked");
			f->has_coding = true;
		}
		more = comma != NULL;
		if (more)
			span_skip(&value, part.len + 1);
	}
}

static bool read_fields(struct span text, struct head *h, struct framing *f)
{
	struct span name, value;
	h->fields.fields = text;
	while (take_field(&text, &name, &value, &f->bad)) {
		if (span_is_nocase(name, "content-length"))
			add_length(f, value);
		else if (span_is_nocase(name, "transfer-encoding"))
			add_coding(f, value);
		else if (span_is_nocase(name, "content-type") && !h->fields.content_type.len)
			h->fields.content_type = value;
		else if (span_is_nocase(name, "content-encoding") &&
			 !h->fields.content_encoding.len)
			h->fields.content_encoding = value;
		else if (span_is_nocase(name, "server") && !h->fields.server.len)
			h->fields.server = value;
	}
	return !f->bad && !(f->has_length && f->has_coding);
}

/* "HTTP/1.x" */
static bool read_version(struct span s, unsigned *minor)
{
	if (s.len != 8 || !span_starts(s, "HTTP/1.") || s.at[7] < '0' || s.at[7] > '9')
		return false;
	*minor = (unsigned)(s.at[7] - '0');
	return true;
}

static enum http_method method_of(struct span s)
{
	static const struct {
		const char *text;
		enum http_method method;
	} known[] = {
		{"GET", HTTP_GET},	 {"POST", HTTP_POST},	    {"HEAD", HTTP_HEAD_METHOD},
		{"PUT", HTTP_PUT},	 {"CONNECT", HTTP_CONNECT}, {"OPTIONS", HTTP_OPTIONS},
		{"DELETE", HTTP_DELETE}, {"PATCH", HTTP_PATCH},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (span_is(s, known[i].text))
			return known[i].method;
	}
	return HTTP_METHOD_OTHER;
}

bool head_read_request(struct span text, struct head *h)
{
	*h = (struct head){0};
	struct span line = take_line(&text);
	const uint8_t *first = memchr(line.at, ' ', line.len);
	const uint8_t *last = first ? memrchr(line.at, ' ', line.len) : NULL;
	if (!first || last <= first + 1)
		return false;
	h->fields.method_text = span_of(line.at, (size_t)(first - line.at));
	h->fields.path = span_of(first + 1, (size_t)(last - first) - 1);
	size_t before = (size_t)(last + 1 - line.at);
	if (!is_token(h->fields.method_text) ||
	    !read_version(span_of(last + 1, line.len - before), &h->fields.minor))
		return false;
	h->fields.method = method_of(h->fields.method_text);
	struct framing f = {0};
	if (!read_fields(text, h, &f))
		return false;
	if (f.has_coding) {
		h->framing = HEAD_CHUNKED;
		return f.chunked_last;
	}
	h->framing = f.length ? HEAD_LENGTH : HEAD_NO_BODY;
	h->length = f.length;
	return true;
}

bool head_read_response(struct span text, struct head *h)
{
	*h = (struct head){0};
	struct span line = take_line(&text);
	if (line.len < 12 || !read_version(span_of(line.at, 8), &h->fields.minor) ||
	    line.at[8] != ' ' || (line.len > 12 && line.at[12] != ' '))
		return false;
	for (size_t i = 9; i < 12; i++) {
		if (line.at[i] < '0' || line.at[i] > '9')
			return false;
		h->fields.status = h->fields.status * 10 + (unsigned)(line.at[i] - '0');
	}
	struct framing f = {0};
	if (h->fields.status < 100 || !read_fields(text, h, &f))
		return false;
	if (f.has_coding)
		h->framing = f.chunked_last ? HEAD_CHUNKED : HEAD_UNTIL_CLOSE;
	else if (f.has_length)
		h->framing = f.length ? HEAD_LENGTH : HEAD_NO_BODY;
	else
		h->framing = HEAD_UNTIL_CLOSE;
	h->length = f.length;
	return true;
}
