/*
 * Any bytes as a program: what is read of it lies in its memory and ends in time, and what is told of it
 * is a string. As one that `inferwire check` is given, and with libraries that it names itself.
 */
#include "tests/fuzz/must.h"

#include "tools/check.h"
#include "tools/elf_tls.h"

#include <string.h>
#include <unistd.h>

static size_t seen_bytes; /* of names, so that each is read to its end */

static void see_symbol(void *user, const struct elf_symbol *symbol)
{
	(void)user;
	seen_bytes += strlen(symbol->name);
}

static void see_object(void *user, const struct needed_object *object, const struct elf_file *file)
{
	uint64_t budget = 1 << 20;
	(void)user;
	must(object->link.needed_count <= ELF_NEEDED_MAX, "more libraries than fit");
	seen_bytes += strlen(object->link.soname) + strlen(object->link.glibc);
	elf_symbols(file, true, ELF_SYMBOLS_MAX, see_symbol, NULL);
	must(elf_tls_inside(file, &budget) < 8, "a TLS of no name");
	must(budget <= 1 << 20, "more than all was looked at");
}

static void follow(const char *path, const struct elf_facts *facts)
{
	struct needed n;
	needed_init(&n, facts, "/nowhere:", see_object, NULL);
	must(needed_add(&n, path) == 0, "no memory");
	must(n.count <= NEEDED_OBJECTS_MAX, "more objects than fit");
	for (size_t i = 0; i < n.count; i++)
		must(n.objects[i].name[0], "a library without a name");
	needed_release(&n);
}

static char path[] = "/dev/shm/elf_fuzz.XXXXXX";

static void remove_file(void)
{
	unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	if (fd < 0) {
		fd = mkstemp(path);
		atexit(remove_file);
	}
	must(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size, "no file");
	struct elf_facts facts;
	static struct observe seen;
	if (elf_read(path, &facts) != 0)
		return 0;
	must(strlen(facts.loader) < sizeof(facts.loader), "a loader without an end");
	must(elf_machine_name(facts.machine) != NULL, "a machine without a name");
	observe_program(path, "program", &facts, &seen);
	must(!seen.obstacle[0] == (seen.reason == OBSERVE_FINE), "an obstacle without a reason");
	struct elf_file file;
	must(elf_open(path, &file) == 0, "not twice the same");
	struct needed_object object = {.name = path, .path = path};
	must(elf_link_read(&file, &object.link) == 0, "no memory");
	see_object(NULL, &object, &file);
	elf_link_release(&object.link);
	elf_close(&file);
	follow(path, &facts);
	return 0;
}
