/*
 * HTTP/1 by h1.h and by llhttp, node's and httptools' parser, as strict as it comes: heads, bodies, where
 * each message ends, and at which one a reader gives up. Ours gets the bytes in pieces.
 *
 * A reading is a row of units: HEAD, BODY, END of each message, then how it ended. BAD is one, too. Of two
 * readings only the first unit that differs is looked at: behind it nothing can be said.
 */
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

#include "tests/oracles/http/h1_makes.h"
#include "tests/oracles/oracle.h"

#include "agent/base/limits.h"
#include "agent/http/h1.h"

#define UNITS_MAX 256
#define NAMES_MAX 64

enum unit_type {
	UNIT_HEAD,
	UNIT_BODY,
	UNIT_END,
	UNIT_UPGRADE,
	UNIT_BAD,
	UNIT_BETWEEN,
	UNIT_INSIDE
};
static const char *const unit_names[] = {"HEAD", "BODY",    "END",   "UPGRADE",
					 "BAD",	 "between", "inside"};

struct unit {
	enum unit_type type;
	size_t at, len; /* what it says, in the reading's text */
	size_t begin;	/* of its message, in the input */
};

struct reading {
	struct text text;
	struct unit units[UNITS_MAX];
	size_t count;
	size_t begin; /* of the present message */
};

struct plan {
	bool requests;
	unsigned char asked[UNITS_MAX]; /* enum http_method of the n-th response's request */
};

static void unit(struct reading *r, enum unit_type type)
{
	if (r->count == UNITS_MAX)
		abort();
	r->units[r->count++] = (struct unit){type, r->text.len, 0, r->begin};
}

/* Adds to what the last unit says. */
static void tell(struct reading *r, const void *at, size_t len)
{
	put(&r->text, at, len);
	r->units[r->count - 1].len += len;
}

/* White space inside a value, which a fold makes of line ends, is one space. */
static void tell_value(struct reading *r, const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool space = strchr(" \t\r\n", at[i]) && at[i];
		if (space && i && strchr(" \t\r\n", at[i - 1]) && at[i - 1])
			continue;
		tell(r, space ? " " : (const char *)&at[i], 1);
	}
}

static void tell_text(struct reading *r, const char *text)
{
	tell(r, text, strlen(text));
}

/* ---- llhttp ---------------------------------------------------------------------------------------- */

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

static int on_begin(llhttp_t *p)
{
	(void)p;
	theirs.in_head = true;
	theirs.in_value = false;
	theirs.head.text.len = theirs.head.count = theirs.head.method_len = theirs.head.url_len = 0;
	return 0;
}

static int on_method(llhttp_t *p, const char *at, size_t len)
{
	(void)p;
	put(&theirs.head.text, at, len);
	theirs.head.method_len += len;
	return 0;
}

static int on_url(llhttp_t *p, const char *at, size_t len)
{
	(void)p;
	if (!theirs.head.url_len)
		theirs.head.url_at = theirs.head.text.len;
	put(&theirs.head.text, at, len);
	theirs.head.url_len += len;
	return 0;
}

static int on_name(llhttp_t *p, const char *at, size_t len)
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

static int on_value(llhttp_t *p, const char *at, size_t len)
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

static struct span name_of(const struct their_head *h, size_t i)
{
	return span_of(h->text.at + h->fields[i].name, h->fields[i].name_len);
}

static struct span value_of(const struct their_head *h, size_t i)
{
	struct span s = span_of(h->text.at + h->fields[i].value, h->fields[i].value_len);
	while (s.len && strchr(" \t\r\n", s.at[s.len - 1]) && s.at[s.len - 1])
		s.len--;
	return s;
}

static void copy_name(struct span name, char *to, size_t room)
{
	span_copy(name, to, room);
}

static struct span first_value(const struct their_head *h, const char *name)
{
	for (size_t i = 0; i < h->count; i++) {
		if (span_is_nocase(name_of(h, i), name))
			return value_of(h, i);
	}
	return span_of(NULL, 0);
}

/* Of those that the agent reads, an empty one is as good as none. */
static struct span first_telling(const struct their_head *h, const char *name)
{
	struct span value = span_of(NULL, 0);
	for (size_t i = 0; i < h->count && !value.len; i++) {
		if (span_is_nocase(name_of(h, i), name))
			value = value_of(h, i);
	}
	return value;
}

static void tell_line(struct reading *r, bool requests, struct span method, struct span target,
		      unsigned status, unsigned major, unsigned minor)
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

