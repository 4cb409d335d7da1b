/*
 * nghttp2's client and nghttp2's server talk to each other, at random, and we watch from the side: what
 * the one was told of the other's requests and responses is what we are told.
 */
#include "tests/unit/test.h"

#include "agent/http/h2.h"

#include <nghttp2/nghttp2.h>

#define STREAMS_MAX   64
#define CONVERSATIONS 400

/* What is known of one direction of a stream, by a digest of the bytes of its body. */
struct half {
	unsigned heads, resets;
	bool ended;
	size_t len;
	uint64_t digest;
	char path[64];
	unsigned status;
};

/* Of all streams, in both directions. */
struct account {
	struct half sides[2][STREAMS_MAX];
};

static struct account told, seen;
static nghttp2_session *client, *server;
static struct h2 *watch[2];
static size_t left[STREAMS_MAX]; /* of the body that a side still has to send, by stream and side */
static size_t left_out[STREAMS_MAX];

static struct half *half(struct account *a, int side, int32_t stream)
{
	int32_t n = (stream - 1) / 2;
	assert_in_range(n, 0, STREAMS_MAX - 1);
	return &a->sides[side][n];
}

static void digest(struct half *h, const uint8_t *at, size_t len)
{
	h->len += len;
	for (size_t i = 0; i < len; i++)
		h->digest = (h->digest ^ at[i]) * 1099511628211u;
}

/* ---- the peers ---------------------------------------------------------------------------------- */

