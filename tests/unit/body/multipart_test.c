/* Each body runs whole, byte by byte and cut at every place: always with the same trace. */
#include "tests/unit/test.h"

#include "agent/body/multipart.h"
#include "tests/unit/pieces.h"

#include <stdio.h>
#include <stdlib.h>

static char trace[4096];
static size_t trace_len;

static void put(const char *text, size_t len)
{
	assert_true(trace_len + len < sizeof(trace));
	memcpy(trace + trace_len, text, len);
	trace_len += len;
	trace[trace_len] = '\0';
}

/* "name[content]", "name*[" for a file */
static void note(const struct multipart_event *ev)
{
	if (ev->type == MULTIPART_PART) {
		put((const char *)ev->name.at, ev->name.len);
		put(ev->file ? "*[" : "[", ev->file ? 2 : 1);
	} else if (ev->type == MULTIPART_DATA) {
		assert_true(ev->data.len);
		put((const char *)ev->data.at, ev->data.len);
	} else {
		put("]", 1);
	}
}

static void feed(struct multipart *p, struct span piece)
{
	struct multipart_event ev;
	if (!piece.len)
		return;
	struct span in = piece_at_edge(piece);
	while (multipart_next(p, &in, &ev) == STEP_EVENT)
		note(&ev);
	assert_int_equal(in.len, 0);
}

static void begin(struct multipart *p, const char *type)
{
	trace_len = 0;
	trace[0] = '\0';
	assert_true(multipart_init(p, span_str(type)));
}

static void same_in_pieces(const char *type, struct span body, const char *want)
{
	struct multipart p;
	begin(&p, type);
	feed(&p, body);
	assert_string_equal(trace, want);
	begin(&p, type);
	for (size_t i = 0; i < body.len; i++)
		feed(&p, span_of(body.at + i, 1));
	assert_string_equal(trace, want);
	for (size_t cut = 1; cut < body.len; cut++) {
		begin(&p, type);
		feed(&p, span_of(body.at, cut));
		feed(&p, span_of(body.at + cut, body.len - cut));
		assert_string_equal(trace, want);
	}
}

#define TYPE	    "multipart/form-data; boundary=xYz"
#define FIELD(name) "Content-Disposition: form-data; name=\"" name "\"\r\n\r\n"

static void test_bodies(void **state)
{
	(void)state;
	static const struct {
		const char *body, *want;
	} bodies[] = {
		{"--xYz\r\n" FIELD("model") "whisper\r\n--xYz--\r\n", "model[whisper]"},
		{"--xYz\r\n" FIELD("a") "1\r\n--xYz\r\n" FIELD("b") "2\r\n--xYz--", "a[1]b[2]"},
		{"preamble\r\n--xYz\r\n" FIELD("a") "1\r\n--xYz--\r\nepilogue\r\n--xYz\r\n",
		 "a[1]"},
		{"--xYz  \r\n" FIELD("a") "\r\n--xYz--", "a[]"},
		{"--xYz\r\n" FIELD("a") "--xYz--", "a[]"},
		{"--xYz\r\n" FIELD("a") "\r\n\r\n--xYz--", "a[\r\n]"},
		{"--xYz\r\n" FIELD("a") "--xY\r\n--xYz--", "a[--xY]"},
		{"--xYz\r\n" FIELD("a") "x\r\n--xY\r\n--x\r\r\n\r\n--xYz--",
		 "a[x\r\n--xY\r\n--x\r\r\n]"},
		{"--xYz\r\n" FIELD("a") "\r\r\n--xYz--", "a[\r]"},
		{"--xYz\r\n" FIELD("a") "no end", "a[no end"},
		{"--xYz\r\n" FIELD("a") "\r\n--xYz", "a[]"},
		{"--xYz\r\n\r\nnameless\r\n--xYz--", "[nameless]"},
		{"--xYz\r\nContent-Type: "
		 "a/b\r\ncontent-DISPOSITION:form-data;name=model\r\n\r\nm\r\n"
		 "--xYz--",
		 "model[m]"},
		{"--xYz\r\nContent-Disposition: form-data; filename=\"name=x;name=\\\"y\\\"\"; "
		 "name=\"file\"\r\n\r\nRIFF\r\n--xYz--",
		 "file*[RIFF]"},
		{"--xYz\r\nContent-Disposition: form-data; name=\"a\\\"b\"\r\n\r\n\r\n--xYz--",
		 "a\"b[]"},
		{"--xYz\nContent-Disposition: form-data; name=\"a\"\n\nx\r\n--xYz--", "a[x]"},
		{"no delimiter at all", ""},
		{"", ""},
	};
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		same_in_pieces(TYPE, span_str(bodies[i].body), bodies[i].want);
}

static void test_long_names_and_lines(void **state)
{
	(void)state;
	char body[1024], name[600], want[64];
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	snprintf(body, sizeof(body), "--xYz\r\nx: %s\r\n" FIELD("%s") "v\r\n--xYz--", name,
		 name + 500);
	snprintf(want, sizeof(want), "%.*s[v]", (int)MULTIPART_NAME_BYTES, name);
	same_in_pieces(TYPE, span_str(body), want);
}

static void test_content_types(void **state)
{
	(void)state;
	static const char *const good[] = {
		"multipart/form-data; boundary=x",
		"Multipart/Form-Data; charset=utf-8; BOUNDARY=\"x y\"; z=1",
		"multipart/form-data;boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
	};
	static const char *const bad[] = {
		"",
		"application/json",
		"multipart/form-data",
		"multipart/form-data; boundary=",
		"multipart/form-data; boundary=\"\"",
		"multipart/form-data; boundary=\"a\rb\"",
		"multipart/form-data; x=boundary",
	};
	struct multipart p;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(multipart_init(&p, span_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(multipart_init(&p, span_str(bad[i])));
	assert_false(multipart_init(&p, span_of(NULL, 0)));
	same_in_pieces("multipart/form-data; boundary=\"a b\"",
		       span_str("--a b\r\n" FIELD("q") "1\r\n--a b--"), "q[1]");
}

/* Any bytes are content or are passed over; content comes back as it was. */
static void test_random_content(void **state)
{
	(void)state;
	static const char alphabet[] = "\r\n-xYz\r\n";
	unsigned seed = 1;
	for (unsigned run = 0; run < 2000; run++) {
		char content[40], body[200], want[64];
		size_t len = (unsigned)rand_r(&seed) % sizeof(content);
		for (size_t i = 0; i < len; i++)
			content[i] = alphabet[(unsigned)rand_r(&seed) / 7 % (sizeof(alphabet) - 1)];
		content[len ? len - 1 : 0] = len ? content[len - 1] : '\0';
		if (memmem(content, len, "--xYz", 5))
			continue;
		int n = snprintf(body, sizeof(body), "--xYz\r\n" FIELD("a") "%.*s\r\n--xYz--",
				 (int)len, content);
		snprintf(want, sizeof(want), "a[%.*s]", (int)len, content);
		same_in_pieces(TYPE, span_of(body, (size_t)n), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_long_names_and_lines),
		cmocka_unit_test(test_content_types),
		cmocka_unit_test(test_random_content),
	};
	return cmocka_run_group_tests_name("body/multipart", tests, NULL, NULL);
}
