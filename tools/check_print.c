#include "tools/check.h"

#include <stdio.h>

static void print_program(const struct observe *o)
{
	if (o->command[0])
		printf("command    %s\n", o->command);
	if (o->script[0])
		printf("script     %s\n", o->script);
	printf("program    %s", o->program);
	if (o->is_elf)
		printf(" (%d-bit %s)", o->facts.class * 32, elf_machine_name(o->facts.machine));
	putchar('\n');
}

static void print_libc(const struct check *c)
{
	const char *glibc = c->needed.count ? c->needed.objects[0].link.glibc : "";
	switch (check_libc(c)) {
	case CHECK_LIBC_NONE:
		puts("libc       none");
		break;
	case CHECK_LIBC_MUSL:
		puts("libc       musl");
		break;
	case CHECK_LIBC_GLIBC:
		printf(glibc[0] ? "libc       glibc, at least %s\n" : "libc       glibc\n", glibc);
		break;
	case CHECK_LIBC_OTHER:
		printf("libc       of the loader %s\n", c->seen.facts.loader);
		break;
	}
}

static void print_libraries(const struct check *c)
{
	size_t found = 0;
	for (size_t i = 1; i < c->needed.count; i++)
		found += c->needed.objects[i].path != NULL;
	printf("libraries  %zu found", found);
	const char *separator = "; not found: ";
	for (size_t i = 0; i < c->needed.count; i++) {
		if (!check_is_missing(c, &c->needed.objects[i]))
			continue;
		printf("%s%s", separator, c->needed.objects[i].name);
		separator = ", ";
	}
	putchar('\n');
}

static void print_hooks(const struct check *c)
{
	size_t column = 0;
	printf("hooks      %zu of %zu bind:", check_hooks_bound(c), c->hook_count);
	for (size_t i = 0; i < c->hook_count; i++) {
		if (!c->hooks[i].binds)
			continue;
		column += (size_t)printf(column ? " %s" : "\n           %s", c->hooks[i].name);
		if (column > 70)
			column = 0;
	}
	puts(c->loads_more ? "\n           and more by the libraries that it loads later" : "");
}

static void print_tls(const struct check *c)
{
	const char *shared = check_shared_tls(c);
	if (shared)
		printf("TLS        read: by %s\n", shared);
	for (size_t i = 0; i < c->tls_count; i++)
		printf("TLS        not read: by %s in %s\n", c->tls[i].name, c->tls[i].path);
}

void check_print(const struct check *c)
{
	print_program(&c->seen);
	if (c->module[0])
		printf("module     %s%s%s\n", c->module, c->module_path[0] ? " in " : ", not found",
		       c->module_path);
	if (c->seen.is_elf && c->needed.count) {
		print_libc(c);
		print_libraries(c);
		if (!c->seen.reason) {
			print_hooks(c);
			print_tls(c);
		}
	}
	for (size_t i = 0; i < c->warning_count; i++)
		printf("warning    %s\n", c->warnings[i]);
}