static ssize_t read_body(nghttp2_session *s, int32_t stream, uint8_t *buf, size_t room,
			 uint32_t *flags, nghttp2_data_source *source, void *user)
{
	size_t *rest = source->ptr, n = 1 + (size_t)rand() % 3000;
	(void)s, (void)stream, (void)user;
	n = n < *rest ? n : *rest;
	n = n < room ? n : room;
	for (size_t i = 0; i < n; i++)
		buf[i] = (uint8_t)rand();
	*rest -= n;
	if (!*rest)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static ssize_t pad(nghttp2_session *s, const nghttp2_frame *frame, size_t max, void *user)
{
	(void)s, (void)user;
	size_t n = frame->hd.length + (rand() % 4 ? 0 : (size_t)rand() % 256);
	return (ssize_t)(n < max ? n : max);
}

/* `user` is the side whose frames are received. */
static int side_of(void *user)
{
	return *(int *)user;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *user)
{
	struct half *h = half(&told, side_of(user), frame->hd.stream_id);
	(void)s, (void)flags;
	if (name_len == 5 && memcmp(name, ":path", 5) == 0) {
		snprintf(h->path, sizeof(h->path), "%.*s", (int)len, (const char *)value);
		h->heads++;
	} else if (name_len == 7 && memcmp(name, ":status", 7) == 0) {
		h->status = (unsigned)strtoul((const char *)value, NULL, 10);
		h->heads++;
	}
	return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *at, size_t len,
		   void *user)
{
	(void)s, (void)flags;
	digest(half(&told, side_of(user), stream), at, len);
	return 0;
}

static void respond(nghttp2_session *s, int32_t stream)
{
	static uint8_t status[3][4] = {"200", "404", "503"};
	nghttp2_nv nv[] = {
		{(uint8_t *)":status", status[rand() % 3], 7, 3, 0},
		{(uint8_t *)"content-type", (uint8_t *)"text/event-stream", 12, 17, 0},
	};
	nghttp2_data_provider body = {.source.ptr = &left_out[(stream - 1) / 2],
				      .read_callback = read_body};
	left_out[(stream - 1) / 2] = (size_t)rand() % 20000;
	nghttp2_submit_response(s, stream, nv, 2, rand() % 5 ? &body : NULL);
	if (rand() % 10 == 0)
		nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, stream, NGHTTP2_INTERNAL_ERROR);
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *user)
{
	int side = side_of(user);
	if (!frame->hd.stream_id)
		return 0;
	struct half *h = half(&told, side, frame->hd.stream_id);
	bool carries = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
	if (carries && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		h->ended = true;
	if (frame->hd.type == NGHTTP2_RST_STREAM)
		h->resets++;
	if (side == 0 && frame->hd.type == NGHTTP2_HEADERS &&
	    frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		respond(s, frame->hd.stream_id);
	return 0;
}

static int sides[2] = {0, 1};

static void begin_peers(void)
{
	nghttp2_session_callbacks *c;
	assert_int_equal(nghttp2_session_callbacks_new(&c), 0);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
	nghttp2_session_callbacks_set_select_padding_callback(c, pad);
	assert_int_equal(nghttp2_session_server_new(&server, c, &sides[0]), 0);
	assert_int_equal(nghttp2_session_client_new(&client, c, &sides[1]), 0);
	nghttp2_session_callbacks_del(c);
	nghttp2_settings_entry tables[] = {
		{NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, (uint32_t)rand() % 8192},
		{NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 16384 + (uint32_t)rand() % 100000},
	};
	nghttp2_submit_settings(server, NGHTTP2_FLAG_NONE, tables, 2);
	tables[0].value = (uint32_t)rand() % 8192;
	nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, tables, 2);
}

static void ask(void)
{
	char path[64], agent[3000];
	snprintf(path, sizeof(path), "/v1/%d/chat", rand());
	memset(agent, 'a' + rand() % 26, sizeof(agent));
	nghttp2_nv nv[] = {
		{(uint8_t *)":method", (uint8_t *)"POST", 7, 4, 0},
		{(uint8_t *)":scheme", (uint8_t *)"http", 7, 4, 0},
		{(uint8_t *)":authority", (uint8_t *)"a", 10, 1, 0},
		{(uint8_t *)":path", (uint8_t *)path, 5, strlen(path), 0},
		{(uint8_t *)"user-agent", (uint8_t *)agent, 10, (size_t)rand() % sizeof(agent), 0},
	};
	int32_t next = (int32_t)nghttp2_session_get_next_stream_id(client);
	nghttp2_data_provider body = {.source.ptr = &left[(next - 1) / 2],
				      .read_callback = read_body};
	left[(next - 1) / 2] = (size_t)rand() % 10000;
	int32_t stream =
		nghttp2_submit_request(client, NULL, nv, 5, rand() % 5 ? &body : NULL, NULL);
	assert_int_equal(stream, next);
	if (rand() % 12 == 0)
		nghttp2_submit_rst_stream(client, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
}

/* ---- who watches -------------------------------------------------------------------------------- */

static void see(int side, const struct h2_event *ev)
{
	if (ev->type == H2_AWAY)
		return;
	struct half *h = half(&seen, side, (int32_t)ev->stream);
	switch (ev->type) {
	case H2_HEAD:
		h->heads++;
		h->status = ev->head.status;
		span_copy(ev->head.path, h->path, sizeof(h->path));
		break;
	case H2_BODY:
		digest(h, ev->body.at, ev->body.len);
		break;
	case H2_END:
		h->ended = true;
		break;
	case H2_RESET:
		h->resets++;
		break;
	case H2_AWAY:
		break;
	}
}

static void overhear(int side, struct span bytes)
{
	struct h2_event ev;
	while (bytes.len) {
		size_t n = 1 + (size_t)rand() % 2000;
		struct span piece = span_take(&bytes, n < bytes.len ? n : bytes.len);
		enum step step;
		while ((step = h2_next(watch[side], &piece, 1, &ev)) == STEP_EVENT)
			see(side, &ev);
		assert_int_equal(step, STEP_MORE);
	}
}

/* What a peer has to say, to the other one and to us. False: nothing. */
static bool carry(nghttp2_session *from, nghttp2_session *to, int side)
{
	const uint8_t *data;
	ssize_t n = nghttp2_session_mem_send(from, &data);
	assert_true(n >= 0);
	if (n) {
		overhear(side, span_of(data, (size_t)n));
		assert_int_equal(nghttp2_session_mem_recv(to, data, (size_t)n), n);
	}
	return n > 0;
}

static void converse(void)
{
	told = seen = (struct account){0};
	watch[0] = h2_new(H2_REQUESTS);
	watch[1] = h2_new(H2_RESPONSES);
	begin_peers();
	int asked = 0, to_ask = 1 + rand() % STREAMS_MAX;
	bool more = true;
	while (more || asked < to_ask) {
		for (int n = rand() % 4; n && asked < to_ask; n--, asked++)
			ask();
		more = carry(client, server, 0);
		more |= carry(server, client, 1);
	}
	nghttp2_session_del(client);
	nghttp2_session_del(server);
	h2_free(watch[0]);
	h2_free(watch[1]);
}

static void test_peers(void **state)
{
	(void)state;
	size_t streams = 0, resets = 0, ends = 0;
	srand(7);
	for (int n = 0; n < CONVERSATIONS; n++) {
		converse();
		for (int side = 0; side < 2; side++) {
			for (int i = 0; i < STREAMS_MAX; i++) {
				const struct half *t = &told.sides[side][i],
						  *s = &seen.sides[side][i];
				/* A peer that has reset a stream is told no more of it. */
				if (told.sides[!side][i].resets)
					continue;
				assert_int_equal(s->heads, t->heads);
				assert_string_equal(s->path, t->path);
				assert_int_equal(s->status, t->status);
				assert_int_equal(s->len, t->len);
				assert_int_equal(s->digest, t->digest);
				assert_int_equal(s->ended, t->ended);
				assert_int_equal(s->resets, t->resets);
				streams += t->heads;
				resets += t->resets;
				ends += t->ended;
			}
		}
	}
	print_message("%zu heads, %zu ends, %zu resets\n", streams, ends, resets);
	assert_true(streams > 10000 && resets > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_peers)};
	return cmocka_run_group_tests_name("http/h2_peers", tests, NULL, NULL);
}
