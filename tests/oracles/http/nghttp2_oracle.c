/*
 * HTTP/2 by h2.h and by nghttp2: a client's session and a server's converse (nghttp2_plan.h), each direction half of
 * the time over a wire that damages frames (h2_wire.h). Ours overhears both, in pieces. It must tell, frame by frame,
 *   what the receiving session told of the frame, and
 *   where nothing was damaged, what the sending session says that it sent.
 * An input is one such conversation: some requests, their responses, and all that goes with them.
 *
 * Ours and nghttp2 read blocks of fields by the same HPACK; hpack_oracle.c has another one beside it.
 */
#include "tests/oracles/http/nghttp2_plan.h"

#define ORACLE_INPUTS 60000u
#include "tests/oracles/oracle.h"

enum row {
	/* nghttp2 reads on, and does not tell. */
	ROW_RESET_HERE,
	ROW_RESET_THERE,
	ROW_ENDED,
	ROW_UNKNOWN,
	ROW_LEFT,
	ROW_UNWANTED,
	ROW_MALFORMED,
	ROW_LENGTH,
	/* nghttp2 gives up. */
	ROW_STATES,
	ROW_SETTINGS,
	ROW_TABLE_SETTING,
	ROW_PRIORITY,
	ROW_GONE,
	/* Ours gives up. */
	ROW_CUT,
	ROW_EARLY,
	ROW_UNREAD,
	ROW_TABLE,
	ROWS
};

static struct allowed table[ROWS] = {
	[ROW_RESET_HERE] =
		{"sent before its sender knew of the reset: ignored by RFC 9113 5.1, told here", 0},
	[ROW_RESET_THERE] =
		{"behind its sender's RST_STREAM: RFC 9113 5.1; by_stream.c has no such stream", 0},
	[ROW_ENDED] = {"on a stream that has ended: RFC 9113 5.1; by_stream.c has no such stream",
		       0},
	[ROW_UNKNOWN] = {"on a stream that its receiver did not let begin: RFC 9113 5.1, 8.4", 0},
	[ROW_LEFT] = {"a stream behind a GOAWAY, of either side: RFC 9113 6.8; told here", 0},
	[ROW_UNWANTED] =
		{"behind a GOAWAY, of either side, and no stream is live: nghttp2 drops it", 0},
	[ROW_MALFORMED] = {"a malformed message ends its stream (RFC 9113 8.1.1), nghttp2 tells no "
			   "more of it",
			   0},
	[ROW_LENGTH] = {"a content-length that means nothing (RFC 9110 8.6): nghttp2 leaves it out",
			0},
	[ROW_STATES] =
		{"not in this state of the stream (RFC 9113 5.1, 6.8): by_stream.c knows them", 0},
	[ROW_SETTINGS] =
		{"past the other side's SETTINGS (RFC 9113 4.2, 5.1.2, 6.5, 6.9): not followed", 0},
	[ROW_TABLE_SETTING] =
		{"a table past SETTINGS_HEADER_TABLE_SIZE (RFC 7541 4.2): not followed", 0},
	[ROW_PRIORITY] = {"a bad PRIORITY is its stream's error (RFC 9113 6.3), in nghttp2 the "
			  "connection's",
			  0},
	[ROW_GONE] = {"behind a GOAWAY with which its receiver ended the connection", 0},
	[ROW_CUT] = {"of a DATA frame whose end is not there: told as it comes", 0},
	[ROW_EARLY] = {"a bad frame or block whose end is not there: bad as soon as it is seen", 0},
	[ROW_UNREAD] = {"a bad frame of a stream that nghttp2 ignores, with its padding and blocks "
			"(RFC 9113 6.1, 6.10), of stream 0, or a promise behind its GOAWAY",
			0},
	[ROW_TABLE] = {"a table of fields of more than LIMIT_HPACK_TABLE_BYTES", 0},
};

