/*
 * Clients that talk on one connection while pieces of what they say, or of what they are told, are lost
 * at random. Every call has its own model, status and number of tokens: a response that is taken for
 * another's shows. Of a client that waits for its responses every call is there from the turn on after
 * the one in which the last loss shows; one that does not is not followed any further.
 *
 * Anything may be lost; but of a client that sends several requests at once only one piece, or nothing
 * of its first turn: nobody can tell that it does so when what would tell is lost.
 */
#include "tests/unit/call/book.h"

#define CALLS 24
#define RUNS  6000

struct talk {
	struct session *session;
	struct server *server;
	struct book *book;
	uint64_t now_ns, hole[2];
	uint64_t arrived_ns[CALLS]; /* of the piece with the call's head */
	unsigned first_seed, seed, drop_percent;
	unsigned drops_left;
	unsigned whole_from; /* turns from this one on lost nothing, and knew so */
	bool lossy_turn;
};

static unsigned below(struct talk *t, unsigned n)
{
	return (unsigned)rand_r(&t->seed) / 7 % n;
}

static bool is_dropped(struct talk *t)
{
	if (!t->drops_left || below(t, 100) >= t->drop_percent)
		return false;
	t->drops_left--;
	t->lossy_turn = true;
	return true;
}

static void put(struct talk *t, enum session_direction d, struct span piece)
{
	t->now_ns += 1000000;
	if (is_dropped(t)) {
		t->hole[d] += piece.len;
		return;
	}
	if (t->hole[d])
		session_gap(t->session, d, t->hole[d], t->now_ns);
	t->hole[d] = 0;
	session_bytes(t->session, d, piece, t->now_ns);
}

/* The head whole; what follows it cut anywhere. */
static void put_message(struct talk *t, enum session_direction d, const char *text)
{
	struct span rest = span_str(text);
	const char *body = strstr(text, "\r\n\r\n") + 4;
	size_t len = (size_t)(body - text) + below(t, (unsigned)strlen(body) + 1);
	while (rest.len) {
		put(t, d, span_take(&rest, len));
		len = rest.len ? 1 + below(t, (unsigned)rest.len) : 0;
	}
}

static void request(struct talk *t, unsigned id)
{
	char body[64], text[256];
	snprintf(body, sizeof(body), "{\"prompt\":\"some words\",\"model\":\"m%u\"}", id);
	if (id % 4 == 3)
		snprintf(text, sizeof(text),
			 "POST /v1/completions HTTP/1.1\r\ntransfer-encoding: "
			 "chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n",
			 strlen(body), body);
	else
		snprintf(text, sizeof(text),
			 "POST /v1/completions HTTP/1.1\r\ncontent-length: %zu\r\n\r\n%s",
			 strlen(body), body);
	t->arrived_ns[id] = t->now_ns + 1000000;
	put_message(t, SESSION_IN, text);
}

static unsigned status_of(unsigned id)
{
	return id % 5 == 2 ? 404 : id % 5 == 4 ? 500 : 200;
}

static bool is_stream(unsigned id)
{
	return id % 3 == 0 && status_of(id) == 200;
}

static void response(struct talk *t, unsigned id)
{
	char body[128], text[512];
	const char *interim = id % 7 == 1 ? "HTTP/1.1 103 Early Hints\r\n\r\n" : "";
	snprintf(body, sizeof(body), "{\"usage\":{\"completion_tokens\":%u}}", id + 1);
	if (is_stream(id))
		snprintf(text, sizeof(text),
			 "%sHTTP/1.1 200 OK\r\ncontent-type: "
			 "text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
			 "22\r\ndata: {\"choices\":[{\"text\":\"x\"}]}\n\n\r\n"
			 "%zx\r\ndata: %s\n\n\r\n0\r\n\r\n",
			 interim, strlen(body) + 8, body);
	else
		snprintf(text, sizeof(text), "%sHTTP/1.1 %u X\r\ncontent-length: %zu\r\n\r\n%s",
			 interim, status_of(id), strlen(body), body);
	put_message(t, SESSION_OUT, text);
}

