/*
 * h1_llhttp.h - the reading of llhttp, node's and httptools' parser, as strict as it comes.
 */
#ifndef TESTS_ORACLES_H1_LLHTTP_H
#define TESTS_ORACLES_H1_LLHTTP_H

/* Both have an enum of methods. */
#define HTTP_CONNECT LLHTTP_CONNECT
#define HTTP_DELETE  LLHTTP_DELETE
#define HTTP_GET     LLHTTP_GET
#define HTTP_HEAD    LLHTTP_HEAD
#define HTTP_OPTIONS LLHTTP_OPTIONS
#define HTTP_PATCH   LLHTTP_PATCH
#define HTTP_POST    LLHTTP_POST
#define HTTP_PUT     LLHTTP_PUT
#include <llhttp.h>
#undef HTTP_CONNECT
#undef HTTP_DELETE
#undef HTTP_GET
#undef HTTP_HEAD
#undef HTTP_OPTIONS
#undef HTTP_PATCH
#undef HTTP_POST
#undef HTTP_PUT

#include "tests/oracles/http/h1_reading.h"

#include "agent/http/h1.h"

#define NAMES_MAX 64

struct field_place {
	size_t name, name_len, value, value_len;
};

struct their_head {
	struct text text; /* method, target, names and values */
	struct field_place fields[NAMES_MAX];
	size_t count, method_len, url_at, url_len;
	unsigned status, minor;
};

struct theirs {
	llhttp_t parser;
	struct reading reading;
	const struct plan *plan;
	size_t answered;
	const char *input;
	struct their_head head;
	bool in_head, in_value;
	struct their_head heads[UNITS_MAX]; /* for their names */
	size_t head_count;
	const char *reason;
};

static struct theirs theirs;
static llhttp_settings_t settings;

static inline int on_begin(llhttp_t *p)
{
	(void)p;
	theirs.in_head = true;
	theirs.in_value = false;
	theirs.head.text.len = theirs.head.count = theirs.head.method_len = theirs.head.url_len = 0;
	return 0;
}

static inline int on_method(llhttp_t *p, const char *at, size_t len)
{
	(void)p;
	put(&theirs.head.text, at, len);
	theirs.head.method_len += len;
	return 0;
}

static inline int on_url(llhttp_t *p, const char *at, size_t len)
{
	(void)p;
	if (!theirs.head.url_len)
		theirs.head.url_at = theirs.head.text.len;
	put(&theirs.head.text, at, len);
	theirs.head.url_len += len;
	return 0;
}

static inline int on_name(llhttp_t *p, const char *at, size_t len)
{
	(void)p;
	struct their_head *h = &theirs.head;
	if (!theirs.in_head || !len)
		return 0;
	if (theirs.in_value || !h->count) {
		if (h->count == NAMES_MAX)
			abort();
		h->fields[h->count++] = (struct field_place){.name = h->text.len};
	}
	theirs.in_value = false;
	put(&h->text, at, len);
	h->fields[h->count - 1].name_len += len;
	return 0;
}

static inline int on_value(llhttp_t *p, const char *at, size_t len)
{
	(void)p;
	struct their_head *h = &theirs.head;
	if (!theirs.in_head || !h->count)
		return 0;
	struct field_place *f = &h->fields[h->count - 1];
	if (!theirs.in_value)
		f->value = h->text.len;
	theirs.in_value = true;
	put(&h->text, at, len);
	f->value_len += len;
	return 0;
}

static inline struct span name_of(const struct their_head *h, size_t i)
{
	return span_of(h->text.at + h->fields[i].name, h->fields[i].name_len);
}

static inline struct span value_of(const struct their_head *h, size_t i)
{
	struct span s = span_of(h->text.at + h->fields[i].value, h->fields[i].value_len);
	while (s.len && strchr(" \t\r\n", s.at[s.len - 1]) && s.at[s.len - 1])
		s.len--;
	return s;
}

static inline void copy_name(struct span name, char *to, size_t room)
{
	span_copy(name, to, room);
}

static inline struct span first_value(const struct their_head *h, const char *name)
{
	for (size_t i = 0; i < h->count; i++) {
		if (span_is_nocase(name_of(h, i), name))
			return value_of(h, i);
	}
	return span_of(NULL, 0);
}

/* Of those that the agent reads, an empty one is as good as none. */
static inline struct span first_telling(const struct their_head *h, const char *name)
{
	struct span value = span_of(NULL, 0);
	for (size_t i = 0; i < h->count && !value.len; i++) {
		if (span_is_nocase(name_of(h, i), name))
			value = value_of(h, i);
	}
	return value;
}

