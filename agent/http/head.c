/*
 *   GET /path HTTP/1.1 CRLF
 *   Name: OWS value OWS CRLF
 *   <white space> continues the field before (obs-fold, RFC 9112 5.2) CRLF
 *   CRLF
 *
 * A bare LF ends a line too (RFC 9112 2.2); a bare CR, which some read as a line end and some as white
 * space, makes the head unreadable. Framing is RFC 9112 6.3; where two readers could disagree about it
 * (6.1: Transfer-Encoding with Content-Length; lengths that differ; a coding after chunked) the head is
 * refused: a wrong split of the stream would make up requests. An HTTP/1.0 request in chunks is not:
 * llhttp, h11 and cpp-httplib all decode it.
 */
#include "agent/http/head.h"

#include "agent/http/field.h"
#include "agent/http/token.h"

#define LENGTH_MAX (UINT64_MAX / 2)

size_t head_find_end(struct span in)
{
	size_t at = 0;
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

/* The next field: name and value, both borrowed. False at the end; *bad if a line is no field. */
static bool take_field(struct span *text, struct span *name, struct span *value, bool *bad)
{
	struct span line = take_line(text);
	if (!line.len)
		return false;
	const uint8_t *colon = memchr(line.at, ':', line.len);
	*name = span_of(line.at, colon ? (size_t)(colon - line.at) : 0);
	*bad = !is_token(*name) || !field_is_clean(line);
	if (*bad)
		return false;
	struct span rest = line;
	span_skip(&rest, name->len + 1);
	while (text->len && field_is_space(text->at[0])) {
		struct span more = take_line(text);
		*bad |= !field_is_clean(more);
		rest.len = (size_t)(more.at + more.len - rest.at);
	}
	*value = field_trimmed(rest);
	return !*bad;
}

bool http_next_field(struct span *fields, struct span *name, struct span *value)
{
	bool bad = false;
	return take_field(fields, name, value, &bad);
}

struct span http_field(struct span fields, const char *wanted)
{
	struct span name, value;
	while (http_next_field(&fields, &name, &value)) {
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
		unsigned digit = s.at[i] - (unsigned)'0';
		if (digit > 9 || n > (LENGTH_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*length = n;
	return s.len > 0;
}

/* What the fields say of the body. */
struct framing {
	bool has_length, has_coding, chunked_last;
	uint64_t length;
};

/* "5, 5" is what a proxy makes of two equal fields (RFC 9112 6.3, item 5). */
static bool add_length(struct framing *f, struct span value)
{
	struct span element;
	while (field_take_element(&value, &element)) {
		uint64_t length;
		if (!read_length(element, &length) || (f->has_length && length != f->length))
			return false;
		f->has_length = true;
		f->length = length;
	}
	return true;
}

static bool add_coding(struct framing *f, struct span value)
{
	struct span element;
	f->has_coding = true;
	while (field_take_element(&value, &element)) {
		/* Not even an empty one behind chunked, of which the list rule makes nothing (RFC 9110
		 * 5.6.1.2): llhttp reads "chunked," as another coding. */
		if (f->chunked_last)
			return false;
		if (!element.len)
			continue;
		const uint8_t *parameters = memchr(element.at, ';', element.len);
		struct span coding = element;
		if (parameters)
			coding = field_trimmed(
				span_of(element.at, (size_t)(parameters - element.at)));
		/* Nothing comes after chunked, and chunked has no parameters (RFC 9112 6.1, 7.1). */
		if (!is_token(coding))
			return false;
		f->chunked_last = span_is_nocase(coding, "chunked");
		if (f->chunked_last && parameters)
			return false;
	}
	return true;
}

static bool read_fields(struct span text, struct head *h, struct framing *f)
{
	struct span name, value;
	bool bad = false;
	h->fields.fields = text;
	while (!bad && take_field(&text, &name, &value, &bad)) {
		if (span_is_nocase(name, "content-length"))
			bad = !add_length(f, value);
		else if (span_is_nocase(name, "transfer-encoding"))
			bad = !add_coding(f, value);
		else if (span_is_nocase(name, "content-type") && !h->fields.content_type.len)
			h->fields.content_type = value;
		else if (span_is_nocase(name, "content-encoding") &&
			 !h->fields.content_encoding.len)
			h->fields.content_encoding = value;
		else if (span_is_nocase(name, "server") && !h->fields.server.len)
			h->fields.server = value;
	}
	h->length = f->length;
	return !bad && !(f->has_length && f->has_coding);
}

/* "HTTP/1.x" */
static bool read_version(struct span s, unsigned *minor)
{
	if (s.len != 8 || !span_starts(s, "HTTP/1.") || s.at[7] < '0' || s.at[7] > '9')
		return false;
	*minor = (unsigned)(s.at[7] - '0');
	return true;
}

/* More spaces than one around the target are none of its own (RFC 9112 3: readers may be lenient, and
 * llhttp is); those inside are: some clients do not encode them. */
static bool read_request_line(struct span line, struct http_head *h)
{
	const uint8_t *first = line.len ? memchr(line.at, ' ', line.len) : NULL;
	const uint8_t *last = first ? memrchr(line.at, ' ', line.len) : NULL;
	if (!first || last <= first + 1)
		return false;
	h->method_text = span_of(line.at, (size_t)(first - line.at));
	h->method = http_method_of(h->method_text);
	h->path = field_trimmed(span_of(first + 1, (size_t)(last - first) - 1));
	size_t before = (size_t)(last + 1 - line.at);
	return h->path.len && is_token(h->method_text) && field_is_clean(line) &&
	       read_version(span_of(last + 1, line.len - before), &h->minor);
}

/* The reason phrase, and the space before it, may be missing (RFC 9112 4: clients ought to ignore it). */
static bool read_status_line(struct span line, struct http_head *h)
{
	if (line.len < 12 || !read_version(span_of(line.at, 8), &h->minor) || line.at[8] != ' ' ||
	    (line.len > 12 && line.at[12] != ' '))
		return false;
	for (size_t i = 9; i < 12; i++) {
		if (line.at[i] < '0' || line.at[i] > '9')
			return false;
		h->status = h->status * 10 + (unsigned)(line.at[i] - '0');
	}
	return h->status >= 100 && field_is_clean(line);
}

bool head_read_request(struct span text, struct head *h)
{
	struct framing f = {0};
	*h = (struct head){0};
	if (!read_request_line(take_line(&text), &h->fields) || !read_fields(text, h, &f))
		return false;
	if (f.has_coding)
		h->framing = HEAD_CHUNKED;
	else
		h->framing = f.length ? HEAD_LENGTH : HEAD_NO_BODY;
	return !f.has_coding || f.chunked_last;
}

bool head_read_response(struct span text, struct head *h)
{
	struct framing f = {0};
	*h = (struct head){0};
	if (!read_status_line(take_line(&text), &h->fields) || !read_fields(text, h, &f))
		return false;
	if (f.has_coding)
		h->framing = f.chunked_last ? HEAD_CHUNKED : HEAD_UNTIL_CLOSE;
	else if (f.has_length)
		h->framing = f.length ? HEAD_LENGTH : HEAD_NO_BODY;
	else
		h->framing = HEAD_UNTIL_CLOSE;
	return true;
}

/* Known methods only: the rest of a cut "POST" is a token, too. */
bool head_starts_request(struct span piece)
{
	struct http_head h = {0};
	if (piece.len && memchr(piece.at, '\n', piece.len))
		return read_request_line(take_line(&piece), &h) && h.method != HTTP_METHOD_OTHER;
	const uint8_t *space = piece.len ? memchr(piece.at, ' ', piece.len) : NULL;
	struct span method = span_take(&piece, space ? (size_t)(space - piece.at) : 0);
	return http_method_of(method) != HTTP_METHOD_OTHER && span_starts(piece, " /");
}

bool head_starts_response(struct span piece)
{
	struct http_head ignored = {0};
	return read_status_line(take_line(&piece), &ignored);
}
