/*
 * Every folder of tests/cases/call: `in` is what happens on a server's connections, `want` a line of
 * JSON for each call, in the order in which they end. A case runs whole, byte by byte and cut in two at
 * every place, its pieces ending against an unmapped page: always with the same calls.
 *
 * Then each of its pieces is left out in turn, as if a ring had been full. A call may be lost by that,
 * or be incomplete; none may be made up or get a wrong word; and the calls of a client that goes on with
 * the connection are there again, from the second on.
 *
 * CASES_PRINT=1 prints the calls; CASES_ONLY=NAME runs one case.
 */
#include "tests/unit/call/book.h"
#include "tests/unit/pieces.h"

#include <glob.h>

/* A case that is longer than this is not cut at every place, but at about so many. */
#define SPLITS_MAX 20000

#define PROBE_MS 100000

static struct call_case now;
static struct book whole, other;

struct run {
	struct session *session;
	struct server *server;
	struct call_sink sink;
	uint64_t hole[2]; /* bytes left out by direction, not told yet */
};

static void on_bad_entry(void *user, const char *entry, const char *why)
{
	(void)user, (void)entry, (void)why;
}

static void run_begin(struct run *r, struct book *b)
{
	*r = (struct run){.sink = book_sink(b)};
	r->server = server_new(now.program, span_of(now.arguments, now.arguments_len),
			       now.provider[0] ? now.provider : NULL, &r->sink);
	server_set_endpoints(r->server, now.endpoints, on_bad_entry, NULL);
	r->session = session_new(r->server);
	assert_non_null(r->session);
}

static void run_end(struct run *r, struct book *b)
{
	session_free(r->session);
	server_free(r->server);
	assert_int_equal(b->started, b->count);
	assert_true(b->first_tokens <= b->count);
}

/* A ring's reader sees by the next offset that bytes are missing. */
static void tell_hole(struct run *r, enum session_direction d, uint64_t time_ns)
{
	if (r->hole[d])
		session_gap(r->session, d, r->hole[d], time_ns);
	r->hole[d] = 0;
}

static void put(struct run *r, const struct case_event *e, struct span piece)
{
	if (piece.len && e->direction == SESSION_OUT && r->hole[SESSION_IN])
		session_lost_in(r->session);
	if (piece.len)
		session_bytes(r->session, e->direction, piece_at_edge(piece), e->time_ns);
}

static void close_connection(struct run *r, enum session_end how, uint64_t time_ns)
{
	tell_hole(r, SESSION_OUT, time_ns);
	r->hole[SESSION_IN] = 0;
	session_close(r->session, how, time_ns);
}

static void play(struct run *r, const struct case_event *e)
{
	switch (e->kind) {
	case CASE_BYTES:
		tell_hole(r, e->direction, e->time_ns);
		put(r, e, span_of(e->bytes, e->len));
		break;
	case CASE_GAP:
		tell_hole(r, e->direction, e->time_ns);
		session_gap(r->session, e->direction, e->number, e->time_ns);
		break;
	case CASE_MISSING:
		session_lost_in(r->session);
		break;
	case CASE_EOF:
		tell_hole(r, SESSION_IN, e->time_ns);
		session_eof(r->session, e->time_ns);
		break;
	case CASE_SHUT:
		session_shut(r->session, e->time_ns);
		break;
	case CASE_FAIL:
		tell_hole(r, SESSION_OUT, e->time_ns);
		session_fail(r->session, (int)e->number, e->time_ns);
		break;
	case CASE_CLOSE:
		close_connection(r, (enum session_end)e->number, e->time_ns);
		break;
	case CASE_OPEN:
		session_free(r->session);
		r->session = session_new(r->server);
		break;
	}
}

/* ---- whole and in pieces ------------------------------------------------------------------------ */

/* After a gap a message is known by the start of its piece: that much of a piece stays whole then. */
static size_t least_piece(void)
{
	for (size_t i = 0; i < now.count; i++) {
		if (now.events[i].kind == CASE_GAP)
			return 16;
	}
	return 1;
}

static void put_bytewise(struct run *r, const struct case_event *e, size_t first)
{
	struct span rest = span_of(e->bytes, e->len);
	put(r, e, span_take(&rest, first < rest.len ? first : rest.len));
	while (rest.len)
		put(r, e, span_take(&rest, 1));
}

