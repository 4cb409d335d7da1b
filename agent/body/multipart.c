/*
 *   preamble CRLF --boundary CRLF  field: value CRLF  CRLF  content CRLF --boundary-- CRLF epilogue
 *   CONTENT       BEHIND           FIELDS                   CONTENT      BEHIND            CLOSED
 *
 * The first delimiter may stand at the very start, without its CRLF: the body is read as if one stood
 * before it. A boundary has no CR in it, so a delimiter that goes wrong can begin anew only at its first
 * byte, and what was matched of it is content: it is given from the delimiter itself.
 */
#include "agent/body/multipart.h"

enum multipart_state {
	MULTIPART_PREAMBLE,
	MULTIPART_CONTENT,
	MULTIPART_BEHIND,      /* a delimiter, what follows it in its line */
	MULTIPART_BEHIND_DASH, /* the same, "-" */
	MULTIPART_FIELDS,
	MULTIPART_AT_CONTENT, /* behind the fields: the part is to be told */
	MULTIPART_CLOSED,
};

/* ---- the fields' parameters ---------------------------------------------------------------------- */

static void skip_white(struct span *s)
{
	while (s->len && (s->at[0] == ' ' || s->at[0] == '\t'))
		span_skip(s, 1);
}

static size_t token_bytes(struct span s, const char *ends)
{
	size_t n = 0;
	while (n < s.len && !strchr(ends, s.at[n]))
		n++;
	return n;
}

/* A value, quoted or not; its text goes to `to`, cut. Returns how long it is there. */
static size_t take_value(struct span *s, uint8_t *to, size_t room)
{
	size_t n = 0;
	bool quoted = s->len && s->at[0] == '"';
	if (!quoted) {
		struct span text = span_take(s, token_bytes(*s, "; \t"));
		n = text.len < room ? text.len : room;
		memcpy(to, text.at, n);
		return n;
	}
	for (span_skip(s, 1); s->len && s->at[0] != '"'; span_skip(s, 1)) {
		if (s->at[0] == '\\' && s->len > 1)
			span_skip(s, 1);
		if (n < room)
			to[n++] = s->at[0];
	}
	if (s->len)
		span_skip(s, 1);
	return n;
}

/* The next parameter: "; name=value". False at the end. */
static bool take_parameter(struct span *s, struct span *name, uint8_t *value, size_t room,
			   size_t *len)
{
	const uint8_t *semicolon = s->len ? memchr(s->at, ';', s->len) : NULL;
	if (!semicolon)
		return false;
	span_skip(s, (size_t)(semicolon - s->at) + 1);
	skip_white(s);
	*name = span_take(s, token_bytes(*s, "=;"));
	*len = 0;
	if (s->len && s->at[0] == '=') {
		span_skip(s, 1);
		*len = take_value(s, value, room);
	}
	return true;
}

bool multipart_init(struct multipart *p, struct span type)
{
	static const char form[] = "multipart/form-data";
	struct span name;
	size_t len;
	*p = (struct multipart){.delimiter = "\r\n--", .matched = 2, .at_start = true};
	if (type.len < sizeof(form) ||
	    strncasecmp((const char *)type.at, form, sizeof(form) - 1) != 0)
		return false;
	span_skip(&type, sizeof(form) - 1);
	while (take_parameter(&type, &name, p->delimiter + 4, MULTIPART_BOUNDARY_BYTES, &len)) {
		if (!span_is_nocase(name, "boundary"))
			continue;
		p->delimiter_len = (uint8_t)(4 + len);
		return len && !memchr(p->delimiter + 4, '\r', len);
	}
	return false;
}

/* One field line of a part is complete. */
static void field_line(struct multipart *p)
{
	static const char disposition[] = "content-disposition:";
	uint8_t value[MULTIPART_NAME_BYTES];
	struct span line = span_of(p->line, p->line_len), name;
	size_t len;
	if (line.len < sizeof(disposition) ||
	    strncasecmp((const char *)line.at, disposition, sizeof(disposition) - 1) != 0)
		return;
	while (take_parameter(&line, &name, value, sizeof(value), &len)) {
		if (span_is_nocase(name, "name")) {
			memcpy(p->name, value, len);
			p->name_len = (uint8_t)len;
		} else if (span_is_nocase(name, "filename") || span_is_nocase(name, "filename*")) {
			p->file = true;
		}
	}
}

