#include "agent/http/h2_fields.h"

#include "agent/base/limits.h"
#include "agent/http/field.h"
#include "agent/http/token.h"

void h2_fields_begin(struct h2_fields *f)
{
	struct buf text = f->text;
	buf_clear(&text);
	text.max = LIMIT_HEAD_BYTES;
	*f = (struct h2_fields){.text = text};
}

void h2_fields_release(struct h2_fields *f)
{
	buf_release(&f->text);
}

static bool keep(struct h2_fields *f, struct span s)
{
	if (f->cut || buf_put(&f->text, s) != 0)
		f->cut = true;
	return !f->cut;
}

/* The first of its name that says something counts, as in HTTP/1. */
static void keep_place(const struct h2_fields *f, struct h2_place *p, size_t len)
{
	if (!p->len)
		*p = (struct h2_place){(uint32_t)(f->text.len - len), (uint32_t)len};
}

static unsigned status_of(struct span value)
{
	unsigned status = 0;
	for (size_t i = 0; i < value.len; i++) {
		if (value.len != 3 || value.at[i] < '0' || value.at[i] > '9')
			return 0;
		status = status * 10 + (value.at[i] - (unsigned)'0');
	}
	return status >= 100 ? status : 0;
}

/* They stand before the regular ones (RFC 9113 8.3). A byte before each value, so that no place is 0. */
static void put_pseudo(struct h2_fields *f, struct span name, struct span value)
{
	struct h2_place *place = NULL;
	if (f->lines_at)
		return;
	if (span_is(name, ":method"))
		place = &f->method;
	else if (span_is(name, ":path"))
		place = &f->path;
	else if (span_is(name, ":status") && !f->status)
		f->status = status_of(value);
	if (place && !place->at && keep(f, span_str(":")) && keep(f, value))
		keep_place(f, place, value.len);
}

static struct h2_place *place_of(struct h2_fields *f, struct span name)
{
	if (span_is_nocase(name, "content-type"))
		return &f->content_type;
	if (span_is_nocase(name, "content-encoding"))
		return &f->content_encoding;
	return span_is_nocase(name, "server") ? &f->server : NULL;
}

void h2_fields_put(struct h2_fields *f, struct span name, struct span value)
{
	if (!field_is_clean(value))
		return;
	if (name.len && name.at[0] == ':') {
		put_pseudo(f, name, value);
		return;
	}
	struct h2_place *place = place_of(f, name);
	if (!f->lines_at && keep(f, span_str("\n")))
		f->lines_at = (uint32_t)f->text.len;
	if (!is_token(name) || !keep(f, name) || !keep(f, span_str(": ")) || !keep(f, value))
		return;
	if (place)
		keep_place(f, place, value.len);
	keep(f, span_str("\r\n"));
}

static struct span at_place(const struct h2_fields *f, struct h2_place p)
{
	return p.at ? span_of(f->text.at + p.at, p.len) : span_of(NULL, 0);
}

bool h2_fields_head(const struct h2_fields *f, struct http_head *head)
{
	if (f->cut || (!f->method.at && !f->status))
		return false;
	*head = (struct http_head){
		.method = http_method_of(at_place(f, f->method)),
		.method_text = at_place(f, f->method),
		.path = at_place(f, f->path),
		.status = f->status,
		.content_type = at_place(f, f->content_type),
		.content_encoding = at_place(f, f->content_encoding),
		.server = at_place(f, f->server),
	};
	if (f->lines_at)
		head->fields = span_of(f->text.at + f->lines_at, f->text.len - f->lines_at);
	return true;
}