/* Cut at byte `at` of all bytes; or, with `single`, everywhere. */
static void run_cut(struct book *b, size_t at, bool single)
{
	struct run r;
	size_t least = least_piece();
	run_begin(&r, b);
	for (size_t i = 0; i < now.count; i++) {
		const struct case_event *e = &now.events[i];
		size_t len = e->kind == CASE_BYTES ? e->len : 0;
		if (single && len) {
			put_bytewise(&r, e, least);
		} else if (at >= least && at < len) {
			put(&r, e, span_of(e->bytes, at));
			put(&r, e, span_of(e->bytes + at, len - at));
		} else {
			play(&r, e);
		}
		at = at < len ? 0 : at - len;
	}
	run_end(&r, b);
}

static void assert_same_calls(const char *how, size_t at)
{
	bool same = whole.count == other.count;
	for (size_t i = 0; same && i < whole.count; i++) {
		json_t *a = book_json(&whole.calls[i], whole.was_lost[i]);
		json_t *b = book_json(&other.calls[i], other.was_lost[i]);
		same = json_equal(a, b);
		if (!same)
			print_error("%s\n%s\n", json_dumps(a, 0), json_dumps(b, 0));
		json_decref(a);
		json_decref(b);
	}
	if (!same)
		fail_msg("%zu calls, not %zu: %s %zu", other.count, whole.count, how, at);
}

static size_t bytes_in_all(void)
{
	size_t n = 0;
	for (size_t i = 0; i < now.count; i++)
		n += now.events[i].kind == CASE_BYTES ? now.events[i].len : 0;
	return n;
}

static void check_pieces(void)
{
	size_t len = bytes_in_all(), step = len / SPLITS_MAX + 1;
	run_cut(&other, 0, true);
	assert_same_calls("byte by byte", 0);
	for (size_t at = 1; at < len; at += step) {
		run_cut(&other, at, false);
		assert_same_calls("cut at", at);
	}
}

static void check_wanted(const char *folder)
{
	char path[512], line[4096];
	size_t n = 0;
	snprintf(path, sizeof(path), "%s/want", folder);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		json_t *want = json_loads(line, 0, NULL);
		assert_non_null(want);
		if (n >= whole.count)
			fail_msg("missing: %s", line);
		json_t *got = book_json(&whole.calls[n], whole.was_lost[n]);
		if (!json_equal(want, got))
			fail_msg("call %zu\nwant %sgot  %s", n, line, json_dumps(got, 0));
		json_decref(want);
		json_decref(got);
		n++;
	}
	fclose(f);
	if (n < whole.count)
		fail_msg("%zu calls, not %zu", whole.count, n);
}

/* ---- with bytes lost ---------------------------------------------------------------------------- */

static void probe(struct run *r, unsigned n)
{
	static char in[] = "POST /v1/completions HTTP/1.1\r\ncontent-length: 14\r\n\r\n"
			   "{\"model\":\"zz\"}";
	static char out[] = "HTTP/1.1 200 OK\r\ncontent-length: 34\r\n\r\n"
			    "{\"usage\":{\"completion_tokens\":77}}";
	struct case_event e = {.kind = CASE_BYTES, .bytes = (uint8_t *)in, .len = sizeof(in) - 1};
	e.time_ns = CASE_EPOCH + (PROBE_MS + 10 * n) * 1000000ull;
	play(r, &e);
	e = (struct case_event){.kind = CASE_BYTES,
				.direction = SESSION_OUT,
				.bytes = (uint8_t *)out,
				.len = sizeof(out) - 1,
				.time_ns = e.time_ns + 1000000};
	play(r, &e);
}

static bool is_probe(const struct call *c)
{
	return c->arrived_ns >= CASE_EPOCH + PROBE_MS * 1000000ull;
}

/* A word of a call is what it would have been, or it is not known. */
static bool same_word(const char *got, const char *want)
{
	return strcmp(got, want) == 0 || strcmp(got, "unknown") == 0;
}

/* Whether `got`, of a run with bytes missing, tells nothing that `was` does not tell. */
static bool is_same_call(const struct call *got, bool lost, const struct call *was)
{
	/* What an engine that ignores the request's model serves may not have been learned. */
	bool ignores = strcmp(got->started.provider, "llama.cpp") == 0 ||
		       strcmp(got->started.model, "tgi") == 0;
	if (got->arrived_ns != was->arrived_ns || strcmp(got->path, was->path) != 0 ||
	    !(ignores || same_word(got->started.model, was->started.model)))
		return false;
	if (lost)
		return true;
	if (!(ignores || same_word(got->labels.model, was->labels.model)) ||
	    !same_word(got->labels.provider, was->labels.provider) ||
	    got->http_status != was->http_status || got->labels.stream != was->labels.stream ||
	    got->ended_ns != was->ended_ns)
		return false;
	if (got->first_token_ns && got->first_token_ns != was->first_token_ns)
		return false;
	return got->incomplete ||
	       (got->error == was->error && got->received_ns == was->received_ns &&
		got->request_bytes == was->request_bytes &&
		got->response_bytes == was->response_bytes &&
		got->first_token_ns == was->first_token_ns &&
		got->last_token_ns == was->last_token_ns &&
		got->output_tokens == was->output_tokens && got->token_source == was->token_source);
}

