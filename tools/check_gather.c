#include "tools/check.h"

#include "tools/elf_tls.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Searched at most, in a second or, from a disk, a few: CUDA's libraries alone have more. */
#define BUDGET_BYTES (512ull << 20)

void check_warn(struct check *c, const char *format, ...)
{
	va_list args;
	if (c->warning_count == CHECK_WARNINGS_MAX)
		return;
	va_start(args, format);
	if (vasprintf(&c->warnings[c->warning_count], format, args) > 0)
		c->warning_count++;
	va_end(args);
}

static void add_tls(struct check *c, const char *name, const char *path)
{
	if (c->tls_count == CHECK_TLS_MAX)
		return;
	c->tls[c->tls_count].name = name;
	c->tls[c->tls_count].path = strdup(path);
	if (c->tls[c->tls_count].path)
		c->tls_count++;
}

static void note_import(void *user, const struct elf_symbol *symbol)
{
	struct check *c = user;
	if (symbol->defined)
		return;
	if (strcmp(symbol->name, "dlopen") == 0)
		c->loads_more = true;
	for (size_t i = 0; i < c->hook_count; i++) {
		if (strcmp(c->hooks[i].name, symbol->name) == 0)
			c->hooks[i].binds = true;
	}
}

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* The shared OpenSSL itself: its functions are hooked for all who are linked to it. */
static bool is_shared_openssl(const char *name)
{
	return starts(name, "libssl.so") || starts(name, "libssl-");
}

/* The loader and libc import from nobody what we hook. */
static bool has_no_interest(const char *name)
{
	return starts(name, "libc.so") || starts(name, "ld-") || starts(name, "libc.musl-") ||
	       strcmp(name, "libinferwire.so") == 0;
}

static void look_at(void *user, const struct needed_object *o, const struct elf_file *file)
{
	struct check *c = user;
	const char *name = observe_basename(o->name);
	if (has_no_interest(name))
		return;
	elf_symbols(file, false, ELF_SYMBOLS_MAX, note_import, c);
	if (is_shared_openssl(name))
		return;
	unsigned int inside = elf_tls_inside(file, &c->budget);
	for (unsigned int one = 1; one <= inside; one <<= 1) {
		if (inside & one)
			add_tls(c, elf_tls_name(one), needed_path(o));
	}
}

static void note_hook(void *user, const struct elf_symbol *symbol)
{
	struct check *c = user;
	if (!symbol->defined || !symbol->function || c->hook_count == CHECK_HOOKS_MAX ||
	    strlen(symbol->name) >= sizeof(c->hooks[0].name))
		return;
	snprintf(c->hooks[c->hook_count++].name, sizeof(c->hooks[0].name), "%s", symbol->name);
}

static int compare_hooks(const void *a, const void *b)
{
	return strcmp(((const struct check_hook *)a)->name, ((const struct check_hook *)b)->name);
}

void check_init(struct check *c, const char *library, const char *library_path)
{
	struct elf_file file;
	c->budget = BUDGET_BYTES;
	if (elf_open(library, &file) == 0) {
		elf_symbols(&file, false, ELF_SYMBOLS_MAX, note_hook, c);
		elf_close(&file);
	}
	qsort(c->hooks, c->hook_count, sizeof(c->hooks[0]), compare_hooks);
	needed_init(&c->needed, &c->seen.facts, library_path, look_at, c);
}

void check_release(struct check *c)
{
	needed_release(&c->needed);
	for (size_t i = 0; i < c->tls_count; i++)
		free(c->tls[i].path);
	for (size_t i = 0; i < c->warning_count; i++)
		free(c->warnings[i]);
	c->tls_count = c->warning_count = 0;
}

/* TLS libraries that are shared and yet not of OpenSSL's kind: of the program itself, for many a library
 * has one only to be a client. */
