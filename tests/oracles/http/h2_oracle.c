/*
 * HTTP/2 by h2.h and by hyper-h2, whose client and server converse (h2_talk.py) and say what each was told of
 * the other: heads field by field, bodies byte by byte, ends, resets, goaways, in their order. Half of the
 * conversations are damaged on the way. Ours overhears both directions, in pieces.
 *
 * What hyper-h2 did not report because it had given up, or ignored, is still compared: with what the frame says by
 * hyperframe and hpack. An entry's verdict tells why it was not reported, and that needs a row.
 */
#include "tests/oracles/http/h2_heads.h"

#define ORACLE_INPUTS 2000u
#include "tests/oracles/oracle.h"

/* h2_reader.py's. */
enum verdict {
	TOLD,
	REFUSED,     /* behind what made hyper-h2 give up */
	RESET_HERE,  /* ignored: its receiver had reset the stream */
	RESET_THERE, /* ignored: its sender had */
	ENDED,	     /* ignored: the stream had ended */
	UNKNOWN,     /* ignored: no such stream */
	CUT,	     /* of a DATA frame that is not whole */
	ODD,	     /* hyper-h2 reported something else than the frame says */
};
/* Behind a table of fields larger than we keep, a field longer than nghttp2 reads. */
enum past { PAST_NOTHING, PAST_TABLE, PAST_FIELD };
enum ending { BETWEEN, INSIDE, STOPPED };

enum row {
	/* hyper-h2 reads on, and does not report. */
	ROW_RESET_HERE,
	ROW_RESET_THERE,
	ROW_ENDED,
	ROW_UNKNOWN,
	/* hyper-h2 gives up; of SETTINGS sometimes too early: it takes one acknowledgement for all that it sent. */
	ROW_GOAWAY,
	ROW_STATES,
	ROW_MALFORMED,
	ROW_SETTINGS,
	ROW_TABLE_SETTING,
	ROW_LIST_SETTING,
	ROW_STREAMS_FRAME,
	ROW_PRIORITY,
	ROW_PADDING,
	/* Where the input ends. */
	ROW_CUT,
	ROW_EARLY,
	/* Ours gives up, or does not tell. */
	ROW_TABLE,
	ROW_FIELD,
	ROW_HUGE,
	ROWS
};

static struct allowed table[ROWS] = {
	[ROW_RESET_HERE] =
		{"sent before its sender knew of the reset: ignored by RFC 9113 5.1, told here", 0},
	[ROW_RESET_THERE] =
		{"behind its sender's RST_STREAM: RFC 9113 5.1; by_stream.c has no such stream", 0},
	[ROW_ENDED] = {"on a stream that has ended: RFC 9113 5.1; by_stream.c has no such stream",
		       0},
	[ROW_UNKNOWN] = {"RST_STREAM of a stream that never was: RFC 9113 6.4; nor has by_stream.c",
			 0},
	[ROW_GOAWAY] = {"behind a GOAWAY: to hyper-h2 the end, RFC 9113 6.8 lets streams finish",
			0},
	[ROW_STATES] =
		{"not in this state of the stream (RFC 9113 5.1, 8.1): by_stream.c knows them", 0},
	[ROW_MALFORMED] =
		{"a malformed message ends its stream (RFC 9113 8.1.1), in hyper-h2 all of them",
		 0},
	[ROW_SETTINGS] = {"past the other side's SETTINGS (RFC 9113 4.2, 5.1.2, 6.5.2, 6.9, 8.4): "
			  "not followed",
			  0},
	[ROW_TABLE_SETTING] =
		{"a table past SETTINGS_HEADER_TABLE_SIZE (RFC 7541 4.2): not followed", 0},
	[ROW_LIST_SETTING] =
		{"fields past SETTINGS_MAX_HEADER_LIST_SIZE (RFC 9113 6.5.2): advisory", 0},
	[ROW_STREAMS_FRAME] = {"a bad PRIORITY, WINDOW_UPDATE or ALTSVC is its stream's error (RFC "
			       "9113 6.3, 6.9)",
			       0},
	[ROW_PRIORITY] =
		{"a stream that depends on itself: RFC 9113 5.3 has no priorities any more", 0},
	[ROW_PADDING] = {"padding up to what stands before the fields, or over it: hyperframe "
			 "takes the other "
			 "one for an error than RFC 9113 6.2, 6.6",
			 0},
	[ROW_CUT] = {"of a DATA frame whose end is not there: told as it comes", 0},
	[ROW_EARLY] = {"a bad frame or block whose end is not there: bad as soon as it is seen", 0},
	[ROW_TABLE] = {"a table of fields of more than LIMIT_HPACK_TABLE_BYTES", 0},
	[ROW_FIELD] = {"a name or a value of more than 64 KiB: nghttp2 takes none", 0},
	[ROW_HUGE] = {"a head of more than LIMIT_HEAD_BYTES is not told", 0},
};

