/*
 * check.h - all that `inferwire check` knows of a program, and how it is shown.
 *
 * observe.h gives the verdict; this adds what takes longer to know: the libraries, the hooks that will
 * bind, and the TLS that no hook reaches.
 */
#ifndef TOOLS_CHECK_H
#define TOOLS_CHECK_H

#include "tools/elf_needed.h"
#include "tools/observe.h"

#include <jansson.h>

#define CHECK_HOOKS_MAX	   96
#define CHECK_TLS_MAX	   32
#define CHECK_WARNINGS_MAX 32

struct check_hook {
	char name[32];
	bool binds; /* imported by the program or a library of it */
};

struct check_tls {
	const char *name; /* "OpenSSL", "BoringSSL", "rustls", "GnuTLS", "NSS", "Java" */
	char *path;	  /* the file that it is inside */
};

struct check {
	struct observe seen;
	struct needed needed;
	struct check_hook hooks[CHECK_HOOKS_MAX];
	size_t hook_count;
	struct check_tls tls[CHECK_TLS_MAX]; /* not readable */
	size_t tls_count;
	char *warnings[CHECK_WARNINGS_MAX];
	size_t warning_count;
	bool loads_more; /* imports dlopen: what it loads then may bind more */
	uint64_t budget; /* bytes of files that may still be searched for TLS */
	/* Of a Python command: the module, as it is imported, and its folder or file; or empty. */
	char module[256];
	char module_path[PLACES_PATH_BYTES];
};

enum check_libc { CHECK_LIBC_NONE, CHECK_LIBC_GLIBC, CHECK_LIBC_MUSL, CHECK_LIBC_OTHER };

/* `library_path` is the LD_LIBRARY_PATH that the program has, or NULL; borrowed. `seen` is done. */
void check_init(struct check *c, const char *library, const char *library_path);
void check_release(struct check *c);

/* The program's own file, its libraries, and what is known of its language. */
void check_command(struct check *c);

/* What the libraries that were found add up to. */
void check_conclude(struct check *c);

__attribute__((format(printf, 2, 3))) void check_warn(struct check *c, const char *format, ...);

/* By the loader, and by the libraries that the program asks for. */
enum check_libc check_libc(const struct check *c);
size_t check_hooks_bound(const struct check *c);
/* The shared OpenSSL, whose TLS is read; NULL: none. */
const char *check_shared_tls(const struct check *c);

/* A library that the program itself wants. What an extension module wants and has no way to find, another
 * module may have loaded before it (torch does it for vLLM's). */
bool check_is_missing(const struct check *c, const struct needed_object *o);

/* A Python command: finds its module and adds its extension modules. check_python.c */
void check_python(struct check *c);

/* To people, and as a JSON object (a new reference, NULL without memory). */
void check_print(const struct check *c);
json_t *check_json(const struct check *c);
/* A string that need not be UTF-8; null for none. */
json_t *check_text(const char *value);

/* inferwire check --pid: prints, and returns the exit status. check_pid.c */
int check_pid(const char *pid, bool as_json);

#endif