static void tell_field(struct reading *r, const char *name, struct span value)
{
	tell_text(r, "\n");
	tell_text(r, name);
	tell_text(r, "=");
	tell_value(r, value.at, value.len);
}

static int on_head(llhttp_t *p)
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

static int on_body(llhttp_t *p, const char *at, size_t len)
{
	(void)p;
	tell(&theirs.reading, at, len);
	return 0;
}

static bool ending;

static int on_end(llhttp_t *p)
{
	unit(&theirs.reading, UNIT_END);
	if (ending)
		tell_text(&theirs.reading, "$");
	if (p->status_code >= 200)
		theirs.answered++;
	return 0;
}

static void set_up(void)
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

static void read_theirs(struct text *in, const struct plan *plan)
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

/* ---- ours ------------------------------------------------------------------------------------------ */

static struct reading ours;

static void our_head(const struct plan *plan, const struct http_head *head, size_t nth)
{
	struct reading *r = &ours;
	unit(r, UNIT_HEAD);
	tell_line(r, plan->requests, head->method_text, head->path, head->status, 1, head->minor);
	tell_field(r, "type", head->content_type);
	tell_field(r, "coding", head->content_encoding);
	tell_field(r, "server", head->server);
	const struct their_head *h = nth < theirs.head_count ? &theirs.heads[nth] : NULL;
	for (size_t i = 0; h && i < h->count; i++) {
		char name[128];
		copy_name(name_of(h, i), name, sizeof(name));
		tell_field(r, name, http_field(head->fields, name));
	}
	unit(r, UNIT_BODY);
}

/* True where the direction has left HTTP. */
static bool our_event(const struct plan *plan, struct h1 *h1, const struct http_event *ev,
		      size_t at, size_t *heads, size_t *answered, unsigned *status)
{
	switch (ev->type) {
	case HTTP_BEGIN:
		ours.begin = at;
		break;
	case HTTP_HEAD:
	case HTTP_UPGRADE:
		*status = ev->head.status;
		our_head(plan, &ev->head, (*heads)++);
		if (ev->type == HTTP_UPGRADE)
			unit(&ours, UNIT_UPGRADE);
		return ev->type == HTTP_UPGRADE;
	case HTTP_BODY:
		tell(&ours, ev->body.at, ev->body.len);
		break;
	case HTTP_END:
		unit(&ours, UNIT_END);
		if (ev->closes)
			tell_text(&ours, "$");
		if (*status >= 200 && !plan->requests)
			h1_expect(h1, plan->asked[++*answered]);
		break;
	case HTTP_LOST:
		abort();
	}
	return false;
}

static void read_ours(struct chance *c, struct text *in, const struct plan *plan)
{
	struct h1 *h1 = h1_new(plan->requests ? H1_REQUESTS : H1_RESPONSES);
	size_t heads = 0, answered = 0, most = one_in(c, 3) ? in->len : 1 + below(c, 100);
	unsigned status = 0;
	bool left = false;
	enum step step = STEP_MORE;
	ours.count = ours.text.len = ours.begin = 0;
	if (!plan->requests)
		h1_expect(h1, plan->asked[0]);
	for (size_t at = 0; at < in->len && step != STEP_BAD && !left;) {
		size_t n = most >= in->len ? in->len : 1 + below(c, (unsigned)most);
		struct span piece = span_of(in->at + at, n < in->len - at ? n : in->len - at);
		at += piece.len;
		struct http_event ev;
		while (!left && (step = h1_next(h1, &piece, &ev)) == STEP_EVENT)
			left = our_event(plan, h1, &ev, at - piece.len, &heads, &answered, &status);
	}
	if (step == STEP_BAD) {
		unit(&ours, UNIT_BAD);
	} else if (!left) {
		bool between = h1_eof(h1);
		struct span none = span_of(NULL, 0);
		struct http_event ev;
		while (h1_next(h1, &none, &ev) == STEP_EVENT)
			our_event(plan, h1, &ev, in->len, &heads, &answered, &status);
		unit(&ours, between ? UNIT_BETWEEN : UNIT_INSIDE);
	}
	h1_free(h1);
}

/* ---- differences ----------------------------------------------------------------------------------- */