/* What nghttp2 says when it gives up, by a part of it. What is not here is explained by nothing. */
static const struct {
	const char *part;
	enum row row;
} refusals[] = {
	{"stream closed", ROW_STATES},
	{"stream in idle", ROW_STATES},
	{"stream in half-closed(remote)", ROW_STATES},
	{"stream in reserved", ROW_STATES},
	{"to reserved stream", ROW_STATES},
	{"stream not opened", ROW_STATES},
	{"to idle stream", ROW_STATES},
	{"HEADERS: invalid stream_id", ROW_STATES},
	{"client received request", ROW_STATES},
	{"no HEADERS allowed from client", ROW_STATES},
	{"PUSH_PROMISE: invalid promised_stream_id", ROW_STATES},
	{"PUSH_PROMISE: invalid stream_id", ROW_STATES},
	{"GOAWAY: invalid last_stream_id", ROW_STATES},
	{"depend on itself", ROW_STATES},
	{"SETTINGS: ", ROW_SETTINGS},
	{"SETTINGS expected", ROW_SETTINGS},
	{"max concurrent streams exceeded", ROW_SETTINGS},
	{"push disabled", ROW_SETTINGS},
	{"FLOW_CONTROL_ERROR", ROW_SETTINGS},
	{"window_size_increment == 0", ROW_SETTINGS},
	{"too large frame size", ROW_SETTINGS},
	{ASKED_FOR, ROW_GONE},
};

static struct end client, server;
static struct reading ours;
static unsigned long units, heads, bytes;

/* ---- a direction ------------------------------------------------------------------------------------ */

static struct {
	const struct end *from, *to;
	struct frame *frames; /* those that are whole */
	size_t *ends;
	uint32_t count, room;
	uint32_t rows;	    /* a bit each: what explained something */
	uint32_t different; /* the frame at which nothing did */
	uint32_t over;	    /* from this frame on nothing is compared */
} direction;

static void find_frames(const struct end *from, const struct end *to)
{
	struct span rest = span_of(from->wire.at, from->wire.len);
	struct frame f;
	direction.from = from;
	direction.to = to;
	direction.count = 0;
	if (from->client)
		span_skip(&rest, rest.len < PREFACE_BYTES ? rest.len : PREFACE_BYTES);
	while (next_frame(&rest, &f)) {
		if (direction.count == direction.room) {
			direction.room = direction.room ? 2 * direction.room : 256;
			direction.ends =
				realloc(direction.ends, direction.room * sizeof(*direction.ends));
			direction.frames = realloc(direction.frames,
						   direction.room * sizeof(*direction.frames));
			if (!direction.ends || !direction.frames)
				abort();
		}
		direction.ends[direction.count] = from->wire.len - rest.len;
		direction.frames[direction.count++] = f;
	}
}

static bool explained(int row)
{
	if (row >= 0)
		direction.rows |= 1u << row;
	return row >= 0;
}

static struct span fields_in(const struct frame *f)
{
	struct span piece = f->payload;
	size_t before = 0;
	if (f->type != CONTINUATION)
		before = (f->flags & PADDED ? 1u : 0u) + (f->type == PUSH_PROMISE ? 4u : 0u) +
			 (f->type == HEADERS && f->flags & WITH_PRIORITY ? 5u : 0u);
	size_t pad = before && f->flags & PADDED && piece.len ? piece.at[0] : 0;
	span_skip(&piece, before < piece.len ? before : piece.len);
	piece.len -= pad < piece.len ? pad : piece.len;
	return piece;
}

/* The largest of the sizes of its table that a block begins with; -1: it begins with none (RFC 7541 6.3). */
static int64_t new_size(uint32_t nth)
{
	static struct text block;
	int64_t most = -1;
	while (nth && nth < direction.count && direction.frames[nth].type == CONTINUATION)
		nth--;
	block.len = 0;
	for (; nth < direction.count && block.len < 32; nth++) {
		struct span piece = fields_in(&direction.frames[nth]);
		put(&block, piece.at, piece.len);
		if (nth + 1 < direction.count && direction.frames[nth + 1].type != CONTINUATION)
			break;
	}
	for (size_t at = 0; at < block.len && (block.at[at] & 0xe0) == 0x20;) {
		int64_t size = block.at[at] & 0x1f;
		bool more = block.at[at++] == 0x3f;
		for (unsigned shift = 0; more && at < block.len && shift < 35; shift += 7) {
			size += (int64_t)(block.at[at] & 0x7f) << shift;
			more = block.at[at++] & 0x80;
		}
		most = size > most ? size : most;
	}
	return most;
}

/* ---- comparison ------------------------------------------------------------------------------------- */

static bool same(const struct reading *a, const struct unit *x, const struct reading *b,
		 const struct unit *y)
{
	return x->type == y->type && x->stream == y->stream && x->error == y->error &&
	       x->len == y->len && !memcmp(a->text.at + x->at, b->text.at + y->at, x->len);
}

