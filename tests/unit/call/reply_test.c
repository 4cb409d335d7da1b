#include "tests/unit/test.h"

#include "agent/call/reply.h"

static struct server *server;
static struct reply reply;

static int set_up(void **state)
{
	(void)state;
	server = server_new("x", span_of(NULL, 0), NULL, NULL);
	assert_non_null(server);
	reply_init(&reply, server, true);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	reply_release(&reply);
	server_free(server);
	return 0;
}

static bool same_tokens(const struct tokens *a, const struct tokens *b)
{
	return a->output == b->output && a->input == b->input && a->cached == b->cached &&
	       a->known == b->known && a->has_input == b->has_input &&
	       a->has_cached == b->has_cached && a->reasoning == b->reasoning &&
	       a->has_reasoning == b->has_reasoning;
}

/* As a stream's events are read; whether it carried a token. */
static bool read_event(struct reply *r, const char *document)
{
	struct span rest = span_str(document);
	span_skip(&rest, reply_known(r, rest));
	if (rest.len)
		reply_bytes(r, rest);
	return reply_end_document(r);
}

/* A document that is read by its shape says the same: the first of them, which makes the shape's note, and the
 * second, which uses it. */
static void says_the_same_again(const char *document)
{
	struct reply first, again;
	reply_init(&first, server, true);
	bool token = read_event(&first, document);
	reply_init(&again, server, true);
	assert_true(read_event(&again, document) == token);
	reply_release(&again);
	reply_init(&again, server, true);
	assert_true(read_event(&again, document) == token);
	assert_string_equal(again.model, first.model);
	assert_string_equal(again.finish_reason, first.finish_reason);
	assert_true(same_tokens(&again.tally.usage, &first.tally.usage));
	assert_true(same_tokens(&again.tally.begun, &first.tally.begun));
	assert_true(same_tokens(&again.tally.engine, &first.tally.engine));
	assert_int_equal(again.content_documents, first.content_documents);
	assert_int_equal(again.tally.total, first.tally.total);
	assert_int_equal(again.any_failed, first.any_failed);
	assert_int_equal(again.goes_on, first.goes_on);
	assert_int_equal(again.done, first.done);
	reply_release(&first);
	reply_release(&again);
}

/* One document, a byte at a time; whether it carried a token. */
static bool token(const char *document)
{
	says_the_same_again(document);
	for (; *document; document++)
		reply_bytes(&reply, span_of(document, 1));
	return reply_end_document(&reply);
}

static void test_generated_content(void **state)
{
	(void)state;
	static const char *const documents[] = {
		"{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}",
		"{\"choices\":[{\"delta\":{\"content\":\" \"}}]}",
		"{\"choices\":[{\"delta\":{\"content\":\"\\u0000\"}}]}",
		"{\"choices\":[{\"delta\":{}},{\"delta\":{\"content\":\"a\"}}]}",
		"{\"choices\":[{\"delta\":{\"reasoning\":\"a\"}}]}",
		"{\"choices\":[{\"delta\":{\"content\":\"\",\"reasoning_content\":\"a\"}}]}",
		"{\"choices\":[{\"delta\":{\"refusal\":\"a\"}}]}",
		"{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}",
		"{\"choices\":[{\"delta\":{\"function_call\":{\"name\":\"\"}}}]}",
		"{\"choices\":[{\"text\":\"a\"}]}",
		"{\"content\":\"a\",\"stop\":false}",
		" {\"choices\" : [ { \"text\" : \"a\" } ] } ",
		"{\"choices\":[{\"\\u0074ext\":\"a\"}]}",
	};
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++)
		assert_true(token(documents[i]));
	assert_int_equal(reply.content_documents, sizeof(documents) / sizeof(documents[0]));
	assert_false(reply.any_failed);
}

