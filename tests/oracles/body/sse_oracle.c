/*
 * Streams of events by sse.h and by two parsers of node's world: eventsource-parser, and undici's, which is to
 * be node's own EventSource. All three get the same pieces; compared is each event with its name and data, and,
 * with the first of them, where comments stand.
 *
 * Two LF more come as a last piece: they end whatever a stream was in the middle of. Ours says before them
 * whether there was something (sse_eof).
 */
#include "tests/oracles/body/sse_makes.h"
#include "tests/oracles/node.h"
/* Ten seconds on one processor; what each row explains is among them. */
#define ORACLE_INPUTS 150000u
#include "tests/oracles/oracle.h"
#include "tests/oracles/replaced.h"

#include "agent/body/sse.h"
#include "agent/body/sse_scan.h"

#define TAIL "\n\n"

/* The pieces of a seed's stream, each behind its length. */
static void put_input(uint64_t seed, struct text *to)
{
	static struct text stream;
	struct chance c = chance_of(seed);
	stream.len = 0;
	put(&stream, "", 0);
	make_stream(&c, &stream);
	unsigned how = below(&c, SSE_PIECES);
	for (size_t at = 0, n; at < stream.len; at += n) {
		n = piece_bytes(&c, how, stream.len - at);
		put_u32(to, n);
		put(to, stream.at + at, n);
	}
	put_u32(to, sizeof(TAIL) - 1);
	say(to, TAIL);
}

/* ---- readings -------------------------------------------------------------------------------------- */

#define MOST_RECORDS 4096u

/* A comment, or an event: what is its name, what is its data, in a text. */
struct record {
	bool comment;
	bool full; /* there may be more of the name */
	size_t name, data, end;
};

struct reading {
	struct text text;
	struct record records[MOST_RECORDS];
	size_t count;
};

static struct record *next_record(struct reading *r)
{
	if (r->count == MOST_RECORDS)
		abort();
	r->records[r->count] = (struct record){.comment = false};
	return &r->records[r->count++];
}

static struct span name_of(const struct reading *r, const struct record *e)
{
	return span_of(r->text.at + e->name, e->data - e->name);
}

static struct span data_of(const struct reading *r, const struct record *e)
{
	return span_of(r->text.at + e->data, e->end - e->data);
}

/* The bytes of an event's data came before its name is known. */
static void take_event(struct reading *r, const struct sse_event *ev, struct text *data)
{
	struct record *e = ev->type == SSE_DATA ? NULL : next_record(r);
	if (ev->type == SSE_DATA) {
		put(data, ev->data.at, ev->data.len);
	} else if (ev->type == SSE_COMMENT) {
		e->comment = true;
	} else {
		e->name = r->text.len;
		e->full = ev->name.len == SSE_NAME_BYTES;
		put_replaced(&r->text, e->full ? without_started(ev->name) : ev->name);
		e->data = r->text.len;
		put_replaced(&r->text, span_of(data->at, data->len));
		e->end = r->text.len;
		data->len = 0;
	}
}

/* The value of a data line, taken by the caller, as far as it is there. True if the event is told with it. */
static bool take_value(struct sse *sse, struct span *in, struct reading *r, struct text *data)
{
	struct sse_event whole = {.type = SSE_END, .name = span_of("", 0)};
	if (!sse_value(sse, in))
		return false;
	struct span value = span_take(in, sse_line_bytes(*in));
	put(data, value.at, value.len);
	if (!sse_ends(sse, in))
		return false;
	take_event(r, &whole, data);
	return true;
}

/* Each piece is in memory of its own size while it is read, and no longer. */
static void read_piece(struct sse *sse, struct span piece, struct reading *r, struct text *data,
		       bool by_value)
{
	uint8_t *copy = malloc(piece.len);
	struct span in = span_of(memcpy(copy, piece.at, piece.len), piece.len);
	struct sse_event ev;
	while (in.len) {
		if (by_value && take_value(sse, &in, r, data))
			continue;
		if (sse_next(sse, &in, &ev) != STEP_EVENT)
			break;
		take_event(r, &ev, data);
	}
	free(copy);
}

/* Returns the events that the tail completed: none or one. `by_value`: values are taken by the caller where
 * he may. */
