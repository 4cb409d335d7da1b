/*
 * What a parser holds, and what it does when it gets nothing: the parser and its buffer are built here
 * with an allocator that counts, and that fails when it is told to.
 */
#include "tests/unit/test.h"

#include "agent/base/span.h"

#include <malloc.h>

static size_t held; /* bytes */
static size_t most_held;
static unsigned allocations; /* so far */
static unsigned failing;     /* the number of the one that fails; 0: none */

static bool refused(void)
{
	return ++allocations == failing;
}

static void count(size_t bytes)
{
	held += bytes;
	if (held > most_held)
		most_held = held;
}

static void *counted_calloc(size_t n, size_t size)
{
	void *at = refused() ? NULL : calloc(n, size);
	if (at)
		count(malloc_usable_size(at));
	return at;
}

static void *counted_realloc(void *old, size_t size)
{
	size_t before = malloc_usable_size(old);
	void *at = refused() ? NULL : realloc(old, size);
	if (at) {
		held -= before;
		count(malloc_usable_size(at));
	}
	return at;
}

static void counted_free(void *at)
{
	held -= malloc_usable_size(at);
	free(at);
}

#define calloc	counted_calloc
#define realloc counted_realloc
#define free	counted_free
#include "agent/base/buf.c"
#include "agent/http/h1.c"
#undef calloc
#undef realloc
#undef free

static void start(unsigned fails)
{
	held = most_held = allocations = 0;
	failing = fails;
}

/* Everything that `text` gives, in pieces of `step`; what the last call gave. */
static enum step feed(struct h1 *h1, const char *text, size_t step)
{
	struct span in = span_str(text);
	struct http_event ev;
	enum step last = STEP_MORE;
	while (in.len) {
		struct span piece = span_take(&in, step < in.len ? step : in.len);
		while ((last = h1_next(h1, &piece, &ev)) == STEP_EVENT)
			;
	}
	return last;
}

static const char request[] = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
			      "Content-Type: application/json\r\nContent-Length: 5\r\n\r\nhello";

static void an_idle_parser_is_small(void **state)
{
	(void)state;
	start(0);
	struct h1 parser, *h1 = &parser;
	h1_init(h1, H1_REQUESTS);
	assert_true(sizeof(*h1) <= 32);
	assert_int_equal(feed(h1, request, sizeof(request)), STEP_MORE);
	assert_int_equal(most_held, 0); /* read where it lies */
	assert_int_equal(feed(h1, request, 10), STEP_MORE);
	assert_true(most_held > 0);
	assert_int_equal(held, 0); /* and not kept */
	h1_release(h1);
	assert_int_equal(held, 0);
}

/* The body behind a head that is cut does not go through the buffer of the head. */
static void a_cut_head_is_all_that_is_kept(void **state)
{
	static char text[200000];
	(void)state;
	start(0);
	struct h1 parser, *h1 = &parser;
	h1_init(h1, H1_REQUESTS);
	int n = snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nContent-Length: 190000\r\n\r\n");
	memset(text + n, 'a', 190000);
	assert_int_equal(feed(h1, text, 20), STEP_MORE);
	assert_true(h1_idle(h1));
	struct span first = span_of(text, 30), rest = span_of(text + 30, (size_t)n - 30 + 190000);
	struct http_event ev;
	most_held = 0;
	while (h1_next(h1, &first, &ev) == STEP_EVENT || h1_next(h1, &rest, &ev) == STEP_EVENT)
		;
	assert_true(h1_idle(h1));
	assert_true(most_held < 400);
	h1_release(h1);
	assert_int_equal(held, 0);
}

static void an_endless_head_is_bounded(void **state)
{
	(void)state;
	start(0);
	struct h1 parser, *h1 = &parser;
	h1_init(h1, H1_REQUESTS);
	assert_int_equal(feed(h1, "GET / HTTP/1.1\r\n", 16), STEP_MORE);
	for (unsigned i = 0; i < LIMIT_HEAD_BYTES / 16 - 2; i++)
		assert_int_equal(feed(h1, "Name: value 123\n", 16), STEP_MORE);
	assert_int_equal(feed(h1, "Name: value 123\n", 16), STEP_BAD);
	assert_true(most_held <= LIMIT_HEAD_BYTES + 256);
	assert_int_equal(held, 0);
	h1_release(h1);
}

/* What cannot begin a message is not gathered. */
static void what_is_no_http_is_not_kept(void **state)
{
	(void)state;
	start(0);
	struct h1 parser, *h1 = &parser;
	h1_init(h1, H1_REQUESTS);
	assert_int_equal(feed(h1, "\x16\x03\x01\x02\x04", 1), STEP_BAD);
	assert_int_equal(most_held, 0);
	h1_release(h1);
}

static void a_loss_frees_the_head(void **state)
{
	(void)state;
	start(0);
	struct h1 parser, *h1 = &parser;
	h1_init(h1, H1_REQUESTS);
	assert_int_equal(feed(h1, "GET / HTTP/1.1\r\nHost", 20), STEP_MORE);
	assert_true(held > 0);
	assert_false(h1_gap(h1, 1));
	assert_int_equal(held, 0);
	h1_release(h1);
}

/* Without memory it is bad for good; nothing else. */
static void every_allocation_fails(void **state)
{
	(void)state;
	for (unsigned n = 1;; n++) {
		start(n);
		struct h1 parser, *h1 = &parser;
		h1_init(h1, H1_REQUESTS);
		enum step last = feed(h1, request, 1);
		bool failed = allocations >= n;
		assert_int_equal(last, failed ? STEP_BAD : STEP_MORE);
		assert_int_equal(feed(h1, request, sizeof(request)), last);
		h1_release(h1);
		assert_int_equal(held, 0);
		if (!failed) {
			assert_true(n > 3);
			break;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_parser_is_small),
		cmocka_unit_test(a_cut_head_is_all_that_is_kept),
		cmocka_unit_test(an_endless_head_is_bounded),
		cmocka_unit_test(what_is_no_http_is_not_kept),
		cmocka_unit_test(a_loss_frees_the_head),
		cmocka_unit_test(every_allocation_fails),
	};
	return cmocka_run_group_tests_name("http/h1_memory", tests, NULL, NULL);
}