static inline void tell_line(struct reading *r, bool requests, struct span method,
			     struct span target, unsigned status, unsigned major, unsigned minor)
{
	char line[32];
	if (requests) {
		tell(r, method.at, method.len);
		tell_text(r, " ");
		tell(r, target.at, target.len);
	} else {
		snprintf(line, sizeof(line), "%u", status);
		tell_text(r, line);
	}
	snprintf(line, sizeof(line), " %u.%u", major, minor);
	tell_text(r, line);
}

static inline void tell_field(struct reading *r, const char *name, struct span value)
{
	tell_text(r, "\n");
	tell_text(r, name);
	tell_text(r, "=");
	tell_value(r, value.at, value.len);
}

static inline int on_head(llhttp_t *p)
{
	struct reading *r = &theirs.reading;
	struct their_head *h = &theirs.head;
	theirs.in_head = false;
	unit(r, UNIT_HEAD);
	tell_line(r, theirs.plan->requests, span_of(h->text.at, h->method_len),
		  span_of(h->text.at + h->url_at, h->url_len), p->status_code, p->http_major,
		  p->http_minor);
	tell_field(r, "type", first_telling(h, "content-type"));
	tell_field(r, "coding", first_telling(h, "content-encoding"));
	tell_field(r, "server", first_telling(h, "server"));
	for (size_t i = 0; i < h->count; i++) {
		char name[128];
		copy_name(name_of(h, i), name, sizeof(name));
		tell_field(r, name, first_value(h, name));
	}
	struct their_head *kept = &theirs.heads[theirs.head_count++];
	struct text text = kept->text;
	*kept = *h;
	text.len = 0;
	kept->text = text;
	put(&kept->text, h->text.at, h->text.len);
	unit(r, UNIT_BODY);
	if (theirs.plan->requests)
		return 0;
	unsigned asked = theirs.plan->asked[theirs.answered];
	/* As node's client tells it: 2 is a tunnel, 1 no body. */
	if (asked == HTTP_CONNECT && p->status_code / 100 == 2)
		return 2;
	return asked == HTTP_HEAD_METHOD;
}

static inline int on_body(llhttp_t *p, const char *at, size_t len)
{
	(void)p;
	tell(&theirs.reading, at, len);
	return 0;
}

static bool ending;

static inline int on_end(llhttp_t *p)
{
	unit(&theirs.reading, UNIT_END);
	if (ending)
		tell_text(&theirs.reading, "$");
	if (p->status_code >= 200)
		theirs.answered++;
	return 0;
}

static inline void set_up(void)
{
	llhttp_settings_init(&settings);
	settings.on_message_begin = on_begin;
	settings.on_method = on_method;
	settings.on_url = on_url;
	settings.on_header_field = on_name;
	settings.on_header_value = on_value;
	settings.on_headers_complete = on_head;
	settings.on_body = on_body;
	settings.on_message_complete = on_end;
}

static inline void read_theirs(struct text *in, const struct plan *plan)
{
	struct reading *r = &theirs.reading;
	theirs.plan = plan;
	theirs.answered = theirs.head_count = 0;
	theirs.reason = "";
	r->count = r->text.len = 0;
	ending = false;
	llhttp_init(&theirs.parser, plan->requests ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	/* Whether the connection lives on is not the parsers' question here. */
	llhttp_set_lenient_keep_alive(&theirs.parser, 1);
	const char *at = (const char *)in->at, *end = at + in->len;
	enum llhttp_errno e = HPE_OK;
	while (at < end) {
		e = llhttp_execute(&theirs.parser, at, (size_t)(end - at));
		if (e != HPE_PAUSED_UPGRADE)
			break;
		if (!plan->requests) {
			r->units[r->count - 1].type = UNIT_UPGRADE;
			return;
		}
		/* The server does not want to: it goes on with the next request. */
		at = llhttp_get_error_pos(&theirs.parser);
		llhttp_reset(&theirs.parser);
		e = HPE_OK;
	}
	if (e != HPE_OK) {
		theirs.reason = llhttp_get_error_reason(&theirs.parser);
		unit(r, UNIT_BAD);
		return;
	}
	ending = true;
	bool between = llhttp_finish(&theirs.parser) == HPE_OK;
	unit(r, between ? UNIT_BETWEEN : UNIT_INSIDE);
}

#endif