static bool as_it_was_sent(void)
{
	const struct reading *sent = &direction.from->sent;
	for (size_t i = 0; i < ours.count && i < sent->count; i++) {
		if (!same(&ours, &ours.units[i], sent, &sent->units[i]))
			return false;
	}
	return direction.over <= direction.count || (!ours.bad && ours.count == sent->count);
}

static bool has_bad_priority(uint32_t from)
{
	for (; from < direction.count; from++) {
		const struct frame *f = &direction.frames[from];
		if (f->type == PRIORITY && f->payload.len != 5)
			return true;
	}
	return false;
}

/* None of a server's, which ours must see (RFC 9113 6.6, 5.1.1); others are, or are not, to be promised yet. */
static bool promises_none(uint32_t nth)
{
	const struct frame *f = &direction.frames[nth];
	size_t before = f->flags & PADDED ? 1 : 0;
	if (nth >= direction.count || f->type != PUSH_PROMISE || f->payload.len < before + 4)
		return false;
	uint32_t promised = big_endian(f->payload.at + before, 4) & 0x7fffffff;
	return !promised || promised % 2;
}

static int row_of_refusal(void)
{
	const struct end *to = direction.to;
	/* One of which the receiver keeps less than we do, or which had to tell that it keeps less. */
	if (!strcmp(to->reason, "COMPRESSION_ERROR"))
		return new_size(to->begun) > 0 || to->smaller ? ROW_TABLE_SETTING : ORACLE_WRONG;
	if (!strcmp(to->reason, "FRAME_SIZE_ERROR"))
		return has_bad_priority(to->begun) ? ROW_PRIORITY : ORACLE_WRONG;
	if (strstr(to->reason, "promised_stream_id") && promises_none(to->begun))
		return ORACLE_WRONG;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (strstr(to->reason, refusals[i].part))
			return (int)refusals[i].row;
	}
	return ORACLE_WRONG;
}

/* Why the receiver ignores a frame, by what is known of the stream. */
static int row_of_stream(uint32_t frame, uint32_t stream)
{
	static const int rows[] = {
		[OPEN] = ORACLE_WRONG,		 [RESET_HERE] = ROW_RESET_HERE,
		[RESET_THERE] = ROW_RESET_THERE, [ENDED] = ROW_ENDED,
		[UNKNOWN] = ROW_UNKNOWN,	 [LEFT] = ROW_LEFT,
		[MALFORMED] = ROW_MALFORMED,	 [UNWANTED] = ROW_UNWANTED,
	};
	const struct end *to = direction.to;
	if (stream < STREAMS && to->refused[stream])
		return ROW_MALFORMED;
	if (stream < STREAMS && to->asked[stream] && frame + 2 >= to->asked[stream])
		return ROW_RESET_HERE;
	return frame < to->whys.len ? rows[to->whys.at[frame]] : ORACLE_WRONG;
}

/* Why the receiver did not tell all that ours tells of a frame. */
static int row_of(const struct unit *u)
{
	const struct end *to = direction.to;
	int row = row_of_stream(u->frame, u->stream);
	if (u->frame == direction.count)
		return u->type == H2_BODY ? ROW_CUT : ORACLE_WRONG;
	if (row >= 0)
		return row;
	return to->reason[0] && u->frame >= to->begun ? row_of_refusal() : ORACLE_WRONG;
}

static size_t of_frame(const struct reading *r, size_t at, uint32_t frame)
{
	size_t n = 0;
	while (at + n < r->count && r->units[at + n].frame == frame)
		n++;
	return n;
}

/* Our head without a length that means nothing, of a 204 or of the answer to a CONNECT: nghttp2 leaves it out. */
static bool same_but_length(const struct unit *u, const struct unit *theirs)
{
	static struct text less;
	static const char name[] = "content-length: ";
	struct span rest = span_of(ours.text.at + u->at, u->len);
	const uint8_t *line, *next;
	if (u->type != H2_HEAD || theirs->type != H2_HEAD || u->stream != theirs->stream)
		return false;
	less.len = 0;
	while ((line = memmem(rest.at, rest.len, name, sizeof(name) - 1)) != NULL) {
		put(&less, rest.at, (size_t)(line - rest.at));
		span_skip(&rest, (size_t)(line - rest.at));
		next = memchr(rest.at, '\n', rest.len);
		span_skip(&rest, next ? (size_t)(next - rest.at) + 1 : rest.len);
	}
	put(&less, rest.at, rest.len);
	return less.len == theirs->len &&
	       !memcmp(less.at, direction.to->heard.text.at + theirs->at, less.len) &&
	       direction.to->client && explained(ROW_LENGTH);
}