static size_t read_ours(struct span pieces, struct reading *r, bool by_value, bool *eof)
{
	static struct text data;
	struct sse sse;
	size_t before = 0, events = 0;
	r->text.len = r->count = data.len = 0;
	sse_init(&sse);
	while (pieces.len) {
		struct span piece = take_measured(&pieces);
		if (!pieces.len) {
			before = r->count;
			*eof = sse_eof(&sse);
		}
		read_piece(&sse, piece, r, &data, by_value);
	}
	for (size_t i = before; i < r->count; i++)
		events += !r->records[i].comment;
	return events;
}

static void read_theirs(struct span said, struct reading *r)
{
	r->text.len = r->count = 0;
	while (said.len) {
		struct record *e = next_record(r);
		e->comment = *span_take(&said, 1).at == 'C';
		if (e->comment)
			continue;
		struct span name = take_measured(&said), data = take_measured(&said);
		e->name = r->text.len;
		put(&r->text, name.at, name.len);
		e->data = r->text.len;
		put(&r->text, data.at, data.len);
		e->end = r->text.len;
	}
}

static void show_reading(const char *who, const struct reading *r)
{
	printf("%s\n", who);
	for (size_t i = 0; i < r->count; i++) {
		const struct record *e = &r->records[i];
		struct span name = name_of(r, e), data = data_of(r, e);
		if (e->comment) {
			printf("    comment\n");
		} else {
			show_bytes("    event: ", name.at, name.len);
			show_bytes("        data: ", data.at, data.len);
		}
	}
}

/* ---- differences ----------------------------------------------------------------------------------- */

/* Of what an input has more than one, the last one counts. */
enum row { ROW_NAME_ONLY, ROW_CUT, ROW_EMPTY_NAME, ROW_UNFINISHED_FIELD, ROW_LATIN_MARK, ROWS };

static struct allowed table[ROWS] = {
	[ROW_NAME_ONLY] = {"a name without data: no event (HTML 9.2.6), a sign of life to ours", 0},
	[ROW_CUT] = {"a name of SSE_NAME_BYTES or more: ours has its start", 0},
	[ROW_EMPTY_NAME] =
		{"an empty event field: undici keeps the name before it, HTML 9.2.6 sets "
		 "the empty one",
		 0},
	[ROW_UNFINISHED_FIELD] =
		{"the body ends in \"data\" or \"event\": a field once its line ends", 0},
	[ROW_LATIN_MARK] = {"U+EF U+BB U+BF at the start: eventsource-parser takes them for a mark",
			    0},
};

enum parser { EVENTSOURCE_PARSER, UNDICI };

struct comparison {
	enum parser parser;
	struct span stream;
	int row;
};

static void explained(struct comparison *c, int row)
{
	if (row > c->row)
		c->row = row;
}

static bool same(struct span a, struct span b)
{
	return a.len == b.len && (!a.len || !memcmp(a.at, b.at, a.len));
}

/* A line of `event` without a value. */
static bool has_empty_event(struct span stream)
{
	static const char field[] = "event";
	const uint8_t *at = stream.at, *end = at + stream.len;
	while ((at = memmem(at, (size_t)(end - at), field, sizeof(field) - 1))) {
		at += sizeof(field) - 1;
		if (at < end && *at == ':')
			at += end - at > 1 && at[1] == ' ' ? 2 : 1;
		if (at == end || *at == '\r' || *at == '\n')
			return true;
	}
	return false;
}

static bool same_name(struct comparison *c, struct span ours, bool full, struct span theirs)
{
	if (same(ours, theirs))
		return true;
	if (full && theirs.len > ours.len && !memcmp(ours.at, theirs.at, ours.len)) {
		explained(c, ROW_CUT);
		return true;
	}
	if (c->parser == UNDICI && !ours.len && has_empty_event(c->stream)) {
		explained(c, ROW_EMPTY_NAME);
		return true;
	}
	return false;
}

static bool same_event(struct comparison *c, const struct reading *a, const struct record *ours,
		       const struct reading *b, const struct record *theirs)
{
	if (ours->comment || theirs->comment)
		return ours->comment && theirs->comment;
	return same(data_of(a, ours), data_of(b, theirs)) &&
	       same_name(c, name_of(a, ours), ours->full, name_of(b, theirs));
}