enum row {
	ROW_LINE_ENDS,
	ROW_REQUEST_LINE,
	ROW_STATUS_LINE,
	ROW_FIELDS,
	ROW_CHUNKS,
	ROW_CUT_HEAD,
	ROW_FRAMING,
	ROW_CONNECT,
	ROW_INTERIM,
	ROW_TAB,
	ROW_STALE_LENGTH,
	ROW_VERSION,
	ROW_STATUS,
	ROW_NUL,
	ROW_CODINGS,
	ROW_HUGE,
	ROW_VAST,
	ROWS
};

static struct allowed table[ROWS] = {
	/* llhttp gives up: the server answers 400 and closes. What is read there counts nothing else wrong. */
	[ROW_LINE_ENDS] = {"llhttp wants CR LF where RFC 9112 2.2 lets a reader take LF", 0},
	[ROW_REQUEST_LINE] = {"llhttp knows methods by name, and the bytes of a target", 0},
	[ROW_STATUS_LINE] = {"llhttp wants more of a status line than a status", 0},
	[ROW_FIELDS] = {"llhttp judges bytes of values, and lines of nothing but white space", 0},
	[ROW_CHUNKS] = {"llhttp reads extensions of chunks, ours skips them", 0},
	[ROW_CUT_HEAD] = {"llhttp judges a head before it is whole; ours still waits for its end",
			  0},
	[ROW_FRAMING] =
		{"llhttp refuses two equal lengths, white space in one, and lengths in trailers",
		 0},
	/* Both read on, each in its own way. */
	[ROW_CONNECT] =
		{"a body behind CONNECT: to llhttp the tunnel, RFC 9110 9.3.6 leaves it open", 0},
	[ROW_INTERIM] =
		{"llhttp lets a 1xx other than 100 to 103 have a body; RFC 9112 6.3 does not", 0},
	[ROW_TAB] = {"a tab behind chunked: white space (RFC 9110 5.6.3), to llhttp another coding",
		     0},
	[ROW_STALE_LENGTH] =
		{"llhttp adds a length's digits to those of a response without its body before", 0},
	/* Ours gives up. */
	[ROW_VERSION] = {"llhttp takes HTTP/0.9 and HTTP/2.0 in a start line; no sender writes it",
			 0},
	[ROW_STATUS] = {"llhttp takes a status below 100; no sender writes it", 0},
	[ROW_NUL] = {"llhttp takes a NUL in a reason phrase; RFC 9110 5.5 names it dangerous", 0},
	[ROW_CODINGS] = {"chunked twice, or something behind it: readers disagree (RFC 9112 6.1)",
			 0},
	[ROW_HUGE] = {"a head of more than LIMIT_HEAD_BYTES", 0},
	[ROW_VAST] = {"a chunk of 2^60 bytes, a body of 2^63, or more: nobody sends it", 0},
};

/* What llhttp says when it gives up. What is not here is explained by nothing. */
static const struct {
	const char *reason;
	enum row row;
} reasons[] = {
	{"Missing expected CR after chunk data", ROW_LINE_ENDS},
	{"Missing expected CR after chunk extension name", ROW_CHUNKS},
	{"Missing expected CR after chunk extension value", ROW_CHUNKS},
	{"Missing expected CR after chunk size", ROW_LINE_ENDS},
	{"Missing expected CR after header value", ROW_LINE_ENDS},
	{"Missing expected CR after response line", ROW_LINE_ENDS},
	{"Expected CRLF after version", ROW_LINE_ENDS},
	{"Expected LF after headers", ROW_LINE_ENDS},
	{"Invalid method encountered", ROW_REQUEST_LINE},
	{"Expected space after method", ROW_REQUEST_LINE},
	{"Invalid char in url fragment start", ROW_REQUEST_LINE},
	{"Invalid char in url path", ROW_REQUEST_LINE},
	{"Invalid char in url query", ROW_REQUEST_LINE},
	{"Invalid characters in url", ROW_REQUEST_LINE},
	{"Unexpected char in url schema", ROW_REQUEST_LINE},
	{"Unexpected char in url server", ROW_REQUEST_LINE},
	{"Unexpected start char in url", ROW_REQUEST_LINE},
	{"Double @ in url", ROW_REQUEST_LINE},
	{"Expected HTTP/, RTSP/ or ICE/", ROW_REQUEST_LINE},
	{"Expected HTTP/2 Connection Preface", ROW_REQUEST_LINE},
	{"Expected dot", ROW_REQUEST_LINE},
	{"Invalid major version", ROW_REQUEST_LINE},
	{"Invalid minor version", ROW_REQUEST_LINE},
	{"Missing expected LF after header value", ROW_LINE_ENDS},
	{"Invalid HTTP version", ROW_STATUS_LINE},
	{"Invalid response status", ROW_STATUS_LINE},
	{"Invalid header value char", ROW_FIELDS},
	{"Invalid header field char", ROW_FIELDS},
	{"Unexpected whitespace after header value", ROW_FIELDS},
	{"Expected LF after CR", ROW_LINE_ENDS},
	{"Expected LF after chunk size", ROW_CHUNKS},
	{"Invalid character in chunk size", ROW_CHUNKS},
	{"Invalid character in chunk extensions name", ROW_CHUNKS},
	{"Invalid character in chunk extensions quote value", ROW_CHUNKS},
	{"Invalid character in chunk extensions quoted value", ROW_CHUNKS},
	{"Invalid character in chunk extensions value", ROW_CHUNKS},
	{"Invalid character in chunk extensions", ROW_CHUNKS},
	{"Invalid quoted-pair in chunk extensions quoted value", ROW_CHUNKS},
	{"Duplicate Content-Length", ROW_FRAMING},
	{"Invalid character in Content-Length", ROW_FRAMING},
	{"Empty Transfer-Encoding", ROW_FRAMING},
	{"Invalid `Transfer-Encoding` header value", ROW_FRAMING},
	{"Content-Length can't be present with Transfer-Encoding", ROW_FRAMING},
	{"Transfer-Encoding can't be present with Content-Length", ROW_FRAMING},
};