/* ---- the body ------------------------------------------------------------------------------------- */

/* A byte of a line behind a delimiter. */
static void behind(struct multipart *p, uint8_t c)
{
	if (c == '\n') {
		p->state = MULTIPART_FIELDS;
		p->line_len = p->name_len = 0;
		p->file = false;
	} else if (c == '-') {
		p->state = p->state == MULTIPART_BEHIND_DASH ? MULTIPART_CLOSED
							     : MULTIPART_BEHIND_DASH;
	} else {
		p->state = MULTIPART_BEHIND;
	}
}

/* More of the fields. */
static void in_fields(struct multipart *p, struct span *in)
{
	while (in->len && p->state == MULTIPART_FIELDS) {
		const uint8_t *lf = memchr(in->at, '\n', in->len);
		struct span part = span_take(in, lf ? (size_t)(lf - in->at) : in->len);
		size_t room = sizeof(p->line) - p->line_len;
		size_t n = part.len < room ? part.len : room;
		memcpy(p->line + p->line_len, part.at, n);
		p->line_len = (uint16_t)(p->line_len + n);
		if (!lf)
			return;
		span_skip(in, 1);
		if (p->line_len && p->line[p->line_len - 1] == '\r')
			p->line_len--;
		if (!p->line_len)
			p->state = MULTIPART_AT_CONTENT;
		else
			field_line(p);
		p->line_len = 0;
	}
}

static bool give(const struct multipart *p, struct multipart_event *ev, struct span data)
{
	*ev = (struct multipart_event){.type = MULTIPART_DATA, .data = data};
	return p->state == MULTIPART_CONTENT; /* nobody asks for the preamble */
}

/* Content up to what may be a delimiter, or more of that. True: *ev is set. */
static bool in_content(struct multipart *p, struct span *in, struct multipart_event *ev)
{
	if (!p->matched) {
		const uint8_t *cr = memchr(in->at, '\r', in->len);
		struct span data = span_take(in, cr ? (size_t)(cr - in->at) : in->len);
		if (data.len)
			return give(p, ev, data);
	}
	while (in->len && p->matched < p->delimiter_len && in->at[0] == p->delimiter[p->matched]) {
		p->matched++;
		span_skip(in, 1);
	}
	if (p->matched == p->delimiter_len) {
		bool content = p->state == MULTIPART_CONTENT;
		p->state = MULTIPART_BEHIND;
		p->matched = 0;
		*ev = (struct multipart_event){.type = MULTIPART_END};
		return content;
	}
	if (!in->len || !p->matched)
		return false;
	struct span held = span_of(p->delimiter, p->matched);
	if (p->at_start)
		span_skip(&held, 2);
	p->at_start = false;
	p->matched = 0;
	return held.len && give(p, ev, held);
}

enum step multipart_next(struct multipart *p, struct span *in, struct multipart_event *ev)
{
	while (in->len || p->state == MULTIPART_AT_CONTENT) {
		switch ((enum multipart_state)p->state) {
		case MULTIPART_PREAMBLE:
		case MULTIPART_CONTENT:
			if (in_content(p, in, ev))
				return STEP_EVENT;
			break;
		case MULTIPART_BEHIND:
		case MULTIPART_BEHIND_DASH:
			behind(p, in->at[0]);
			span_skip(in, 1);
			break;
		case MULTIPART_FIELDS:
			in_fields(p, in);
			break;
		case MULTIPART_AT_CONTENT:
			/* A part without content has its delimiter right behind the fields. */
			p->state = MULTIPART_CONTENT;
			p->matched = 2;
			p->at_start = true;
			*ev = (struct multipart_event){.type = MULTIPART_PART,
						       .name = span_of(p->name, p->name_len),
						       .file = p->file};
			return STEP_EVENT;
		case MULTIPART_CLOSED:
			span_skip(in, in->len);
			break;
		}
	}
	return STEP_MORE;
}