static void test_no_content(void **state)
{
	(void)state;
	static const char *const documents[] = {
		"",
		"[DONE]",
		"null",
		"\"text\"",
		"{}",
		"{\"choices\":[]}",
		"{\"choices\":null}",
		"{\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}",
		"{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}",
		"{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}]}",
		"{\"choices\":[{\"delta\":{\"content\":0}}]}",
		"{\"choices\":[{\"delta\":{\"tool_calls\":[],\"function_call\":{}}}]}",
		"{\"choices\":[{\"delta\":{\"tool_calls\":null}}]}",
		"{\"choices\":[{\"text\":\"\"}],\"prompt_progress\":{\"processed\":5}}",
		"{\"choices\":[{\"delta\":{\"content\":{\"content\":\"x\"}}}]}",
		"{\"choices\":[],\"usage\":{\"completion_tokens\":7,\"prompt_tokens\":1}}",
		"{\"x\":{\"choices\":[{\"text\":\"a\"}],\"content\":\"a\"}}",
		"{\"x\":\"\\\"content\\\":\\\"a\\\"\"}",
	};
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++)
		assert_false(token(documents[i]));
	assert_int_equal(reply.content_documents, 0);
	assert_false(reply.any_failed);
}

/* [DONE] is told by its first two bytes, and by nothing behind what is no JSON either; however it is cut. */
static void test_what_says_that_the_stream_is_done(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool done;
	} ends[] = {{"[DONE]", true}, {"[?DONE]", false}, {"xD", false},
		    {"[[D", false},   {"[", false},	  {"[]D", false}};
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		for (size_t piece = 1; piece <= strlen(ends[i].text); piece++) {
			struct span rest = span_str(ends[i].text);
			reply.done = false;
			while (rest.len) {
				size_t n = rest.len < piece ? rest.len : piece;
				assert_true(reply_bytes(&reply, span_take(&rest, n)));
			}
			reply_end_document(&reply);
			assert_int_equal(reply.done, ends[i].done);
		}
	}
}

/* An answer of special tokens alone is one when it ends; after content it is not. */
static void test_finish_with_usage(void **state)
{
	(void)state;
	static const char end[] = "{\"choices\":[{\"finish_reason\":\"stop\",\"text\":\"\"}],"
				  "\"usage\":{\"completion_tokens\":1}}";
	assert_false(token("{\"choices\":[{\"finish_reason\":\"stop\",\"text\":\"\"}],"
			   "\"usage\":{\"completion_tokens\":0}}"));
	assert_false(token("{\"choices\":[{\"finish_reason\":null,\"text\":\"\"}],"
			   "\"usage\":{\"completion_tokens\":1}}"));
	assert_true(token(end));
	assert_true(token("{\"choices\":[{\"text\":\"a\"}]}"));
	assert_false(token(end));
}

static void test_errors(void **state)
{
	(void)state;
	static const struct {
		const char *document;
		bool failed;
	} documents[] = {
		{"{\"error\":{\"message\":\"x\"}}", true},
		{"{\"error\":{}}", true},
		{"{\"error\":\"overloaded\",\"error_type\":\"overloaded\"}", true},
		{"{\"object\":\"error\",\"message\":\"x\"}", true},
		{"{\"choices\":[{\"finish_reason\":\"error\"}]}", true},
		{"{\"choices\":[{\"finish_reason\":\"abort\"}]}", true},
		{"{\"choices\":[{\"finish_reason\":\"parse_error\"}]}", true},
		{"{\"error\":null}", false},
		{"{\"error\":\"\"}", false},
		{"{\"error\":false}", false},
		{"{\"x\":{\"error\":\"y\"}}", false},
		{"{\"object\":\"chat.completion.chunk\"}", false},
		{"{\"choices\":[{\"finish_reason\":\"stop\"}]}", false},
		{"{\"choices\":[{\"text\":\"\\\"error\\\":\\\"x\\\"\"}]}", false},
	};
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
		reply.any_failed = false;
		token(documents[i].document);
		assert_int_equal(reply.any_failed, documents[i].failed);
	}
}