static void look_for_other_tls(struct check *c)
{
	static const struct {
		const char *name, *tls;
	} others[] = {{"libgnutls.so", "GnuTLS"}, {"libssl3.so", "NSS"}, {"libjli.so", "Java"}};
	for (size_t i = 1; i < c->needed.count; i++) {
		const struct needed_object *o = &c->needed.objects[i];
		for (size_t k = 0; o->asked_by == 0 && k < 3; k++) {
			if (starts(o->name, others[k].name))
				add_tls(c, others[k].tls, o->path ? needed_path(o) : o->name);
		}
	}
}

static bool is_shell(const char *program)
{
	static const char *const shells[] = {"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"};
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		if (strcmp(observe_basename(program), shells[i]) == 0)
			return true;
	}
	return false;
}

void check_command(struct check *c)
{
	if (!c->seen.is_elf || c->seen.reason == OBSERVE_MACHINE)
		return;
	if (needed_add(&c->needed, c->seen.program) != 0)
		return;
	look_for_other_tls(c);
	if (c->seen.reason)
		return;
	if (strncmp(observe_basename(c->seen.program), "python", 6) == 0)
		check_python(c);
	if (is_shell(c->seen.program))
		check_warn(c,
			   "%s is a shell: what it starts is observed as well if it can be; "
			   "check that",
			   c->seen.program);
}

/* Whether any of these is among the hooks that bind. */
static bool binds(const struct check *c, const char *name)
{
	for (size_t i = 0; i < c->hook_count; i++) {
		if (strcmp(c->hooks[i].name, name) == 0)
			return c->hooks[i].binds;
	}
	return false;
}

bool check_is_missing(const struct check *c, const struct needed_object *o)
{
	return !o->path && needed_is_of_first(&c->needed, o);
}

static void warn_of_libraries(struct check *c)
{
	for (size_t i = 0; i < c->needed.count; i++) {
		const struct needed_object *o = &c->needed.objects[i];
		if (check_is_missing(c, o))
			check_warn(c,
				   "the library %s is not found; as things are, the loader "
				   "will refuse it",
				   o->name);
		if (starts(observe_basename(o->name), "liburing.so"))
			check_warn(c,
				   "it is linked to %s; what moves through an io_uring is not "
				   "seen",
				   o->name);
	}
	if (c->needed.cut || c->budget == 0)
		check_warn(c, "its files are too many or too large to look through all of them");
}

void check_conclude(struct check *c)
{
	if (c->seen.reason)
		return;
	for (size_t i = 0; i < c->tls_count; i++)
		check_warn(c,
			   "TLS by %s in %s is counted and not read; plain HTTP is, for "
			   "example behind a TLS proxy",
			   c->tls[i].name, c->tls[i].path);
	warn_of_libraries(c);
	if (c->seen.is_elf && !c->loads_more && !binds(c, "accept") && !binds(c, "accept4"))
		check_warn(c, "it imports neither accept nor accept4, so it serves nothing itself; "
			      "servers that it starts are observed as well");
}

enum check_libc check_libc(const struct check *c)
{
	const char *loader = observe_basename(c->seen.facts.loader);
	const struct elf_link *link = c->needed.count ? &c->needed.objects[0].link : NULL;
	if (!c->seen.facts.interpreter || (link && link->needed_count == 0))
		return CHECK_LIBC_NONE;
	if (starts(loader, "ld-musl-"))
		return CHECK_LIBC_MUSL;
	return starts(loader, "ld-linux") || starts(loader, "ld64.so") ? CHECK_LIBC_GLIBC
								       : CHECK_LIBC_OTHER;
}

size_t check_hooks_bound(const struct check *c)
{
	size_t bound = 0;
	for (size_t i = 0; i < c->hook_count; i++)
		bound += c->hooks[i].binds;
	return bound;
}

const char *check_shared_tls(const struct check *c)
{
	for (size_t i = 0; i < c->needed.count; i++) {
		const struct needed_object *o = &c->needed.objects[i];
		if (o->path && is_shared_openssl(observe_basename(o->name)))
			return needed_path(o);
	}
	return NULL;
}