static unsigned id_of(const struct talk *t, const struct call *c)
{
	for (unsigned id = 0; id < CALLS; id++) {
		if (t->arrived_ns[id] == c->arrived_ns)
			return id;
	}
	fail_msg("a call that was never made");
	return 0;
}

static void check_call(const struct call *c, unsigned id)
{
	char model[16];
	snprintf(model, sizeof(model), "m%u", id);
	assert_int_equal(c->http_status, status_of(id));
	assert_int_equal(c->labels.stream, is_stream(id));
	assert_int_equal(c->error != CALL_OK, status_of(id) != 200);
	if (strcmp(c->labels.model, "unknown") != 0)
		assert_string_equal(c->labels.model, model);
	if (c->has_output_tokens)
		assert_int_equal(c->output_tokens, id + 1);
	else
		assert_true(c->incomplete);
}

/* What a lost call had seen of a response is of its own. */
static void check_lost(const struct call *c, unsigned id)
{
	if (!c->http_status)
		return;
	assert_int_equal(c->http_status, status_of(id));
	assert_int_equal(c->labels.stream, is_stream(id));
}

static void check(const struct talk *t, unsigned turn_calls)
{
	bool seen[CALLS] = {false};
	for (size_t i = 0; i < t->book->count; i++) {
		const struct call *c = &t->book->calls[i];
		unsigned id = id_of(t, c);
		if (t->book->was_lost[i]) {
			check_lost(c, id);
			continue;
		}
		assert_false(seen[id]);
		check_call(c, id);
		seen[id] = !c->incomplete;
	}
	bool given_up = turn_calls > 1 && t->whole_from;
	for (unsigned id = t->whole_from * turn_calls; id < CALLS && !given_up; id++) {
		if (!seen[id])
			fail_msg("seed %u: call %u is not seen, all is known from turn %u on",
				 t->first_seed, id, t->whole_from);
	}
}

/* Turns of `n` requests and then their responses; pieces are lost from one turn on. */
static void converse(unsigned seed, unsigned n, unsigned drops, unsigned from)
{
	static struct book book;
	struct call_sink sink = book_sink(&book);
	struct talk t = {.book = &book,
			 .now_ns = CASE_EPOCH,
			 .seed = seed,
			 .first_seed = seed,
			 .drops_left = 0};
	t.drop_percent = drops > 1 ? 1 + below(&t, 40) : 10;
	t.server = server_new("vllm", span_of(NULL, 0), NULL, &sink);
	t.session = session_new(t.server);
	for (unsigned turn = 0; turn < CALLS / n; turn++) {
		t.lossy_turn = false;
		if (turn == from)
			t.drops_left = drops;
		if ((turn + 4) * n > CALLS)
			t.drops_left = 0;
		for (unsigned id = turn * n; id < (turn + 1) * n; id++)
			request(&t, id);
		for (unsigned id = turn * n; id < (turn + 1) * n; id++)
			response(&t, id);
		if (t.lossy_turn)
			t.whole_from = turn + 1 + (t.hole[SESSION_OUT] != 0);
	}
	session_free(t.session);
	server_free(t.server);
	assert_int_equal(book.started, book.count);
	check(&t, n);
}

static void test_client_that_waits(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= RUNS; seed++)
		converse(seed, 1, 1000, 0);
}

static void test_requests_at_once(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= RUNS; seed++)
		converse(seed, 2 + seed % 3, 1, 0);
}

static void test_anything_lost_of_requests_at_once(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= RUNS; seed++)
		converse(seed, 2 + seed % 3, 1000, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_that_waits),
		cmocka_unit_test(test_requests_at_once),
		cmocka_unit_test(test_anything_lost_of_requests_at_once),
	};
	return cmocka_run_group_tests_name("call/losses", tests, NULL, NULL);
}
