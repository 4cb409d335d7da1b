#include "tests/unit/test.h"
#include "tools/ld_cache.h"

#include <unistd.h>

static char path[] = "/tmp/ld_cache.XXXXXX";

/* A cache of two entries for one name. */
static const struct {
	char magic[20];
	uint32_t entries, strings;
	uint32_t rest[5];
	struct {
		uint32_t flags, name, path, version;
		uint64_t hwcap;
	} entry[2];
	char text[32];
} made = {
	.magic = "glibc-ld.so.cache1.1",
	.entries = 2,
	.entry = {{3, 96, 105, 0, 0}, {0x303, 96, 108, 0, 0}},
	.text = "libq.so.\0/a\0/b\0",
};

static struct ld_cache open_cache(const void *bytes, size_t len)
{
	struct ld_cache cache;
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, len, out), len);
	fclose(out);
	ld_cache_read(&cache, path);
	return cache;
}

static void test_finds_each_path_of_a_name(void **state)
{
	(void)state;
	size_t from = 0;
	struct ld_cache cache = open_cache(&made, sizeof(made));
	assert_string_equal(ld_cache_find(&cache, "libq.so.", &from), "/a");
	assert_string_equal(ld_cache_find(&cache, "libq.so.", &from), "/b");
	assert_null(ld_cache_find(&cache, "libq.so.", &from));
	from = 0;
	assert_null(ld_cache_find(&cache, "libr.so", &from));
	ld_cache_release(&cache);
}

static void test_finds_it_behind_the_older_format(void **state)
{
	(void)state;
	char both[16 + sizeof(made)] = "ld.so-1.7.0";
	size_t from = 0;
	memcpy(both + 16, &made, sizeof(made));
	struct ld_cache cache = open_cache(both, sizeof(both));
	assert_string_equal(ld_cache_find(&cache, "libq.so.", &from), "/a");
	ld_cache_release(&cache);
}

/* Whatever it says, what is found is a string of the file. */
static void look_through(const void *bytes, size_t len)
{
	size_t from = 0;
	struct ld_cache cache = open_cache(bytes, len);
	for (const char *found; (found = ld_cache_find(&cache, "libq.so.", &from));)
		assert_true(strlen(found) <= len);
	ld_cache_release(&cache);
}

static void test_cut_anywhere(void **state)
{
	(void)state;
	for (size_t len = 0; len <= sizeof(made); len++)
		look_through(&made, len);
}

static void test_any_byte_may_be_wrong(void **state)
{
	(void)state;
	static const char wrong[] = {0, 1, 127, (char)128, (char)255};
	char bytes[sizeof(made)];
	for (size_t at = 0; at < sizeof(made); at++) {
		for (size_t i = 0; i < sizeof(wrong); i++) {
			memcpy(bytes, &made, sizeof(made));
			bytes[at] = wrong[i];
			look_through(bytes, sizeof(bytes));
		}
	}
	memcpy(bytes, &made, sizeof(made));
	memset(bytes + 20, 0xff, 4); /* more entries than the file has room for */
	look_through(bytes, sizeof(bytes));
}

static void test_no_file_has_nothing(void **state)
{
	(void)state;
	struct ld_cache cache;
	size_t from = 0;
	ld_cache_read(&cache, "/nowhere/ld.so.cache");
	assert_null(ld_cache_find(&cache, "libc.so.6", &from));
	ld_cache_read(&cache, "/tmp");
	assert_null(ld_cache_find(&cache, "libc.so.6", &from));
	ld_cache_release(&cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_each_path_of_a_name),
		cmocka_unit_test(test_finds_it_behind_the_older_format),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_any_byte_may_be_wrong),
		cmocka_unit_test(test_no_file_has_nothing),
	};
	close(mkstemp(path));
	int failed = cmocka_run_group_tests_name("tools/ld_cache", tests, NULL, NULL);
	unlink(path);
	return failed;
}