/* Of a body its beginning: the receiver did not want more. */
static bool is_less(const struct unit *u, const struct unit *theirs)
{
	return u->type == H2_BODY && theirs->type == H2_BODY && u->stream == theirs->stream &&
	       theirs->len < u->len &&
	       !memcmp(ours.text.at + u->at, direction.to->heard.text.at + theirs->at, theirs->len);
}

/* Of each frame ours tells what the receiver told, and more only where something explains it. */
static bool as_it_was_heard(void)
{
	const struct reading *heard = &direction.to->heard;
	size_t i = 0, j = 0;
	for (uint32_t frame = 0; frame < direction.over; frame++) {
		size_t m = of_frame(&ours, i, frame), n = of_frame(heard, j, frame), k = 0;
		const struct unit *a = ours.units + i, *b = heard->units + j;
		direction.different = frame;
		while (k < m && k < n &&
		       (same(&ours, &a[k], heard, &b[k]) || same_but_length(&a[k], &b[k])))
			k++;
		if (k < n && (k == m || k + 1 < n || !is_less(&a[k], &b[k])))
			return false;
		if (k < m && !explained(row_of(&a[k])))
			return false;
		i += m;
		j += n;
	}
	return direction.over <= direction.count || (i == ours.count && j == heard->count);
}

/* Where ours gives up nghttp2 has, too; and where it does not, something says why not. */
static bool both_give_up(void)
{
	const struct end *to = direction.to;
	bool theirs = to->reason[0];
	direction.different = ours.bad ? ours.bad_frame : direction.count;
	if (ours.bad && theirs)
		return to->begun <= ours.bad_frame;
	if (ours.bad)
		return ours.bad_frame == direction.count && explained(ROW_EARLY);
	return !theirs || explained(row_of_refusal());
}

/* Whether ours gave up where nghttp2 does not look, or sees nothing wrong. */
static bool gives_up_alone(void)
{
	uint32_t nth = ours.bad_frame;
	if (!ours.bad || nth >= direction.count)
		return false;
	const struct frame *f = &direction.frames[nth];
	if (new_size(nth) > LIMIT_HPACK_TABLE_BYTES)
		return explained(ROW_TABLE);
	if (!direction.from->damaged)
		return false;
	if (nth < direction.to->whys.len && direction.to->whys.at[nth] == UNWANTED)
		return explained(ROW_UNWANTED);
	if (f->type == DATA && f->flags & PADDED && row_of_stream(nth, f->stream) >= 0)
		return explained(ROW_UNREAD);
	/* A client takes it for one of a pushed stream that has ended. */
	if (f->type == HEADERS && !f->stream && direction.to->client)
		return explained(ROW_UNREAD);
	/* Whatever is promised. */
	if (f->type == PUSH_PROMISE && direction.to->client && direction.to->left)
		return explained(ROW_UNREAD);
	const struct frame *before = nth ? f - 1 : f;
	bool goes_on = (before->type == HEADERS || before->type == CONTINUATION) &&
		       !(before->flags & END_HEADERS);
	return goes_on && f->type != CONTINUATION && row_of_stream(nth - 1, before->stream) >= 0 &&
	       explained(ROW_UNREAD);
}

/* ---- to be looked at -------------------------------------------------------------------------------- */

static void show_reading(const char *title, const struct reading *r, const struct end *to)
{
	static const char *const types[] = {"HEAD", "BODY", "END", "RESET", "AWAY"};
	printf("  %s:\n", title);
	for (size_t i = 0; i < r->count; i++) {
		const struct unit *u = &r->units[i];
		printf("    %4u %-6s %-10u %-10u (%zu) ", u->frame, types[u->type], u->stream,
		       u->error, u->len);
		show_bytes("", r->text.at + u->at, u->len > 200 ? 200 : u->len);
	}
	if (r == &ours)
		printf("    %s in %u\n", r->bad ? "bad" : "more", r->bad_frame);
	else if (to)
		printf("    %s, %u begun, %s\n", to->reason, to->begun,
		       nghttp2_strerror(to->error));
}