/* What hyper-h2 says when it gives up, by a part of it. What is not here is explained by nothing. */
static const struct {
	const char *part;
	enum row row;
} refusals[] = {
	{"in state ConnectionState.CLOSED", ROW_GOAWAY},
	{"Invalid input StreamInputs.", ROW_STATES},
	{"Invalid input ConnectionInputs.", ROW_STATES},
	{"StreamClosedError: ", ROW_STATES},
	{"StreamIDTooLowError: ", ROW_STATES},
	{"NoSuchStreamError: ", ROW_STATES},
	{"Invalid stream ID for peer.", ROW_STATES},
	{"cannot receive data before headers", ROW_STATES},
	{"Attempted to push on closed stream.", ROW_STATES},
	{"Cannot recursively push streams.", ROW_STATES},
	{"Idle streams cannot receive pushes", ROW_STATES},
	{"Informational response after final response", ROW_STATES},
	{"Cannot set END_STREAM on informational responses", ROW_STATES},
	{"Trailers must have END_STREAM set", ROW_STATES},
	{"InvalidBodyLengthError: ", ROW_MALFORMED},
	{"content-length header", ROW_MALFORMED},
	{"Received uppercase header name", ROW_MALFORMED},
	{"in header name:", ROW_MALFORMED},
	{"in header value:", ROW_MALFORMED},
	{"surrounded by whitespace", ROW_MALFORMED},
	{"Received header name with zero length.", ROW_MALFORMED},
	{"Invalid value for TE header", ROW_MALFORMED},
	{"Connection-specific header field present", ROW_MALFORMED},
	{"Header block missing mandatory", ROW_MALFORMED},
	{"pseudo-header", ROW_MALFORMED},
	{"-only headers", ROW_MALFORMED},
	{"Ordinary CONNECT MUST NOT include", ROW_MALFORMED},
	{"Host header", ROW_MALFORMED},
	{"An empty :path header is forbidden", ROW_MALFORMED},
	{"FrameTooLargeError: ", ROW_SETTINGS},
	{"TooManyStreamsError: ", ROW_SETTINGS},
	{"FlowControlError: ", ROW_SETTINGS},
	{"InvalidSettingsValueError: ", ROW_SETTINGS},
	{"Received pushed stream", ROW_SETTINGS},
	{"table larger than allowed", ROW_TABLE_SETTING},
	{"fields longer than allowed", ROW_LIST_SETTING},
	{"FrameDataMissingError: ", ROW_STREAMS_FRAME},
	{"Received frame with non-compliant data", ROW_STREAMS_FRAME},
	{"may not depend on itself", ROW_PRIORITY},
	{"InvalidPaddingError: ", ROW_PADDING},
};

/* ---- a record --------------------------------------------------------------------------------------- */

struct direction {
	struct span bytes, entries, refusal, stopped;
	uint32_t count;
	enum ending ending;
	enum past past;
};

struct entry {
	enum h2_event_type type;
	enum verdict verdict;
	enum past past;
	uint32_t stream, error;
	struct span payload;
};

