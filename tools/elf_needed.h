/*
 * elf_needed.h - a program and the libraries that the dynamic loader maps with it, found as the loader
 * finds them (ld.so(8)), as far as that can be known without running it.
 *
 *   DT_RPATH of the asking file and of who asked for that, unless it has a DT_RUNPATH
 *   LD_LIBRARY_PATH, DT_RUNPATH of the asking file
 *   /etc/ld.so.cache and the standard folders (musl: its path file, or /lib, /usr/local/lib, /usr/lib)
 *
 * Each library is there once, so lists that go in circles end.
 */
#ifndef TOOLS_ELF_NEEDED_H
#define TOOLS_ELF_NEEDED_H

#include "tools/elf_link.h"
#include "tools/ld_cache.h"

#include <sys/types.h>

#define NEEDED_OBJECTS_MAX 1024
#define NEEDED_TRIES_MAX   65536 /* files looked at in the search of all */

struct needed_object {
	char *name; /* as asked for; the path of what was added */
	char *path; /* NULL: not found */
	dev_t device;
	ino_t inode;
	struct elf_link link;
	ssize_t asked_by; /* -1: added from outside */
};

struct needed {
	struct needed_object *objects; /* in the order of the search: breadth first */
	size_t count;
	size_t tries;
	bool cut;		  /* a maximum was met: there may be more */
	struct elf_facts like;	  /* only files of its class and machine are taken */
	bool musl;		  /* the loader is musl's */
	const char *library_path; /* LD_LIBRARY_PATH or NULL; borrowed */
	struct ld_cache cache;
	/* Told of each file while it is open. */
	void (*opened)(void *user, const struct needed_object *object, const struct elf_file *file);
	void *user;
};

/* `program` are the facts of who is to load the objects. */
void needed_init(struct needed *n, const struct elf_facts *program, const char *library_path,
		 void (*opened)(void *user, const struct needed_object *object,
				const struct elf_file *file),
		 void *user);
void needed_release(struct needed *n);

/* Adds a file and all that it needs. 0 or -ENOMEM; a file that cannot be read adds nothing. */
int needed_add(struct needed *n, const char *path);

/* Adds a file alone, called `name`; `path` is where it is to be read. */
int needed_add_one(struct needed *n, const char *name, const char *path);

/* Whether an object is the first that was added, or asked for by it, directly or not. */
bool needed_is_of_first(const struct needed *n, const struct needed_object *object);

/* The path of a file that was found, as its program knows it. */
const char *needed_path(const struct needed_object *object);

#endif