static void show_wire(void)
{
	static const char *const whys[] = {"",	      "reset here", "reset there", "ended",
					   "unknown", "left",	    "malformed",   "unwanted"};
	const struct text *known = &direction.to->whys;
	for (uint32_t n = 0; n < direction.count; n++) {
		const struct frame *f = &direction.frames[n];
		printf("    %4u type %u flags %02x stream %u (%zu) %s ", n, f->type, f->flags,
		       f->stream, f->payload.len, n < known->len ? whys[known->at[n]] : "");
		show_bytes("", f->payload.at, f->payload.len > 60 ? 60 : f->payload.len);
	}
}

static void show_direction(bool sent, bool heard)
{
	printf("%s%s%s", direction.from->client ? "requests" : "responses",
	       direction.from->damaged ? ", damaged" : "", sent ? "" : ", not as sent");
	if (heard)
		printf("\n");
	else
		printf(", not as heard from frame %u on\n", direction.different);
	show_wire();
	show_reading("ours", &ours, NULL);
	show_reading("heard", &direction.to->heard, direction.to);
	if (!direction.from->damaged)
		show_reading("sent", &direction.from->sent, NULL);
}

static bool compare(const struct end *from, const struct end *to, struct chance *c, bool show)
{
	struct span wire = span_of(from->wire.at, from->wire.len);
	find_frames(from, to);
	read_ours(&ours, c, from->client ? H2_REQUESTS : H2_RESPONSES, wire,
		  &(struct frame_ends){direction.ends, direction.count});
	units += ours.count;
	for (size_t i = 0; i < ours.count; i++)
		heads += ours.units[i].type == H2_HEAD;
	bytes += wire.len;
	bool alone = gives_up_alone();
	direction.over = alone ? ours.bad_frame : direction.count + 1;
	bool heard = as_it_was_heard() && (alone || both_give_up());
	bool sent = from->damaged || as_it_was_sent();
	if (show)
		show_direction(sent, heard);
	return sent && heard;
}

/* ---- the oracle ------------------------------------------------------------------------------------- */

#define KINDS 16u

static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options[KINDS];

static void set_up(void)
{
	static const unsigned tables[] = {4096, 65536, 200000, 0};
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyz0123456789-_.~ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct chance c = {.state = 1};
	for (size_t i = 0; i < sizeof(filling); i++)
		filling[i] = (uint8_t)PICK(&c, letters);
	for (unsigned i = 0; i < KINDS; i++) {
		nghttp2_option_new(&options[i]);
		nghttp2_option_set_no_http_messaging(options[i], i & 1);
		nghttp2_option_set_no_auto_window_update(options[i], i >> 1 & 1);
		nghttp2_option_set_max_deflate_dynamic_table_size(options[i], tables[i >> 2]);
		/* It counts pieces of frames' heads; we send no more than a few frames. */
		nghttp2_option_set_max_continuations(options[i], 1000);
	}
	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_not_sent);
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_field);
	nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_field);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_body);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_heard);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_complaint);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_session_callbacks_set_select_padding_callback(callbacks, select_padding);
}

static int one(uint64_t seed, bool show)
{
	static const uint8_t damaged[] = {0, 0, 0, 0, 4, 8, 20, 40};
	struct chance c = chance_of(seed);
	direction.rows = 0;
	begin_end(&client, &server, &c, true);
	begin_end(&server, &client, &c, false);
	client.damages = PICK(&c, damaged);
	server.damages = PICK(&c, damaged);
	nghttp2_session_client_new2(&client.session, callbacks, &client, options[below(&c, KINDS)]);
	nghttp2_session_server_new2(&server.session, callbacks, &server, options[below(&c, KINDS)]);
	if (!client.session || !server.session)
		abort();
	converse(&client, &server, &c);
	bool well = compare(&client, &server, &c, show);
	well &= compare(&server, &client, &c, show);
	nghttp2_session_del(client.session);
	nghttp2_session_del(server.session);
	if (!well)
		return ORACLE_WRONG;
	return oracle_rows(table, ROWS, direction.rows);
}

int main(int argc, char **argv)
{
	struct oracle o = {"HTTP/2 beside nghttp2", table, ROWS, one};
	set_up();
	int status = oracle_main(argc, argv, &o);
	printf("%lu heads among %lu things told, in %lu bytes\n", heads, units, bytes);
	return status;
}