static struct records records = {.script = "http/h2_talk.py"};
static struct reading ours;
static unsigned long said, heads;

static struct entry get_entry(struct span *in)
{
	static const char kinds[] = "HBERA";
	struct entry e;
	e.type = (enum h2_event_type)(strchr(kinds, (int)get_number(in, 1)) - kinds);
	e.verdict = (enum verdict)get_number(in, 1);
	e.past = (enum past)get_number(in, 1);
	e.stream = get_number(in, 4);
	e.error = get_number(in, 4);
	e.payload = get_bytes(in);
	return e;
}

static struct direction get_direction(struct span *in)
{
	struct direction d;
	d.bytes = get_bytes(in);
	d.count = get_number(in, 4);
	struct span rest = *in;
	for (uint32_t i = 0; i < d.count; i++)
		get_entry(in);
	d.entries = span_of(rest.at, rest.len - in->len);
	d.ending = (enum ending)get_number(in, 1);
	d.past = (enum past)get_number(in, 1);
	d.refusal = get_bytes(in);
	d.stopped = get_bytes(in);
	return d;
}

/* ---- comparison ------------------------------------------------------------------------------------- */

/* Where we are in our reading, and what explained the differences so far. */
struct cursor {
	size_t unit, done; /* bytes of the unit's body that were compared */
	uint32_t rows;	   /* a bit each */
};

static void explained(struct cursor *c, enum row row)
{
	c->rows |= 1u << row;
}

static int row_of_refusal(const struct direction *d)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const char *part = refusals[i].part;
		if (d->refusal.len && memmem(d->refusal.at, d->refusal.len, part, strlen(part)))
			return (int)refusals[i].row;
	}
	return ORACLE_WRONG;
}

static int row_of(const struct direction *d, enum verdict verdict)
{
	switch (verdict) {
	case REFUSED:
		return row_of_refusal(d);
	case RESET_HERE:
		return ROW_RESET_HERE;
	case RESET_THERE:
		return ROW_RESET_THERE;
	case ENDED:
		return ROW_ENDED;
	case UNKNOWN:
		return ROW_UNKNOWN;
	case CUT:
		return ROW_CUT;
	case TOLD:
	case ODD:
		break;
	}
	return ORACLE_WRONG;
}

static bool same(const struct unit *u, const struct entry *e)
{
	return u->type == e->type && u->stream == e->stream && u->error == e->error;
}

/* Goes past the bytes of a body, or the head, that the entry has. */
static bool go_past(struct cursor *c, const struct entry *e, struct span says)
{
	const struct unit *u = &ours.units[c->unit];
	if (!same(u, e) || u->len - c->done < says.len ||
	    (says.len && memcmp(ours.text.at + u->at + c->done, says.at, says.len) != 0))
		return false;
	c->done += says.len;
	if (c->done < u->len)
		return e->type == H2_BODY;
	c->unit++;
	c->done = 0;
	return true;
}

static bool compare_entry(struct cursor *c, const struct direction *d, const struct entry *e)
{
	static struct text head;
	struct span says = e->payload;
	if (e->type == H2_HEAD) {
		enum should should = should_tell(e->payload, &head);
		says = span_of(head.at, head.len);
		if (should == SHOULD_NOT_AS_IT_IS_HUGE)
			explained(c, ROW_HUGE);
		if (should != SHOULD_TELL)
			return true;
	}
	if (c->unit == ours.count || !go_past(c, e, says))
		return false;
	if (e->verdict == TOLD)
		return true;
	int row = row_of(d, e->verdict);
	if (row >= 0)
		explained(c, (enum row)row);
	return row >= 0;
}

/* Whether we gave up where we may: what is behind it is not compared. */
static bool given_up_past(struct cursor *c, enum past past)
{
	if (past == PAST_NOTHING || !ours.bad || c->unit < ours.count)
		return false;
	explained(c, past == PAST_TABLE ? ROW_TABLE : ROW_FIELD);
	return true;
}

