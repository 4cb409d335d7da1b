/*
 * nghttp2_plan.h - what the two ends of a conversation say, at random: one of what an end may say now.
 */
#ifndef TESTS_ORACLES_HTTP_NGHTTP2_PLAN_H
#define TESTS_ORACLES_HTTP_NGHTTP2_PLAN_H

#include "tests/oracles/http/nghttp2_ends.h"

/* ---- heads ------------------------------------------------------------------------------------------ */

#define FIELDS_MOST 24u

struct list {
	nghttp2_nv at[FIELDS_MOST];
	size_t count;
};

struct text_field {
	const char *name, *value;
};

static const struct text_field usual[] = {
	{"content-type", "application/json"},
	{"content-type", "text/event-stream"},
	{"content-type", "application/grpc"},
	{"content-encoding", "gzip"},
	{"content-encoding", ""},
	{"server", "uvicorn"},
	{"server", ""},
	{"user-agent", "OpenAI/Python 3.57.0"},
	{"accept", "*/*"},
	{"accept-encoding", "gzip, deflate"},
	{"authorization", "Bearer sk-0123456789"},
	{"cookie", "a=b"},
	{"cookie", "c=d; e=f"},
	{"x-empty", ""},
	{"x-bytes", "\x80\xff\xc3\xa9 q"},
	{"date", "Tue, 24 Nov 2026 18:29:51 GMT"},
	{"x-request-id", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
	{"x-ratelimit-remaining", "41"},
};
/* Malformed (RFC 9113 8.2.1, 8.2.2, 8.3), or nearly. */
static const struct text_field rare[] = {
	{"x-cr", "a\rb"},
	{"x-lf", "a\nServer: evil"},
	{"Content-Type", "text/x-upper"},
	{"bad name", "x"},
	{"x:y", "x"},
	{"", "no name"},
	{":path", "/late"},
	{":status", "999"},
	{":method", "PUT"},
	{":unknown", "x"},
	{"connection", "close"},
	{"transfer-encoding", "chunked"},
	{"te", "gzip"},
	{"content-length", "17"},
	{"x-white", " a\t"},
	{"server", "a\rb"},
	{"server", "second"},
	{"x-del", "\x7f"},
};

static inline void add_nv(struct list *l, struct chance *c, const char *name, const void *value,
			  size_t len)
{
	if (l->count == FIELDS_MOST)
		return;
	unsigned flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
	if (one_in(c, 6))
		flags |= NGHTTP2_NV_FLAG_NO_INDEX;
	l->at[l->count++] = (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value,
					 strlen(name), len, (uint8_t)flags};
}

static inline void add_text(struct list *l, struct chance *c, const char *name, const char *value)
{
	add_nv(l, c, name, value, strlen(value));
}

/* One head in a hundred has a value that fills frames. */
static inline void add_some(struct list *l, struct chance *c)
{
	static const unsigned sizes[] = {100, 200, 500, 1000, 2000, 5000, 17000, 40000};
	for (unsigned n = below(c, 6); n; n--) {
		const struct text_field *f = &PICK(c, usual);
		add_text(l, c, f->name, f->value);
	}
	if (odd(c)) {
		const struct text_field *f = &PICK(c, rare);
		add_text(l, c, f->name, f->value);
	}
	if (one_in(c, 30)) {
		unsigned size = sizes[below(c, one_in(c, 10) ? 8 : 5)];
		add_nv(l, c, "x-long", filling + below(c, 1000), 1 + below(c, size));
	}
}

static inline void add_length(struct list *l, struct chance *c, struct body *b)
{
	int n = snprintf(b->length, sizeof(b->length), "%u", b->left);
	if (one_in(c, 3))
		add_nv(l, c, "content-length", b->length, (size_t)n);
}

/* ---- bodies ----------------------------------------------------------------------------------------- */

static inline struct body *new_body(struct end *e)
{
	static const unsigned sizes[] = {1, 10, 40, 100, 300, 1000, 5000, BODY_MOST};
	static const uint8_t pieces[] = {0, 0, 1, 20, 100, 255};
	struct chance *c = e->chance;
	if (e->body_count == STREAMS)
		return NULL;
	struct body *b = &e->bodies[e->body_count++];
	*b = (struct body){.filling = filling + below(c, FILLING / 2)};
	b->left = below(c, sizes[below(c, one_in(c, 12) ? 8 : 6)] + 1);
	b->pieces = PICK(c, pieces);
	/* Bytes one by one, but not for ever. */
	if (b->pieces && b->left > b->pieces * 40u)
		b->pieces = 0;
	b->trailers = one_in(c, 5);
	b->ends_apart = one_in(c, 4);
	return b;
}

static inline nghttp2_data_provider provider_of(struct body *b)
{
	return (nghttp2_data_provider){.source = {.ptr = b}, .read_callback = read_body};
}

/* ---- what a client says ----------------------------------------------------------------------------- */

static inline void request_head(struct list *l, struct chance *c)
{
	static const char *const methods[] = {"POST", "POST",	 "POST",   "GET",
					      "HEAD", "OPTIONS", "CONNECT"};
	static const char *const paths[] = {"/",       "/v1/chat/completions", "/v1/completions",
					    "/health", "/metrics?a=b",	       "*"};
	const char *method = PICK(c, methods);
	bool tunnel = !strcmp(method, "CONNECT");
	add_text(l, c, ":method", method);
	if (!tunnel) {
		add_text(l, c, ":scheme", "http");
		add_text(l, c, ":path", PICK(c, paths));
	}
	add_text(l, c, ":authority", "a");
	add_some(l, c);
}

static inline void request(struct end *e)
{
	struct chance *c = e->chance;
	struct list l = {.count = 0};
	struct body *b = one_in(c, 3) ? NULL : new_body(e);
	if (e->opened * 2 + 3 >= STREAMS)
		return;
	request_head(&l, c);
	nghttp2_priority_spec spec;
	nghttp2_priority_spec_init(&spec, 0, 1 + (int)below(c, 256), (int)below(c, 2));
	if (b)
		add_length(&l, c, b);
	nghttp2_data_provider data = provider_of(b);
	int32_t stream = nghttp2_submit_request(e->session, one_in(c, 4) ? &spec : NULL, l.at,
						l.count, b ? &data : NULL, NULL);
	if (stream <= 0 || stream >= (int32_t)STREAMS)
		return;
	e->opened++;
	e->body_of[stream] = b;
	if (b)
		b->stream = (uint32_t)stream;
}

/* ---- what a server says ----------------------------------------------------------------------------- */

static inline void interim(struct end *e, int32_t stream)
{
	static const char *const status[] = {"100", "102", "103", "103"};
	struct list l = {.count = 0};
	add_text(&l, e->chance, ":status", PICK(e->chance, status));
	add_some(&l, e->chance);
	nghttp2_submit_headers(e->session, 0, stream, NULL, l.at, l.count, NULL);
}

static inline void respond(struct end *e, int32_t stream)
{
	static const char *const status[] = {"200", "200", "200", "204",
					     "404", "429", "503", "304"};
	struct chance *c = e->chance;
	struct list l = {.count = 0};
	const char *says = PICK(c, status);
	bool bare = !strcmp(says, "204") || !strcmp(says, "304");
	struct body *b = one_in(c, 5) || (bare && !one_in(c, 8)) ? NULL : new_body(e);
	add_text(&l, c, ":status", says);
	add_some(&l, c);
	if (b)
		add_length(&l, c, b);
	nghttp2_data_provider data = provider_of(b);
	if (nghttp2_submit_response(e->session, stream, l.at, l.count, b ? &data : NULL) != 0)
		return;
	e->body_of[stream] = b;
	if (b)
		b->stream = (uint32_t)stream;
}

/* Takes one of the streams that wait for an answer. */
static inline void answer(struct end *e)
{
	struct chance *c = e->chance;
	if (!e->answers)
		return;
	uint32_t *at = &e->to_answer[below(c, e->answers)];
	int32_t stream = (int32_t)*at;
	if (one_in(c, 6)) {
		interim(e, stream);
		return;
	}
	*at = e->to_answer[--e->answers];
	respond(e, stream);
}

static inline void push(struct end *e)
{
	struct chance *c = e->chance;
	struct list l = {.count = 0};
	if (!e->answers || e->promised * 2 + 4 >= STREAMS)
		return;
	int32_t parent = (int32_t)e->to_answer[below(c, e->answers)];
	add_text(&l, c, ":method", "GET");
	add_text(&l, c, ":scheme", "http");
	add_text(&l, c, ":path", "/pushed");
	add_text(&l, c, ":authority", "a");
	add_some(&l, c);
	int32_t stream = nghttp2_submit_push_promise(e->session, 0, parent, l.at, l.count, NULL);
	if (stream <= 0 || stream >= (int32_t)STREAMS)
		return;
	e->promised++;
	e->to_answer[e->answers++] = (uint32_t)stream;
}

/* ---- what both say ---------------------------------------------------------------------------------- */

static inline uint32_t some_stream(struct end *e)
{
	uint32_t opened = e->client ? e->opened : e->other->opened;
	if (e->promised && one_in(e->chance, 4))
		return 2 + 2 * below(e->chance, e->promised);
	return opened ? 1 + 2 * below(e->chance, opened) : 0;
}

/* With other errors than those of resets(): whose it is must be seen. */
static inline void reset(struct end *e)
{
	static const uint32_t errors[] = {0, 2, 8, 8, 11, 0xffffffff};
	uint32_t stream = some_stream(e);
	if (!stream)
		return;
	if (!e->asked[stream])
		e->asked[stream] = (uint32_t)e->whys.len + 1;
	nghttp2_submit_rst_stream(e->session, 0, (int32_t)stream, PICK(e->chance, errors));
}

static inline void change_settings(struct end *e)
{
	static const uint32_t tables[] = {0, 1, 50, 200, 4096, 8192, 65536, 100000};
	static const uint32_t windows[] = {0, 10, 1000, 65535, 1u << 20};
	static const uint32_t sizes[] = {16384, 16385, 40000, (1u << 24) - 1};
	static const uint32_t lists[] = {1000, 65536, 1u << 20};
	static const uint32_t streams[] = {1, 5, 100};
	struct chance *c = e->chance;
	nghttp2_settings_entry entries[7];
	size_t n = 0;
	for (unsigned times = one_in(c, 4) ? 2 : 1; times; times--) {
		uint32_t size = tables[below(c, one_in(c, 20) ? 8 : 7)];
		entries[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, size};
		e->smaller |= size < e->table;
		e->table = size;
	}
	if (one_in(c, 3))
		entries[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
							PICK(c, windows)};
	if (one_in(c, 5))
		entries[n++] =
			(nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_FRAME_SIZE, PICK(c, sizes)};
	if (one_in(c, 5))
		entries[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
							PICK(c, lists)};
	if (one_in(c, 5))
		entries[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
							PICK(c, streams)};
	if (e->client && one_in(c, 10))
		entries[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, below(c, 2)};
	nghttp2_submit_settings(e->session, 0, entries, n);
}

static inline void go_away(struct end *e)
{
	static const uint32_t errors[] = {0, 0, 0, 1, 11};
	struct chance *c = e->chance;
	int32_t last = nghttp2_session_get_last_proc_stream_id(e->session);
	const int32_t lasts[] = {last, last, 0, (1u << 31) - 1};
	if (one_in(c, 4)) {
		e->goes = true;
		nghttp2_session_terminate_session(e->session, PICK(c, errors));
	} else if (!e->client && one_in(c, 4))
		nghttp2_submit_shutdown_notice(e->session);
	else
		nghttp2_submit_goaway(e->session, 0, PICK(c, lasts), PICK(c, errors),
				      (const uint8_t *)ASKED_FOR, sizeof(ASKED_FOR) - 1);
}

static inline void open_window(struct end *e)
{
	int32_t stream = (int32_t)some_stream(e);
	nghttp2_submit_window_update(e->session, 0, one_in(e->chance, 2) ? 0 : stream,
				     1 + (int32_t)below(e->chance, 5000));
}

static inline void small_talk(struct end *e)
{
	struct chance *c = e->chance;
	static const uint8_t name[] = "h2=\":443\"";
	nghttp2_priority_spec spec;
	switch (below(c, 4)) {
	case 0:
		nghttp2_submit_ping(e->session, 0, name);
		break;
	case 1:
		if (!e->client) {
			nghttp2_submit_altsvc(e->session, 0, 0, name, 1, name, sizeof(name) - 1);
			break;
		}
		nghttp2_priority_spec_init(&spec, 0, 1 + (int)below(c, 256), 0);
		nghttp2_submit_priority(e->session, 0, 1 + 2 * (int32_t)below(c, 20), &spec);
		break;
	default:
		open_window(e);
	}
}

/* What it took of the windows, and did not say yet. */
static inline void credit(struct end *e)
{
	uint32_t most = 2 * (e->client ? e->opened : e->other->opened) + 2;
	for (uint32_t i = 0; i < STREAMS && i <= most; i++) {
		if (e->owed[i])
			nghttp2_session_consume(e->session, (int32_t)i, e->owed[i]);
		e->owed[i] = 0;
	}
}

static inline void go_on(struct end *e)
{
	for (uint32_t i = 0; i < e->body_count; i++) {
		struct body *b = &e->bodies[i];
		if (b->waits)
			nghttp2_session_resume_data(e->session, (int32_t)b->stream);
		b->waits = false;
	}
}

static inline void say_something(struct end *e)
{
	struct chance *c = e->chance;
	unsigned n = below(c, 100);
	if (n < 45)
		(e->client ? request : answer)(e);
	else if (n < 70)
		go_on(e);
	else if (n < 78)
		small_talk(e);
	else if (n < 84)
		change_settings(e);
	else if (n < 88)
		reset(e);
	else if (n < 92 && !e->client)
		push(e);
	else if (n < 97)
		credit(e);
	else if (one_in(c, 4))
		go_away(e);
}

/* ---- the conversation ------------------------------------------------------------------------------- */

static inline void begin_end(struct end *e, struct end *other, struct chance *c, bool client)
{
	struct end fresh = {.client = client, .chance = c, .other = other};
	static const uint8_t dressed[] = {0, 0, 2, 5};
	fresh.dressed = PICK(c, dressed);
	fresh.table = 4096;
	/* What was grown is kept. */
	fresh.wire = (struct text){e->wire.at, 0, e->wire.room};
	fresh.whys = (struct text){e->whys.at, 0, e->whys.room};
	fresh.sent = e->sent;
	fresh.heard = e->heard;
	fresh.fields = e->fields;
	fresh.sent.count = fresh.sent.text.len = fresh.heard.count = fresh.heard.text.len = 0;
	*e = fresh;
}

/* Some of what the other one has said: the rest is still on its way. */
static inline void hear_some(struct end *e)
{
	size_t at = e->other->heard_by_other, len = e->other->wire.len - at;
	listen_to(e, at + (len && one_in(e->chance, 4) ? below(e->chance, (unsigned)len) : len));
}

static inline void take_turn(struct end *e, unsigned most)
{
	for (unsigned n = below(e->chance, most); n; n--)
		say_something(e);
	speak_up(e);
	hear_some(e->other);
}

static inline size_t progress_of(const struct end *e)
{
	return e->wire.len + e->heard_by_other;
}

/* Until nobody has more to say, or it goes on for too long. */
static inline void come_to_end(struct end *client, struct end *server)
{
	struct end *const ends[] = {client, server};
	client->closing = server->closing = true;
	for (unsigned round = 0; round < 40; round++) {
		size_t before = progress_of(client) + progress_of(server);
		for (unsigned i = 0; i < 2; i++) {
			go_on(ends[i]);
			credit(ends[i]);
			speak_up(ends[i]);
			listen_to_all(ends[!i]);
		}
		if (progress_of(client) + progress_of(server) == before)
			return;
	}
}

/* What it would say if there were more time: of interest is why it gave up, not the bytes. */
static inline void say_unheard(struct end *e)
{
	size_t said = e->wire.len, units = e->sent.count;
	bool damaged = e->damaged;
	speak_up(e);
	e->wire.len = said;
	e->sent.count = units;
	e->damaged = damaged;
}

static inline void converse(struct end *client, struct end *server, struct chance *c)
{
	static const unsigned lengths[] = {2, 2, 3, 3, 4, 4, 5, 6, 8, 12, 30};
	change_settings(client);
	nghttp2_submit_settings(server->session, 0, NULL, 0);
	for (unsigned steps = PICK(c, lengths); steps; steps--) {
		take_turn(client, 4);
		take_turn(server, 4);
	}
	come_to_end(client, server);
	say_unheard(client);
	say_unheard(server);
}

#endif