static void test_usage_is_the_last_that_counts(void **state)
{
	(void)state;
	token("{\"usage\":{\"completion_tokens\":0,\"prompt_tokens\":5}}");
	assert_true(
		tokens_are_told(&reply.tally.usage, reply.content_documents)); /* an empty answer */
	token("{\"choices\":[{\"text\":\"a\"}],\"usage\":{\"completion_tokens\":0,\"prompt_"
	      "tokens\":5}}");
	assert_false(tokens_are_told(&reply.tally.usage, reply.content_documents));
	token("{\"usage\":{\"completion_tokens\":3,\"prompt_tokens\":5,"
	      "\"prompt_tokens_details\":{\"cached_tokens\":2}}}");
	token("{\"usage\":{\"completion_tokens\":4,\"prompt_tokens\":5}}");
	token("{\"usage\":{\"completion_tokens\":0,\"prompt_tokens\":0}}");
	token("{\"usage\":null}");
	assert_true(tokens_are_told(&reply.tally.usage, reply.content_documents));
	assert_int_equal(reply.tally.usage.output, 4);
	assert_false(reply.tally.usage.has_cached);
}

static void test_numbers_that_are_no_counts(void **state)
{
	(void)state;
	token("{\"usage\":{\"completion_tokens\":-1,\"prompt_tokens\":\"5\"}}");
	token("{\"usage\":{\"completion_tokens\":1e400}}");
	token("{\"usage\":{\"completion_tokens\":1.5}}");
	token("{\"usage\":{\"completion_tokens\":99999999999999999999}}");
	token("{\"usage\":[{\"completion_tokens\":5}]}");
	assert_false(reply.tally.usage.known);
	token("{\"usage\":{\"completion_tokens\":12.0}}");
	assert_int_equal(reply.tally.usage.output, 12);
}

static void test_native_fields(void **state)
{
	(void)state;
	token("{\"content\":\"a\",\"stop_type\":\"none\",\"tokens_predicted\":1,\"tokens_"
	      "evaluated\":4}");
	assert_string_equal(reply.finish_reason, "");
	token("{\"content\":\"\",\"stop_type\":\"limit\",\"tokens_predicted\":2,\"model\":\"/a/b\","
	      "\"timings\":{\"predicted_n\":3,\"cache_n\":1},\"system_fingerprint\":\"b1-x\"}");
	assert_string_equal(reply.finish_reason, "limit");
	assert_string_equal(reply.model, "b");
	assert_int_equal(reply.tally.engine.output, 3);
	assert_int_equal(reply.tally.engine.input, 4);
	assert_int_equal(reply.tally.engine.cached, 1);
	assert_false(reply.tally.usage.known);
	assert_string_equal(server_provider(server), "llama.cpp");
}

static void test_broken_documents(void **state)
{
	(void)state;
	reply_bytes(&reply, span_str("{\"choices\":[{\"text\":\"a\"}],\"error\":\"x\",\"usage\":"
				     "{\"completion_tokens\":9"));
	reply_drop_document(&reply);
	assert_false(token("{}"));
	assert_false(reply.any_failed);
	assert_false(reply.tally.usage.known);
	/* What was read before it went wrong was said: servers cut nothing in front. */
	assert_true(token("{\"choices\":[{\"text\":\"a\"}],,"));
	assert_true(token("{\"choices\":[{\"text\":\"a\"}]}"));
}

static void test_names_are_cut(void **state)
{
	(void)state;
	char document[2000], *at = document;
	at += snprintf(at, 100, "{\"choices\":[{\"finish_reason\":\"");
	memset(at, 'f', 600);
	at += 600;
	at += snprintf(at, 100, "\"}],\"model\":\"");
	memset(at, 'm', 600);
	at += 600;
	snprintf(at, 100, "\"}");
	token(document);
	assert_int_equal(strlen(reply.finish_reason), LIMIT_FINISH_BYTES - 1);
	assert_int_equal(strlen(reply.model), LIMIT_MODEL_BYTES - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_generated_content),
		TEST(test_no_content),
		TEST(test_what_says_that_the_stream_is_done),
		TEST(test_finish_with_usage),
		TEST(test_errors),
		TEST(test_usage_is_the_last_that_counts),
		TEST(test_numbers_that_are_no_counts),
		TEST(test_native_fields),
		TEST(test_broken_documents),
		TEST(test_names_are_cut),
	};
	return cmocka_run_group_tests_name("call/reply", tests, NULL, NULL);
}
