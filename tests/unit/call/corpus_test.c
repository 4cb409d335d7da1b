/*
 * Recorded exchanges with hosted services and Ollama (corpora/README.md), told to a session in pieces of
 * random size, beside what jansson reads out of the whole documents.
 */
#include "tests/unit/call/book.h"
#include "tests/unit/call/conversation.h"

#include <zlib.h>

#define BODY_MAX (1u << 22)

struct recording {
	const char *path, *type;
	uint8_t *request, *response;
	size_t request_len, response_len;
	int status;
	size_t kind;
};

/* What the whole documents say. */
struct truth {
	uint64_t events, output, input;
	bool counted, engine, failed;
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

static const json_t *at(const json_t *o, const char *path)
{
	char key[64];
	while (o && *path) {
		size_t n = strcspn(path, ".");
		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		o = json_object_get(o, key);
		path += n + (path[n] == '.');
	}
	return o;
}

static const char *text_at(const json_t *o, const char *path)
{
	const char *text = json_string_value(at(o, path));
	return text ? text : "";
}

static bool has_text(const json_t *o, const char *path)
{
	return *text_at(o, path);
}

static bool is_choice_content(const json_t *choice)
{
	const json_t *delta = json_object_get(choice, "delta");
	return has_text(choice, "text") || has_text(delta, "content") ||
	       has_text(delta, "refusal") || has_text(delta, "reasoning") ||
	       has_text(delta, "reasoning_content") ||
	       json_array_size(json_object_get(delta, "tool_calls")) ||
	       json_object_size(json_object_get(delta, "function_call"));
}

static bool is_content(const json_t *o)
{
	const char *type = text_at(o, "type");
	const json_t *choices = json_object_get(o, "choices");
	for (size_t i = 0; i < json_array_size(choices); i++) {
		if (is_choice_content(json_array_get(choices, i)))
			return true;
	}
	if (strcmp(type, "content_block_delta") == 0)
		return has_text(o, "delta.text") || has_text(o, "delta.thinking") ||
		       has_text(o, "delta.partial_json");
	if (strcmp(type, "content_block_start") == 0)
		return strstr(text_at(o, "content_block.type"), "tool_use") != NULL;
	if (strncmp(type, "response.", 9) == 0)
		return strstr(type, ".delta") && has_text(o, "delta");
	return has_text(o, "value") || has_text(o, "response") || has_text(o, "message.content") ||
	       has_text(o, "message.thinking") || json_array_size(at(o, "message.tool_calls"));
}

static void learn_finish(struct truth *t, const json_t *o)
{
	static const char *const paths[] = {"stop_reason", "delta.stop_reason", "done_reason"};
	const json_t *choices = json_object_get(o, "choices");
	const json_t *response = at(o, "response.status") ? at(o, "response") : o;
	const char *why = "";
	for (size_t i = 0; i < json_array_size(choices); i++) {
		const char *reason = text_at(json_array_get(choices, i), "finish_reason");
		why = *reason ? reason : why;
	}
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		why = has_text(o, paths[i]) ? text_at(o, paths[i]) : why;
	if (json_array_size(at(o, "generations")))
		why = text_at(json_array_get(at(o, "generations"), 0), "finish_reason");
	if (strcmp(text_at(response, "status"), "completed") == 0)
		why = "completed";
	if (has_text(response, "incomplete_details.reason"))
		why = text_at(response, "incomplete_details.reason");
	if (*why)
		snprintf(t->finish, sizeof(t->finish), "%s", why);
}

static void learn_usage(struct truth *t, const json_t *o)
{
	static const char *const output[] = {
		"usage.completion_tokens", "usage.output_tokens", "response.usage.output_tokens",
		"x_groq.usage.completion_tokens", "meta.billed_units.output_tokens"};
	static const char *const input[] = {
		"usage.prompt_tokens",	       "usage.input_tokens",
		"response.usage.input_tokens", "message.usage.input_tokens",
		"x_groq.usage.prompt_tokens",  "meta.billed_units.input_tokens"};
	static const char *const cached[] = {"usage.cache_read_input_tokens",
					     "usage.cache_creation_input_tokens",
					     "message.usage.cache_read_input_tokens",
					     "message.usage.cache_creation_input_tokens"};
	uint64_t prompt = 0;
	for (size_t i = 0; i < sizeof(output) / sizeof(output[0]); i++) {
		if (json_integer_value(at(o, output[i])) > 0) {
			t->counted = true;
			t->output = (uint64_t)json_integer_value(at(o, output[i]));
		}
	}
	for (size_t i = 0; i < sizeof(input) / sizeof(input[0]); i++)
		prompt += (uint64_t)json_integer_value(at(o, input[i])) *
			  (strncmp(input[i], "x_groq", 6) != 0 || !at(o, "usage"));
	for (size_t i = 0; i < sizeof(cached) / sizeof(cached[0]); i++)
		prompt += (uint64_t)json_integer_value(at(o, cached[i]));
	t->input = prompt ? prompt : t->input;
	if (json_integer_value(at(o, "eval_count")) > 0) {
		t->engine = t->counted = true;
		t->output = (uint64_t)json_integer_value(at(o, "eval_count"));
		t->input = (uint64_t)json_integer_value(at(o, "prompt_eval_count"));
	}
}

static void learn(struct truth *t, const json_t *document, size_t end)
{
	const json_t *error = json_object_get(document, "error");
	if (is_content(document)) {
		t->events++;
		t->first_end = t->first_end ? t->first_end : end;
		t->last_end = end;
	}
	t->failed |= json_is_object(error) || json_is_string(error);
	learn_finish(t, document);
	learn_usage(t, document);
}

/* Every event of these services has one line of data, and a blank one behind it. */
static void read_stream(struct truth *t, const struct recording *rec)
{
	const char *now = (const char *)rec->response, *end = now + rec->response_len;
	while (now < end) {
		const char *blank = memmem(now, (size_t)(end - now), "\n\n", 2);
		const char *next = blank ? blank + 2 : end;
		const char *data = memmem(now, (size_t)(next - now), "data: {", 7);
		if (data) {
			json_t *o = json_loadb(data + 6, (size_t)((blank ? blank : end) - data) - 6,
					       0, NULL);
			assert_non_null(o);
			learn(t, o, (size_t)(next - (const char *)rec->response));
			json_decref(o);
		}
		now = next;
	}
}

static void read_lines(struct truth *t, const struct recording *rec)
{
	const char *now = (const char *)rec->response, *end = now + rec->response_len;
	while (now < end) {
		const char *lf = memchr(now, '\n', (size_t)(end - now));
		json_t *o = json_loadb(now, (size_t)((lf ? lf : end) - now), 0, NULL);
		assert_non_null(o);
		now = lf ? lf + 1 : end;
		learn(t, o, (size_t)(now - (const char *)rec->response));
		json_decref(o);
	}
}

static bool is_lines(const struct recording *rec)
{
	return strncmp(rec->type, "application/x-ndjson", 20) == 0;
}

static bool is_stream(const struct recording *rec)
{
	return strncmp(rec->type, "text/event-stream", 17) == 0 || is_lines(rec);
}

static struct truth truth_of(const struct recording *rec)
{
	struct truth t = {0};
	if (is_lines(rec)) {
		read_lines(&t, rec);
	} else if (is_stream(rec)) {
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

/* The kinds of call that are recorded, by the ends of their paths. */
static const struct {
	const char *end;
	enum call_endpoint endpoint;
} kinds[] = {
	{"/chat/completions", CALL_CHAT_COMPLETION},
	{"/completions", CALL_COMPLETION},
	{"/v1/responses", CALL_RESPONSE},
	{"/v1/messages", CALL_MESSAGE},
	{"/embeddings", CALL_EMBEDDING},
	{"/embed", CALL_EMBEDDING},
	{"/rerank", CALL_RERANK},
	{"/api/chat", CALL_CHAT_COMPLETION},
	{"/api/generate", CALL_COMPLETION},
	{"/v1/generate", CALL_COMPLETION},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static size_t kind_of(const char *path)
{
	size_t k = 0, n = strcspn(path, "?");
	for (; k < KINDS; k++) {
		size_t m = strlen(kinds[k].end);
		if (n >= m && strncmp(path + n - m, kinds[k].end, m) == 0)
			break;
	}
	return k;
}

static void assert_asked_model(const struct recording *rec, const struct call *c)
{
	json_t *o = json_loadb((const char *)rec->request, rec->request_len, 0, NULL);
	const char *asked = member(o, "model");
	if (asked && rec->status < 300)
		assert_string_equal(c->labels.model, asked);
	json_decref(o);
}

static void check(const struct recording *rec, bool http2)
{
	static struct book book;
	struct call_sink sink = book_sink(&book);
	struct server *server = server_new("x", span_of(NULL, 0), NULL, &sink);
	struct session *s = session_new(server);
	struct truth t = truth_of(rec);
	struct conversation told = {.path = rec->path,
				    .type = rec->type,
				    .request = span_of(rec->request, rec->request_len),
				    .response = span_of(rec->response, rec->response_len),
				    .status = rec->status,
				    .http2 = http2,
				    .first_end = t.first_end,
				    .last_end = t.last_end};
	conversation_tell(s, &told);
	session_free(s);
	server_free(server);
	assert_int_equal(book.count, 1);
	const struct call *c = &book.calls[0];
	assert_int_equal(c->http_status, rec->status);
	assert_int_equal(c->labels.endpoint, kinds[rec->kind].endpoint);
	assert_int_equal(c->labels.stream, is_stream(rec));
	assert_int_equal(c->error != CALL_OK, rec->status >= 400 || t.failed);
	assert_int_equal(c->events, t.events);
	assert_int_equal(c->response_bytes, rec->response_len);
	assert_string_equal(c->finish_reason, t.finish);
	assert_asked_model(rec, c);
	if (t.input)
		assert_int_equal(c->input_tokens, t.input);
	if (t.counted) {
		assert_int_equal(c->token_source,
				 t.engine ? CALL_TOKENS_ENGINE : CALL_TOKENS_USAGE);
		assert_int_equal(c->output_tokens, t.output);
	} else if (t.events) {
		assert_int_equal(c->token_source, CALL_TOKENS_EVENTS);
		assert_int_equal(c->output_tokens, t.events);
	}
	if (is_stream(rec)) {
		assert_int_equal(c->first_token_ns, told.first_ns);
		assert_int_equal(c->last_token_ns, told.last_ns);
	}
	streams += is_stream(rec);
	documents += !is_stream(rec);
	refused += rec->status >= 400;
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
	rec.kind = kind_of(rec.path);
	if (rec.kind < KINDS && rec.type) {
		rec.request_len = base64(member(o, "request"), request_room);
		rec.response_len = base64(member(o, "response"), response_room);
		bool readable =
			rec.response_len && decode(member(headers, "content-encoding"), &rec);
		for (int http2 = 0; readable && http2 < 2; http2++)
			check(&rec, http2);
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
	print_message("over both HTTPs: %zu streams, %zu documents, %zu of them refusals\n",
		      streams, documents, refused);
	assert_true(streams > 400 && documents > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_recordings)};
	return cmocka_run_group_tests_name("call/corpus", tests, NULL, NULL);
}