static bool same(const struct unit *a, const struct unit *b)
{
	return a->type == b->type && a->len == b->len &&
	       !memcmp(ours.text.at + a->at, theirs.reading.text.at + b->at, a->len);
}

static void show_reading(const char *title, const struct reading *r)
{
	printf("%s\n", title);
	for (size_t i = 0; i < r->count; i++) {
		printf("    %-8s", unit_names[r->units[i].type]);
		show_bytes("", r->text.at + r->units[i].at, r->units[i].len);
	}
}

/* The text that the n-th unit of ours says, or of theirs. */
static struct span said(const struct reading *r, size_t nth)
{
	return span_of(r->text.at + r->units[nth].at, r->units[nth].len);
}

/* Whether a head before unit `nth`, which both read alike, starts so. */
static bool has_head(size_t nth, bool (*is)(struct span head))
{
	for (size_t i = 0; i < nth; i++) {
		if (ours.units[i].type == UNIT_HEAD && is(said(&ours, i)))
			return true;
	}
	return false;
}

static bool is_connect(struct span head)
{
	return span_starts(head, "CONNECT ") &&
	       (memmem(head.at, head.len, "\nTransfer-Encoding=", 19) ||
		memmem(head.at, head.len, "ontent-Length=", 14) ||
		memmem(head.at, head.len, "ontent-length=", 14));
}

static bool is_interim(struct span head)
{
	return head.at[0] == '1' && !(head.at[1] == '0' && head.at[2] <= '3');
}

/* Whether a message before unit `nth` said a length and had no body. */
static bool follows_unread_length(size_t nth)
{
	for (size_t i = 0; i + 2 < nth; i++) {
		struct span head = said(&ours, i);
		if (ours.units[i].type == UNIT_HEAD && !ours.units[i + 1].len &&
		    (memmem(head.at, head.len, "ontent-Length=", 14) ||
		     memmem(head.at, head.len, "ontent-length=", 14)))
			return true;
	}
	return false;
}

static int they_gave_up(bool in_our_head)
{
	if (in_our_head)
		return ROW_CUT_HEAD;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (!strcmp(reasons[i].reason, theirs.reason))
			return (int)reasons[i].row;
	}
	return ORACLE_WRONG;
}

/* A length of nineteen digits and more. */
static bool is_vast(struct span head)
{
	const uint8_t *end = head.at + head.len;
	const uint8_t *at = memmem(head.at, head.len, "ontent-Length=", 14);
	if (!at)
		at = memmem(head.at, head.len, "ontent-length=", 14);
	size_t digits = 0;
	for (at = at ? at + 14 : end; at < end && *at >= '0' && *at <= '9'; at++)
		digits++;
	return digits >= 19;
}

