/*
 * HTTP/1 by h1.h and by llhttp: heads, bodies, where each message ends, and at which one a reader gives up.
 *
 * Of two readings only the first unit that differs is looked at: behind it nothing can be said.
 */
#include "tests/oracles/http/h1_makes.h"
#include "tests/oracles/http/h1_ours.h"
#include "tests/oracles/oracle.h"

#include "agent/base/limits.h"
#include "agent/http/field.h"
#include "agent/http/head.h"
#include "agent/http/token.h"

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
	ROW_PROTOCOL,
	ROW_STATUS,
	ROW_NUL,
	ROW_CODINGS,
	ROW_NO_TOKEN,
	ROW_NOT_CHUNKED,
	ROW_UPGRADE,
	ROW_HUGE,
	ROW_HUGE_TRAILERS,
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
	[ROW_PROTOCOL] = {"llhttp takes RTSP and ICE, too; HTTP-name is HTTP (RFC 9112 2.3)", 0},
	[ROW_STATUS] = {"llhttp takes a status below 100; no sender writes it", 0},
	[ROW_NUL] = {"llhttp takes a NUL in a reason phrase; RFC 9110 5.5 names it dangerous", 0},
	[ROW_CODINGS] = {"chunked twice, with parameters or something behind it: readers disagree "
			 "(RFC 9112 6.1, 7.1)",
			 0},
	[ROW_NO_TOKEN] =
		{"a transfer coding that is no token (RFC 9110 10.1.4): one reader's chunked", 0},
	[ROW_NOT_CHUNKED] =
		{"a request whose last coding is not chunked (RFC 9112 6.3, item 4): llhttp tells "
		 "its head, then gives up, too",
		 0},
	[ROW_UPGRADE] = {"the same with an upgrade or CONNECT: to llhttp it has no body", 0},
	[ROW_HUGE] = {"a head of more than LIMIT_HEAD_BYTES", 0},
	[ROW_HUGE_TRAILERS] = {"trailers of more than 16 KiB", 0},
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

/* The value of the first field of that name in a head as it is told; NULL `at` without one. */
static struct span told(struct span head, const char *name)
{
	size_t len = strlen(name);
	const uint8_t *lf;
	while ((lf = head.len ? memchr(head.at, '\n', head.len) : NULL)) {
		span_skip(&head, (size_t)(lf - head.at) + 1);
		if (head.len <= len || head.at[len] != '=' ||
		    !span_is_nocase(span_of(head.at, len), name))
			continue;
		span_skip(&head, len + 1);
		lf = head.len ? memchr(head.at, '\n', head.len) : NULL;
		return span_of(head.at, lf ? (size_t)(lf - head.at) : head.len);
	}
	return span_of(NULL, 0);
}

/* The head of the message that unit `nth` is in: the last one before it, which both read alike. */
static struct span head_before(size_t nth)
{
	while (nth--) {
		if (ours.units[nth].type == UNIT_HEAD)
			return said(&ours, nth);
	}
	return span_of(NULL, 0);
}

static bool is_connect(struct span head)
{
	return span_starts(head, "CONNECT ") &&
	       (told(head, "transfer-encoding").at || told(head, "content-length").at);
}

static bool is_interim(struct span head)
{
	return head.len && head.at[0] == '1' && !(head.at[1] == '0' && head.at[2] <= '3');
}

/* Their head that unit `nth` is, or is behind. */
static const struct their_head *their_head(size_t nth)
{
	size_t heads = 0;
	for (size_t i = 0; i <= nth; i++)
		heads += theirs.reading.units[i].type == UNIT_HEAD;
	return heads ? &theirs.heads[heads - 1] : NULL;
}

/* Whether a coding of it is chunked and a tab. */
static bool has_tab(const struct their_head *h)
{
	for (size_t i = 0; h && i < h->count; i++) {
		const struct field_place *f = &h->fields[i];
		if (span_is_nocase(name_of(h, i), "transfer-encoding") &&
		    memmem(h->text.at + f->value, f->value_len, "hunked\t", 7))
			return true;
	}
	return false;
}

/* Whether a message before unit `nth` said a length and had no body. */
static bool follows_unread_length(size_t nth)
{
	for (size_t i = 0; i + 2 < nth; i++) {
		if (ours.units[i].type == UNIT_HEAD && !ours.units[i + 1].len &&
		    told(said(&ours, i), "content-length").at)
			return true;
	}
	return false;
}

/* `ours_says` is what ours has where they gave up. */
static int they_gave_up(bool in_our_head, enum unit_type ours_says)
{
	if (in_our_head)
		return ROW_CUT_HEAD;
	/* Of a head ours refuses that, too. */
	if (ours_says == UNIT_HEAD && strstr(theirs.reason, "can't be present with"))
		return ORACLE_WRONG;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (!strcmp(reasons[i].reason, theirs.reason))
			return (int)reasons[i].row;
	}
	return ORACLE_WRONG;
}

/* A length of nineteen digits and more. */
static bool is_vast(struct span head)
{
	struct span value = told(head, "content-length");
	size_t digits = 0;
	while (digits < value.len && value.at[digits] >= '0' && value.at[digits] <= '9')
		digits++;
	return digits >= 19;
}

/* A request whose last coding is not chunked, after its head by them. */
static int without_length(const struct unit *head)
{
	if (head[1].len || head[1].type != UNIT_BODY)
		return ORACLE_WRONG;
	if (head[2].type == UNIT_BAD &&
	    !strcmp(theirs.reason, "Request has invalid `Transfer-Encoding`"))
		return ROW_NOT_CHUNKED;
	return head[2].type == UNIT_END ? ROW_UPGRADE : ORACLE_WRONG;
}

