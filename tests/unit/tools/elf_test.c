/* Small programs (tests/fuzz/corpus/tools/elf), whole and damaged. The damage is the same at each run. */
#include "tests/unit/test.h"
#include "tools/elf_needed.h"
#include "tools/elf_tls.h"

#include <unistd.h>

#define SEEDS "tests/fuzz/corpus/tools/elf/"

static char path[] = "/tmp/elf_test.XXXXXX";

struct program {
	char bytes[8192];
	size_t len;
};

static struct program read_seed(const char *name)
{
	static struct program p;
	char from[64];
	snprintf(from, sizeof(from), SEEDS "%s", name);
	FILE *in = fopen(from, "r");
	assert_non_null(in);
	p.len = fread(p.bytes, 1, sizeof(p.bytes), in);
	fclose(in);
	return p;
}

static void write_file(const void *bytes, size_t len)
{
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, len, out), len);
	fclose(out);
}

struct seen {
	size_t imports, defined;
	unsigned int tls;
};

static void see_symbol(void *user, const struct elf_symbol *symbol)
{
	struct seen *seen = user;
	assert_true(strlen(symbol->name) > 0);
	*(symbol->defined ? &seen->defined : &seen->imports) += 1;
}

static void see(void *user, const struct needed_object *object, const struct elf_file *file)
{
	struct seen *seen = user;
	uint64_t budget = 1 << 20;
	assert_true(object->link.needed_count <= ELF_NEEDED_MAX);
	elf_symbols(file, true, ELF_SYMBOLS_MAX, see_symbol, seen);
	seen->tls |= elf_tls_inside(file, &budget);
}

static struct seen look(struct needed *n)
{
	static struct elf_facts facts;
	struct seen seen = {0};
	if (elf_read(path, &facts) == 0) {
		needed_init(n, &facts, NULL, see, &seen);
		assert_int_equal(needed_add(n, path), 0);
		assert_true(n->count <= NEEDED_OBJECTS_MAX);
	}
	return seen;
}

static void look_and_forget(void)
{
	struct needed n = {0};
	look(&n);
	needed_release(&n);
}

static void test_facts_of_a_program(void **state)
{
	(void)state;
	struct program p = read_seed("stripped");
	struct elf_facts facts;
	struct needed n = {0};
	write_file(p.bytes, p.len);
	assert_int_equal(elf_read(path, &facts), 0);
	assert_true(facts.shared && facts.interpreter && !facts.go);
	assert_string_equal(facts.loader, "/lib64/ld-linux-x86-64.so.2");
	struct seen seen = look(&n);
	assert_int_equal(seen.tls, ELF_TLS_BORINGSSL | ELF_TLS_RUSTLS);
	assert_int_equal(seen.imports, 1);
	assert_int_equal(n.count, 2);
	assert_string_equal(n.objects[1].name, "libq.so.1");
	assert_null(n.objects[1].path);
	assert_string_equal(n.objects[0].link.glibc, "2.4");
	assert_string_equal(n.objects[0].link.runpath, "/nowhere:$ORIGIN/x:${ORIGIN}");
	needed_release(&n);
}

static void test_facts_of_a_static_program(void **state)
{
	(void)state;
	struct program p = read_seed("static");
	struct elf_facts facts;
	write_file(p.bytes, p.len);
	assert_int_equal(elf_read(path, &facts), 0);
	assert_true(!facts.shared && !facts.interpreter && !facts.loader[0]);
	look_and_forget();
}

static void test_what_is_no_elf_file(void **state)
{
	(void)state;
	struct elf_facts facts;
	assert_int_equal(elf_read("/tmp", &facts), -ENOEXEC);
	assert_int_equal(elf_read("/dev/zero", &facts), -ENOEXEC);
	assert_int_equal(elf_read("/nowhere", &facts), -ENOENT);
	write_file("!<arch>\n", 8);
	assert_int_equal(elf_read(path, &facts), -ENOEXEC);
}

static void test_cut_anywhere(void **state)
{
	(void)state;
	struct program p = read_seed("with_symtab");
	for (size_t len = 0; len < p.len; len += len < 1024 ? 1 : 7) {
		write_file(p.bytes, len);
		look_and_forget();
	}
}

/* Both headers' words are where counts and offsets are. */
static void test_any_byte_may_be_wrong(void **state)
{
	(void)state;
	static const char wrong[] = {0, 1, 127, (char)128, (char)255};
	struct program p = read_seed("stripped");
	for (size_t at = 0; at < p.len; at += at < 1100 || at > 4200 ? 1 : 97) {
		char kept = p.bytes[at];
		p.bytes[at] = wrong[at % sizeof(wrong)];
		write_file(p.bytes, p.len);
		look_and_forget();
		p.bytes[at] = kept;
	}
}

static void test_many_bytes_may_be_wrong(void **state)
{
	(void)state;
	uint32_t chance = 1;
	for (int i = 0; i < 1500; i++) {
		struct program p = read_seed(i % 2 ? "with_symtab" : "stripped");
		for (int k = 0; k < 1 << i % 8; k++) {
			chance = chance * 1664525 + 1013904223;
			p.bytes[(chance >> 8) % p.len] = (char)(chance >> 24);
		}
		write_file(p.bytes, p.len);
		look_and_forget();
	}
}

/* PT_INTERP's size is the file's word; a loader's path that does not fit is none. */
static void test_loader_that_does_not_fit(void **state)
{
	(void)state;
	struct program p = read_seed("stripped");
	struct elf_facts facts;
	uint64_t sizes[] = {0, 1, ELF_LOADER_BYTES + 1, 4096, UINT64_MAX};
	size_t interp = 64 + 56; /* the second program header, after the first's */
	uint32_t type;
	memcpy(&type, p.bytes + interp, sizeof(type));
	assert_int_equal(type, PT_INTERP);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memcpy(p.bytes + interp + 32, &sizes[i], 8);
		write_file(p.bytes, p.len);
		assert_int_equal(elf_read(path, &facts), 0);
		assert_true(facts.interpreter && !facts.loader[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_facts_of_a_program),
		cmocka_unit_test(test_facts_of_a_static_program),
		cmocka_unit_test(test_what_is_no_elf_file),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_any_byte_may_be_wrong),
		cmocka_unit_test(test_many_bytes_may_be_wrong),
		cmocka_unit_test(test_loader_that_does_not_fit),
	};
	close(mkstemp(path));
	int failed = cmocka_run_group_tests_name("tools/elf", tests, NULL, NULL);
	unlink(path);
	return failed;
}