/* `head` is the one that we do not take and they do. */
static int we_gave_up(struct text *in, struct span head)
{
	struct span rest = span_of(in->at + ours.begin, in->len - ours.begin);
	if (memmem(head.at, head.len, " 0.9\n", 5) || memmem(head.at, head.len, " 2.0\n", 5))
		return ROW_VERSION;
	if (!theirs.plan->requests && (head.at[1] == ' ' || head.at[2] == ' '))
		return ROW_STATUS;
	const uint8_t *lf = memchr(rest.at, '\n', rest.len);
	if (!theirs.plan->requests && lf && memchr(rest.at, 0, (size_t)(lf - rest.at)))
		return ROW_NUL;
	if (is_vast(head))
		return ROW_VAST;
	if (memmem(head.at, head.len, "\nTransfer-Encoding=", 19))
		return ROW_CODINGS;
	return ORACLE_WRONG;
}

static int explain(struct text *in, size_t nth)
{
	const struct unit *a = &ours.units[nth], *b = &theirs.reading.units[nth];
	if (theirs.plan->requests && has_head(nth, is_connect))
		return ROW_CONNECT;
	if (!theirs.plan->requests && has_head(nth, is_interim))
		return ROW_INTERIM;
	if (a->type != UNIT_HEAD && memmem(in->at, in->len, "hunked\t", 7))
		return ROW_TAB;
	bool in_our_head = a->type == UNIT_INSIDE && (!nth || a[-1].type == UNIT_END);
	if (b->type == UNIT_BAD && !in_our_head && follows_unread_length(nth) &&
	    !strcmp(theirs.reason, "Content-Length overflow"))
		return ROW_STALE_LENGTH;
	if (b->type == UNIT_BAD)
		return they_gave_up(in_our_head);
	if (a->type != UNIT_BAD && b->type != UNIT_HEAD && !theirs.plan->requests &&
	    follows_unread_length(nth))
		return ROW_STALE_LENGTH;
	if (a->type == UNIT_BAD && (b->type == UNIT_HEAD || b->type == UNIT_INSIDE) &&
	    in->len - ours.begin >= LIMIT_HEAD_BYTES)
		return ROW_HUGE;
	if (a->type == UNIT_BAD && b->type == UNIT_INSIDE && theirs.parser.content_length >> 59)
		return ROW_VAST;
	if (a->type == UNIT_BAD)
		return b->type == UNIT_HEAD ? we_gave_up(in, said(&theirs.reading, nth))
					    : ORACLE_WRONG;
	return ORACLE_WRONG;
}

/* A body that one of them does not read to its end is compared as far as it goes. */
static bool body_cut(size_t nth)
{
	struct span a = said(&ours, nth), b = said(&theirs.reading, nth);
	size_t n = a.len < b.len ? a.len : b.len;
	bool we = nth + 1 < ours.count && ours.units[nth + 1].type == UNIT_BAD;
	bool they =
		nth + 1 < theirs.reading.count && theirs.reading.units[nth + 1].type == UNIT_BAD;
	return ours.units[nth].type == UNIT_BODY && (we || they) && (a.len <= b.len || they) &&
	       (b.len <= a.len || we) && (!n || !memcmp(a.at, b.at, n));
}

static int compare(struct text *in)
{
	size_t n = ours.count < theirs.reading.count ? ours.count : theirs.reading.count;
	for (size_t i = 0; i < n; i++) {
		if (!same(&ours.units[i], &theirs.reading.units[i]) && !body_cut(i))
			return explain(in, i);
	}
	return ours.count == theirs.reading.count ? ORACLE_SAME : ORACLE_WRONG;
}

static int one(uint64_t seed, bool show)
{
	static struct text in;
	static struct plan plan;
	struct chance c = chance_of(seed);
	in.len = 0;
	plan.requests = one_in(&c, 2);
	for (size_t i = 0; i < 16; i++) {
		unsigned n = below(&c, 24);
		plan.asked[i] = n == 0 ? HTTP_CONNECT : n < 4 ? HTTP_HEAD_METHOD : HTTP_POST;
	}
	make_direction(&c, &in, plan.requests);
	read_theirs(&in, &plan);
	read_ours(&c, &in, &plan);
	int row = compare(&in);
	if (show) {
		show_bytes(plan.requests ? "requests: " : "responses: ", in.at, in.len);
		show_reading("ours:", &ours);
		show_reading("llhttp:", &theirs.reading);
		printf("    %s\n", theirs.reason);
	}
	return row;
}

int main(int argc, char **argv)
{
	struct oracle o = {"HTTP/1 beside llhttp", table, ROWS, one};
	set_up();
	return oracle_main(argc, argv, &o);
}
