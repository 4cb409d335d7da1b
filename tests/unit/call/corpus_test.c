/*
 * Recorded exchanges of chat and completions with hosted services (corpora/README.md), told to a session
 * in pieces of random size, beside what jansson reads out of the whole documents.
 */
#include "tests/unit/call/book.h"

#include <zlib.h>

#define BODY_MAX (1u << 22)

struct recording {
	const char *path, *type;
	uint8_t *request, *response;
	size_t request_len, response_len;
	int status;
};

/* What the whole documents say. */
struct truth {
	uint64_t events, output;
	bool counted, failed;
	char finish[LIMIT_FINISH_BYTES];
	size_t first_end, last_end; /* behind the blank line of the first and last content event */
};

static uint8_t request_room[BODY_MAX], response_room[BODY_MAX], coded_room[BODY_MAX];
static size_t streams, documents, refused;

static size_t base64(const char *text, uint8_t *to)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = 0;
	uint32_t bits = 0, count = 0;
	for (; *text && *text != '='; text++) {
		const char *digit = strchr(digits, *text);
		assert_non_null(digit);
		bits = bits << 6 | (uint32_t)(digit - digits);
		count += 6;
		if (count >= 8) {
			assert_true(n < BODY_MAX);
			count -= 8;
			to[n++] = (uint8_t)(bits >> count);
		}
	}
	return n;
}

/* gzip and deflate; false for other codings. */
static bool decode(const char *coding, struct recording *rec)
{
	z_stream z = {0};
	if (!coding)
		return true;
	if (strcmp(coding, "gzip") != 0 && strcmp(coding, "deflate") != 0)
		return false;
	memcpy(coded_room, rec->response, rec->response_len);
	assert_int_equal(inflateInit2(&z, 15 + 32), Z_OK);
	z.next_in = coded_room;
	z.avail_in = (uInt)rec->response_len;
	z.next_out = response_room;
	z.avail_out = BODY_MAX;
	int end = inflate(&z, Z_FINISH);
	rec->response_len = z.total_out;
	inflateEnd(&z);
	return end == Z_STREAM_END;
}