/* Both have told all that they have. */
static bool compare_ending(struct cursor *c, const struct direction *d)
{
	if (c->unit < ours.count)
		return false;
	/* A promise tells nothing, and may be what is too large. */
	if (d->ending != STOPPED && given_up_past(c, d->past))
		return true;
	if (span_is(d->stopped, "Padding over what stands before the fields."))
		explained(c, ROW_PADDING);
	if (ours.bad == (d->ending == STOPPED))
		return true;
	explained(c, ROW_EARLY);
	return ours.bad && d->ending == INSIDE;
}

static bool compare(struct cursor *c, const struct direction *d)
{
	struct span in = d->entries;
	for (uint32_t i = 0; i < d->count; i++) {
		struct entry e = get_entry(&in);
		said++;
		heads += e.type == H2_HEAD;
		if (given_up_past(c, e.past))
			return true;
		if (!compare_entry(c, d, &e))
			return false;
	}
	return compare_ending(c, d);
}

/* ---- to be looked at -------------------------------------------------------------------------------- */

static const char *const type_names[] = {"HEAD", "BODY", "END", "RESET", "AWAY"};
static const char *const verdict_names[] = {"",	     "refused", "reset here", "reset there",
					    "ended", "unknown", "cut",	      "reported otherwise"};
static const char *const ending_names[] = {"between frames", "inside", "stopped"};

static void show_unit(enum h2_event_type type, uint32_t stream, uint32_t error, struct span says,
		      const char *verdict)
{
	printf("    %-6s %-10u %-10u %-16s", type_names[type], stream, error, verdict);
	if (says.len > 300)
		printf("(%zu) ", says.len);
	show_bytes("", says.at, says.len > 300 ? 300 : says.len);
}

static void show(const struct direction *d, const char *title)
{
	struct text head = {0};
	struct span in = d->entries;
	printf("%s, ours:\n", title);
	for (size_t i = 0; i < ours.count; i++) {
		const struct unit *u = &ours.units[i];
		show_unit(u->type, u->stream, u->error, span_of(ours.text.at + u->at, u->len), "");
	}
	printf("    %s\n%s, hyper-h2:\n", ours.bad ? "bad" : "more", title);
	for (uint32_t i = 0; i < d->count; i++) {
		struct entry e = get_entry(&in);
		struct span says = e.payload;
		if (e.type == H2_HEAD) {
			enum should should = should_tell(e.payload, &head);
			says = should == SHOULD_TELL ? span_of(head.at, head.len)
						     : span_str("(not told)");
		}
		show_unit(e.type, e.stream, e.error, says, verdict_names[e.verdict]);
	}
	printf("    %s\n    %.*s\n    %.*s\n", ending_names[d->ending], (int)d->refusal.len,
	       (const char *)d->refusal.at, (int)d->stopped.len, (const char *)d->stopped.at);
	free(head.at);
}

/* ---- the oracle ------------------------------------------------------------------------------------- */

static int one(uint64_t seed, bool showing)
{
	struct span in = records_get(&records, seed);
	struct chance chance = {.state = seed};
	struct cursor rows = {0};
	bool well = true;
	get_number(&in, 1);
	for (int side = H2_REQUESTS; side <= H2_RESPONSES; side++) {
		struct direction d = get_direction(&in);
		struct cursor c = {.rows = rows.rows};
		read_ours(&ours, &chance, (enum h2_side)side, d.bytes, &(struct frame_ends){0});
		well &= compare(&c, &d);
		rows.rows = c.rows;
		if (showing)
			show(&d, side == H2_REQUESTS ? "requests" : "responses");
	}
	if (!well)
		return ORACLE_WRONG;
	return oracle_rows(table, ROWS, rows.rows);
}

int main(int argc, char **argv)
{
	struct oracle o = {"HTTP/2 beside hyper-h2", table, ROWS, one};
	int status = oracle_main(argc, argv, &o);
	printf("%lu heads among %lu things told\n", heads, said);
	records_end(&records);
	return status;
}