static bool only_named(const struct reading *r, const struct record *e)
{
	return !e->comment && name_of(r, e).len && !data_of(r, e).len;
}

/* The row that explains all differences of ours from record i on and theirs from record `at` on, SAME or
 * WRONG. An event that is only named may be one of theirs all the same: it can have empty data. */
static int compare(struct comparison c, const struct reading *ours, size_t i,
		   const struct reading *theirs, size_t at)
{
	for (; i < ours->count; i++) {
		const struct record *e = &ours->records[i];
		struct comparison before = c;
		if (e->comment && c.parser == UNDICI)
			continue;
		if (at < theirs->count && same_event(&c, ours, e, theirs, &theirs->records[at])) {
			int row = only_named(ours, e) ? compare(c, ours, i + 1, theirs, at + 1)
						      : ORACLE_WRONG;
			if (row != ORACLE_WRONG)
				return row;
			if (!only_named(ours, e)) {
				at++;
				continue;
			}
		}
		c = before;
		if (!only_named(ours, e))
			return ORACLE_WRONG;
		explained(&c, ROW_NAME_ONLY);
	}
	return at == theirs->count ? c.row : ORACLE_WRONG;
}

/* What ours says of the body's end, beside what the tail brought out of it. */
static int compare_ends(struct span stream, bool eof, size_t events)
{
	if (events == eof)
		return ORACLE_SAME;
	if (events < 2 && (span_ends(stream, "data") || span_ends(stream, "event")))
		return ROW_UNFINISHED_FIELD;
	return ORACLE_WRONG;
}

static bool begins_with_latin_mark(struct span stream)
{
	if (span_starts(stream, "\xef\xbb\xbf"))
		span_skip(&stream, 3);
	return span_starts(stream, "\xc3\xaf\xc2\xbb\xc2\xbf");
}

static struct node_reader node = {.script = "node/sse.js", .put_input = put_input};
static struct reading ours, by_eventsource_parser, by_undici;

static struct span whole_stream(struct span pieces)
{
	static struct text stream;
	stream.len = 0;
	put(&stream, "", 0);
	while (pieces.len) {
		struct span piece = take_measured(&pieces);
		if (pieces.len)
			put(&stream, piece.at, piece.len);
	}
	return span_of(stream.at, stream.len);
}

static void show_all(struct span pieces, bool eof)
{
	printf("pieces, the last of them the test's:\n");
	while (pieces.len) {
		struct span piece = take_measured(&pieces);
		show_bytes("    ", piece.at, piece.len);
	}
	show_reading("ours:", &ours);
	printf("    before the last piece: %s\n", eof ? "in an event" : "in none");
	show_reading("eventsource-parser:", &by_eventsource_parser);
	show_reading("undici:", &by_undici);
}

static int one(uint64_t seed, bool show)
{
	static struct text framed;
	bool eof = false;
	struct span said = node_said(&node, seed);
	framed.len = 0;
	put_input(seed, &framed);
	struct span pieces = span_of(framed.at, framed.len), stream = whole_stream(pieces);
	size_t events = read_ours(pieces, &ours, seed / 2 % 2, &eof);
	read_theirs(take_measured(&said), &by_eventsource_parser);
	read_theirs(take_measured(&said), &by_undici);
	if (show)
		show_all(pieces, eof);

	int rows[] = {
		compare_ends(stream, eof, events),
		compare((struct comparison){UNDICI, stream, ORACLE_SAME}, &ours, 0, &by_undici, 0),
		compare((struct comparison){EVENTSOURCE_PARSER, stream, ORACLE_SAME}, &ours, 0,
			&by_eventsource_parser, 0),
	};
	if (rows[2] == ORACLE_WRONG && begins_with_latin_mark(stream))
		rows[2] = ROW_LATIN_MARK;
	int row = ORACLE_SAME;
	for (size_t i = 0; i < 3; i++) {
		if (rows[i] == ORACLE_WRONG)
			return ORACLE_WRONG;
		row = rows[i] > row ? rows[i] : row;
	}
	return row;
}

int main(int argc, char **argv)
{
	struct oracle o = {"SSE beside eventsource-parser and undici", table, ROWS, one};
	node_start(&node);
	return oracle_main(argc, argv, &o);
}
