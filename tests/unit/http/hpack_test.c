/* Recorded field blocks of two encoders, one of which changes the size of its table (corpora/README.md). */
#include "tests/unit/http/frames.h"

#include <dirent.h>
#include <jansson.h>

static size_t blocks, fields;

static size_t from_hex(const char *text, uint8_t *to)
{
	size_t n = 0;
	unsigned byte;
	for (; text[0] && text[1]; text += 2) {
		assert_int_equal(sscanf(text, "%2x", &byte), 1);
		to[n++] = (uint8_t)byte;
	}
	return n;
}

/* The regular fields in their order; of the pseudo-fields those that are kept. */
static void check_head(const struct http_head *head, const json_t *headers)
{
	struct span rest = head->fields;
	const char *name;
	json_t *value;
	for (size_t i = 0; i < json_array_size(headers); i++) {
		json_object_foreach(json_array_get(headers, i), name, value)
		{
			const char *text = json_string_value(value);
			fields++;
			if (strcmp(name, ":status") == 0)
				assert_int_equal(head->status, strtoul(text, NULL, 10));
			if (strcmp(name, ":path") == 0)
				assert_true(span_is(head->path, text));
			if (strcmp(name, ":method") == 0)
				assert_true(span_is(head->method_text, text));
			if (name[0] == ':')
				continue;
			char line[8192];
			int n = snprintf(line, sizeof(line), "%s: %s\r\n", name, text);
			assert_in_range(n, 1, sizeof(line) - 1);
			assert_true(span_starts(rest, line));
			span_skip(&rest, (size_t)n);
		}
	}
	assert_int_equal(rest.len, 0);
}

/* Some were recorded from another protocol: with :status behind regular fields, such a head is none (RFC
 * 9113 8.3). What it does to the table shows in the next one. */
static bool is_head(const json_t *headers)
{
	const char *name;
	json_t *value;
	bool regular = false;
	for (size_t i = 0; i < json_array_size(headers); i++) {
		json_object_foreach(json_array_get(headers, i), name, value)
		{
			if (name[0] == ':' && regular)
				return false;
			regular |= name[0] != ':';
		}
	}
	return true;
}

static void check_block(struct h2 *h2, struct frames *f, const json_t *block)
{
	static uint8_t room[1u << 16];
	struct h2_event ev;
	size_t n = from_hex(json_string_value(json_object_get(block, "wire")), room);
	f->len = 0;
	/* Cut somewhere into two frames. */
	size_t first = n ? (size_t)rand() % n : 0;
	frames_raw(f, HEADERS, 0, 1, span_of(room, first));
	frames_raw(f, CONTINUATION, END_HEADERS, 1, span_of(room + first, n - first));
	struct span in = frames_span(f);
	if (is_head(json_object_get(block, "headers"))) {
		assert_int_equal(h2_next(h2, &in, 1, &ev), STEP_EVENT);
		check_head(&ev.head, json_object_get(block, "headers"));
	}
	assert_int_equal(h2_next(h2, &in, 1, &ev), STEP_MORE);
	blocks++;
}

static void check_story(const char *path)
{
	static struct frames f;
	json_t *story = json_load_file(path, 0, NULL);
	const json_t *cases = json_object_get(story, "cases");
	struct h2 *h2 = h2_new(H2_RESPONSES);
	assert_non_null(story);
	frames_begin(&f);
	for (size_t i = 0; i < json_array_size(cases); i++)
		check_block(h2, &f, json_array_get(cases, i));
	frames_end(&f);
	h2_free(h2);
	json_decref(story);
}

static void check_folder(const char *name)
{
	char path[1024];
	const char *corpora = getenv("INFERWIRE_CORPORA");
	snprintf(path, sizeof(path), "%s/hpack/%s", corpora ? corpora : "../shared/corpora", name);
	DIR *d = opendir(path);
	if (!d) {
		print_message("skip http/hpack: no %s\n", path);
		skip();
	}
	struct dirent *e;
	while ((e = readdir(d))) {
		char file[2048];
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		if (strstr(e->d_name, ".json"))
			check_story(file);
	}
	closedir(d);
}

static void test_go(void **state)
{
	(void)state;
	check_folder("go-hpack");
	assert_true(blocks > 500 && fields > 5000);
}

static void test_nghttp2_changing_its_table(void **state)
{
	(void)state;
	blocks = fields = 0;
	check_folder("nghttp2-change-table-size");
	assert_true(blocks > 500 && fields > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_go),
					   cmocka_unit_test(test_nghttp2_changing_its_table)};
	return cmocka_run_group_tests_name("http/hpack", tests, NULL, NULL);
}