/* Which row has the transfer codings of their head, all fields of them together. */
static int judge_codings(size_t nth)
{
	const struct their_head *h = their_head(nth);
	bool chunked = false, any = false;
	for (size_t i = 0; i < h->count; i++) {
		struct span list = value_of(h, i), element;
		if (!span_is_nocase(name_of(h, i), "transfer-encoding"))
			continue;
		any = true;
		while (field_take_element(&list, &element)) {
			const uint8_t *mark =
				element.len ? memchr(element.at, ';', element.len) : NULL;
			struct span name = element;
			if (mark)
				name.len = (size_t)(mark - element.at);
			name = field_trimmed(name);
			if (chunked || (mark && span_is_nocase(name, "chunked")))
				return ROW_CODINGS;
			if (element.len && !is_token(name))
				return ROW_NO_TOKEN;
			chunked = span_is_nocase(name, "chunked");
		}
	}
	return theirs.plan->requests && any && !chunked ? without_length(&theirs.reading.units[nth])
							: ORACLE_WRONG;
}

static bool is_other_version(struct span head)
{
	const uint8_t *lf = memchr(head.at, '\n', head.len);
	head.len = lf ? (size_t)(lf - head.at) : head.len;
	return span_ends(head, " 0.9") || span_ends(head, " 2.0");
}

/* Unit `nth` is the head that we do not take and they do. */
static int judge_head(struct text *in, size_t nth)
{
	struct span head = said(&theirs.reading, nth);
	struct span rest = span_of(in->at + ours.begin, in->len - ours.begin);
	if (is_other_version(head))
		return ROW_VERSION;
	if (!theirs.plan->requests && (head.at[1] == ' ' || head.at[2] == ' '))
		return ROW_STATUS;
	const uint8_t *lf = memchr(rest.at, '\n', rest.len);
	if (!theirs.plan->requests && lf && memchr(rest.at, 0, (size_t)(lf - rest.at)))
		return ROW_NUL;
	if (is_vast(head))
		return ROW_VAST;
	return judge_codings(nth);
}

static bool names_other_protocol(struct span s)
{
	static const char *const names[] = {"RTSP/", "ICE/"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i]);
		if (s.len && !memcmp(s.at, names[i], s.len < len ? s.len : len))
			return true;
	}
	return false;
}

/* Whether what ours does not take is a message of another protocol, or as much of it as there is: an answer
 * is refused at its first byte, a request once its head is whole. */
static bool is_other_protocol(struct text *in)
{
	size_t begin = theirs.plan->requests ? ours.begin : ours.stopped;
	struct span line = span_of(in->at + begin, in->len - begin);
	if (!theirs.plan->requests)
		return names_other_protocol(line);
	while (line.len && (line.at[0] == '\r' || line.at[0] == '\n'))
		span_skip(&line, 1);
	const uint8_t *lf = line.len ? memchr(line.at, '\n', line.len) : NULL;
	line.len = lf ? (size_t)(lf - line.at) : 0;
	const uint8_t *space = line.len ? memrchr(line.at, ' ', line.len) : NULL;
	if (space)
		span_skip(&line, (size_t)(space + 1 - line.at));
	return space && line.len > 4 && names_other_protocol(line);
}

/* Whether so much is behind the head of our last message, in one line. */
static bool has_huge_trailer(struct text *in)
{
	struct span rest = span_of(in->at + ours.begin, in->len - ours.begin);
	while (rest.len && (rest.at[0] == '\r' || rest.at[0] == '\n'))
		span_skip(&rest, 1);
	span_skip(&rest, head_find_end(rest));
	return rest.len > 16384 && memmem(rest.at, rest.len, "\nX-Huge: hhhh", 13);
}

/* Unit `nth`, which we do not take, is to them a head, a message that has not ended, or its end. */
static int we_gave_up(struct text *in, size_t nth)
{
	enum unit_type theirs_is = theirs.reading.units[nth].type;
	bool head = theirs_is == UNIT_HEAD, inside = theirs_is == UNIT_INSIDE,
	     in_body = nth && ours.units[nth - 1].type == UNIT_BODY;
	if ((head || inside) && is_other_protocol(in))
		return ROW_PROTOCOL;
	if ((head || inside) && in->len - ours.begin >= LIMIT_HEAD_BYTES)
		return ROW_HUGE;
	if (in_body && (theirs_is == UNIT_END || inside) && has_huge_trailer(in))
		return ROW_HUGE_TRAILERS;
	if (inside && theirs.parser.content_length >> 59)
		return ROW_VAST;
	return head ? judge_head(in, nth) : ORACLE_WRONG;
}

static int explain(struct text *in, size_t nth)
{
	const struct unit *a = &ours.units[nth], *b = &theirs.reading.units[nth];
	if (theirs.plan->requests && is_connect(head_before(nth)))
		return ROW_CONNECT;
	if (!theirs.plan->requests && is_interim(head_before(nth)))
		return ROW_INTERIM;
	if (a->type != UNIT_HEAD && has_tab(their_head(nth)))
		return ROW_TAB;
	bool in_our_head = a->type == UNIT_INSIDE && (!nth || a[-1].type == UNIT_END);
	if (b->type == UNIT_BAD && !in_our_head && follows_unread_length(nth) &&
	    !strcmp(theirs.reason, "Content-Length overflow"))
		return ROW_STALE_LENGTH;
	if (b->type == UNIT_BAD)
		return they_gave_up(in_our_head, a->type);
	if (a->type == UNIT_BAD)
		return we_gave_up(in, nth);
	if (b->type != UNIT_HEAD && !theirs.plan->requests && follows_unread_length(nth) &&
	    told(head_before(nth), "content-length").at)
		return ROW_STALE_LENGTH;
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