static const char *member(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

/* ---- the truth ---------------------------------------------------------------------------------- */

static bool has_text(const json_t *o, const char *name)
{
	const char *text = member(o, name);
	return text && *text;
}

static bool is_content(const json_t *choice)
{
	const json_t *delta = json_object_get(choice, "delta");
	return has_text(choice, "text") || has_text(delta, "content") ||
	       has_text(delta, "refusal") || has_text(delta, "reasoning") ||
	       has_text(delta, "reasoning_content") ||
	       json_array_size(json_object_get(delta, "tool_calls")) ||
	       json_object_size(json_object_get(delta, "function_call"));
}

static void learn(struct truth *t, const json_t *document, size_t end)
{
	const json_t *choices = json_object_get(document, "choices"), *error, *usage;
	bool content = false;
	for (size_t i = 0; i < json_array_size(choices); i++) {
		const json_t *choice = json_array_get(choices, i);
		content |= is_content(choice);
		if (member(choice, "finish_reason"))
			snprintf(t->finish, sizeof(t->finish), "%s",
				 member(choice, "finish_reason"));
	}
	if (content) {
		t->events++;
		t->first_end = t->first_end ? t->first_end : end;
		t->last_end = end;
	}
	error = json_object_get(document, "error");
	t->failed |= json_is_object(error) || json_is_string(error);
	usage = json_object_get(json_object_get(document, "usage"), "completion_tokens");
	if (json_integer_value(usage) > 0) {
		t->counted = true;
		t->output = (uint64_t)json_integer_value(usage);
	}
}

/* Every event of these services is one line of data and a blank one. */
static void read_stream(struct truth *t, const struct recording *rec)
{
	const char *at = (const char *)rec->response, *end = at + rec->response_len;
	while (at < end) {
		const char *blank = memmem(at, (size_t)(end - at), "\n\n", 2);
		const char *next = blank ? blank + 2 : end;
		if (strncmp(at, "data: {", 7) == 0) {
			json_t *o = json_loadb(at + 6, (size_t)((blank ? blank : end) - at) - 6, 0,
					       NULL);
			assert_non_null(o);
			learn(t, o, (size_t)(next - (const char *)rec->response));
			json_decref(o);
		}
		at = next;
	}
}

static bool is_stream(const struct recording *rec)
{
	return strncmp(rec->type, "text/event-stream", 17) == 0;
}

static struct truth truth_of(const struct recording *rec)
{
	struct truth t = {0};
	if (is_stream(rec)) {
		read_stream(&t, rec);
	} else {
		json_t *o = json_loadb((const char *)rec->response, rec->response_len, 0, NULL);
		learn(&t, o, 0);
		t.events = 0;
		json_decref(o);
	}
	return t;
}

/* ---- the session -------------------------------------------------------------------------------- */

static uint64_t at_ms(size_t piece)
{
	return CASE_EPOCH + (10 + piece) * 1000000ull;
}

static void told(struct session *s, enum session_direction d, uint64_t time_ns, const char *format,
		 ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	assert_in_range(n, 1, sizeof(text) - 1);
	session_bytes(s, d, span_of(text, (size_t)n), time_ns);
}

/* Gives the times of the pieces in which two places of the response were written. */
static void converse(struct session *s, const struct recording *rec, const struct truth *t,
		     uint64_t *first_ns, uint64_t *last_ns)
{
	struct span rest = span_of(rec->response, rec->response_len);
	size_t done = 0;
	*first_ns = *last_ns = 0;
	told(s, SESSION_IN, CASE_EPOCH, "POST %s HTTP/1.1\r\ncontent-length: %zu\r\n\r\n",
	     rec->path, rec->request_len);
	session_bytes(s, SESSION_IN, span_of(rec->request, rec->request_len), CASE_EPOCH);
	told(s, SESSION_OUT, at_ms(0),
	     "HTTP/1.1 %d X\r\ncontent-type: %s\r\ntransfer-encoding: chunked\r\n\r\n", rec->status,
	     rec->type);
	for (size_t n = 1; rest.len; n++) {
		size_t len = 1 + (size_t)rand() % 700;
		struct span piece = span_take(&rest, len < rest.len ? len : rest.len);
		told(s, SESSION_OUT, at_ms(n), "%zx\r\n", piece.len);
		session_bytes(s, SESSION_OUT, piece, at_ms(n));
		told(s, SESSION_OUT, at_ms(n), "\r\n");
		if (done < t->first_end && t->first_end <= done + piece.len)
			*first_ns = at_ms(n);
		if (done < t->last_end && t->last_end <= done + piece.len)
			*last_ns = at_ms(n);
		done += piece.len;
	}
	told(s, SESSION_OUT, at_ms(100000), "0\r\n\r\n");
}

static void assert_asked_model(const struct recording *rec, const struct call *c)
{
	json_t *o = json_loadb((const char *)rec->request, rec->request_len, 0, NULL);
	const char *asked = member(o, "model");
	if (asked && rec->status < 300)
		assert_string_equal(c->labels.model, asked);
	json_decref(o);
}

static void check(const struct recording *rec)
{
	static struct book book;
	struct call_sink sink = book_sink(&book);
	struct server *server = server_new("x", span_of(NULL, 0), NULL);
	struct session *s = session_new(server, &sink);
	struct truth t = truth_of(rec);
	uint64_t first_ns, last_ns;
	converse(s, rec, &t, &first_ns, &last_ns);
	session_free(s);
	server_free(server);
	assert_int_equal(book.count, 1);
	const struct call *c = &book.calls[0];
	assert_int_equal(c->http_status, rec->status);
	assert_int_equal(c->labels.stream, is_stream(rec));
	assert_int_equal(c->error != CALL_OK, rec->status >= 400 || t.failed);
	assert_int_equal(c->events, t.events);
	assert_int_equal(c->response_bytes, rec->response_len);
	assert_string_equal(c->finish_reason, t.finish);
	assert_asked_model(rec, c);
	if (t.counted) {
		assert_int_equal(c->token_source, CALL_TOKENS_USAGE);
		assert_int_equal(c->output_tokens, t.output);
	} else if (t.events) {
		assert_int_equal(c->token_source, CALL_TOKENS_EVENTS);
		assert_int_equal(c->output_tokens, t.events);
	}
	if (is_stream(rec)) {
		assert_int_equal(c->first_token_ns, first_ns);
		assert_int_equal(c->last_token_ns, last_ns);
	}
	streams += is_stream(rec);
	documents += !is_stream(rec);
	refused += rec->status >= 400;
}

static bool ends_in(const char *path, const char *end)
{
	size_t n = strcspn(path, "?"), m = strlen(end);
	return n >= m && strncmp(path + n - m, end, m) == 0;
}

static void take_line(const char *line)
{
	json_t *o = json_loads(line, 0, NULL);
	const json_t *headers = json_object_get(o, "headers");
	struct recording rec = {.path = member(o, "path"),
				.type = member(headers, "content-type"),
				.request = request_room,
				.response = response_room,
				.status = (int)json_integer_value(json_object_get(o, "status"))};
	assert_non_null(o);
	if (ends_in(rec.path, "/completions") && rec.type) {
		rec.request_len = base64(member(o, "request"), request_room);
		rec.response_len = base64(member(o, "response"), response_room);
		if (rec.response_len && decode(member(headers, "content-encoding"), &rec))
			check(&rec);
	}
	json_decref(o);
}

static void test_recordings(void **state)
{
	(void)state;
	static char path[512], line[BODY_MAX];
	const char *corpora = getenv("INFERWIRE_CORPORA");
	snprintf(path, sizeof(path), "%s/openllmetry.jsonl.gz",
		 corpora ? corpora : "../shared/corpora");
	gzFile f = gzopen(path, "r");
	if (!f) {
		print_message("skip call/corpus: no %s\n", path);
		skip();
	}
	srand(1);
	while (gzgets(f, line, sizeof(line)))
		take_line(line);
	gzclose(f);
	print_message("%zu streams, %zu documents, %zu of them refusals\n", streams, documents,
		      refused);
	assert_true(streams > 50 && documents > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_recordings)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