static bool is_made_up(const struct call *c, bool lost)
{
	for (size_t i = 0; i < whole.count; i++) {
		if (is_same_call(c, lost, &whole.calls[i]))
			return false;
	}
	return true;
}

#define NOTHING SIZE_MAX

/* How many of the further calls were seen; the others are held against the whole run. */
static unsigned count_probes(size_t dropped)
{
	unsigned seen = 0;
	for (size_t i = 0; i < other.count; i++) {
		const struct call *c = &other.calls[i];
		if (!is_probe(c)) {
			if (is_made_up(c, other.was_lost[i]))
				fail_msg("a call was made up without piece %zu: %s", dropped,
					 json_dumps(book_json(c, other.was_lost[i]), 0));
		} else if (!other.was_lost[i]) {
			seen++;
			assert_true(strcmp(c->labels.model, "zz") == 0 ||
				    strcmp(c->labels.provider, "llama.cpp") == 0);
			assert_int_equal(c->output_tokens, 77);
			assert_false(c->incomplete);
		}
	}
	return seen;
}

/* The case without one of its pieces. With `on` the client goes on where the case would end, with three
 * calls more. */
static void run_without(size_t dropped, bool on)
{
	struct run r;
	run_begin(&r, &other);
	for (size_t i = 0; i < now.count; i++) {
		const struct case_event *e = &now.events[i];
		if (i == dropped)
			r.hole[e->direction] += e->len;
		else if (e->kind != CASE_CLOSE || !on || i + 1 < now.count)
			play(&r, e);
	}
	for (unsigned n = 0; on && n < 3; n++)
		probe(&r, n);
	run_end(&r, &other);
}

/* Whether the connection can be used further where the case ends. */
static bool goes_on(void)
{
	run_without(NOTHING, true);
	size_t n = whole.count;
	if (other.count != n + 3)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (other.was_lost[i] || is_made_up(&other.calls[i], false))
			return false;
	}
	return count_probes(NOTHING) == 3;
}

static void check_losses(void)
{
	bool on = !now.pipelines && goes_on();
	for (size_t i = 0; i < now.count && !now.lossless; i++) {
		if (now.events[i].kind != CASE_BYTES)
			continue;
		run_without(i, on);
		unsigned seen = count_probes(i);
		if (on && seen < 2)
			fail_msg("%u of 3 calls after the loss of piece %zu", seen, i);
	}
}

/* ---- the folders -------------------------------------------------------------------------------- */

static void print_calls(void)
{
	for (size_t i = 0; i < whole.count; i++) {
		json_t *o = book_json(&whole.calls[i], whole.was_lost[i]);
		char *text = json_dumps(o, 0);
		print_message("%s\n", text);
		free(text);
		json_decref(o);
	}
}

static void run_case(void **state)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/in", (const char *)*state);
	case_read(&now, path);
	run_cut(&whole, 0, false);
	if (getenv("CASES_PRINT")) {
		print_calls();
	} else {
		check_wanted(*state);
		check_pieces();
		check_losses();
	}
	case_release(&now);
}

int main(void)
{
	glob_t g;
	const char *only = getenv("CASES_ONLY");
	char pattern[256];
	snprintf(pattern, sizeof(pattern), "tests/cases/call/%s", only ? only : "*");
	if (glob(pattern, 0, NULL, &g) != 0)
		return 1; /* not run from the repository's root */
	struct CMUnitTest *tests = calloc(g.gl_pathc, sizeof(*tests));
	if (!tests)
		return 1;
	for (size_t i = 0; i < g.gl_pathc; i++)
		tests[i] = (struct CMUnitTest){g.gl_pathv[i], run_case, NULL, NULL, g.gl_pathv[i]};
	int failed = _cmocka_run_group_tests("call cases", tests, g.gl_pathc, NULL, NULL);
	free(tests);
	globfree(&g);
	return failed;
}
