#include "tools/elf_needed.h"

#include "tools/places.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MUSL_PATHS_DEFAULT "/lib:/usr/local/lib:/usr/lib"

/* glibc's standard folders, by distribution. */
static const char *const standard_folders[] = {
	"/lib64",
	"/usr/lib64",
#if defined(__x86_64__)
	"/lib/x86_64-linux-gnu",
	"/usr/lib/x86_64-linux-gnu",
#elif defined(__aarch64__)
	"/lib/aarch64-linux-gnu",
	"/usr/lib/aarch64-linux-gnu",
#endif
	"/lib",
	"/usr/lib",
};

void needed_init(struct needed *n, const struct elf_facts *program, const char *library_path,
		 void (*opened)(void *user, const struct needed_object *object,
				const struct elf_file *file),
		 void *user)
{
	memset(n, 0, sizeof(*n));
	n->like = *program;
	n->musl = strstr(program->loader, "/ld-musl-") != NULL;
	n->library_path = library_path;
	n->opened = opened;
	n->user = user;
	if (!n->musl)
		ld_cache_read(&n->cache, "/etc/ld.so.cache");
}

void needed_release(struct needed *n)
{
	for (size_t i = 0; i < n->count; i++) {
		free(n->objects[i].name);
		free(n->objects[i].path);
		elf_link_release(&n->objects[i].link);
	}
	free(n->objects);
	ld_cache_release(&n->cache);
	memset(n, 0, sizeof(*n));
}

/* Whether a loader would take the file: it passes by what is for another machine. */
static bool fits(struct needed *n, const char *path)
{
	struct elf_facts facts;
	if (n->tries == NEEDED_TRIES_MAX) {
		n->cut = true;
		return false;
	}
	n->tries++;
	return elf_read(path, &facts) == 0 && facts.machine == n->like.machine &&
	       facts.class == n->like.class;
}

/* The folder with $ORIGIN and ${ORIGIN} replaced by the folder of `origin`. False if it has another
 * variable, or is too long. */
static bool expand(const char *folder, size_t len, const char *origin, char *to)
{
	const char *slash = strrchr(origin, '/');
	int origin_len = slash ? (int)(slash - origin) : 0;
	size_t used = 0;
	for (size_t i = 0; i < len;) {
		size_t skip = 0;
		if (folder[i] == '$') {
			if (len - i >= 9 && memcmp(folder + i, "${ORIGIN}", 9) == 0)
				skip = 9;
			else if (len - i >= 7 && memcmp(folder + i, "$ORIGIN", 7) == 0)
				skip = 7;
			else
				return false;
		}
		int added = skip ? snprintf(to + used, PLACES_PATH_BYTES - used, "%.*s", origin_len,
					    origin)
				 : snprintf(to + used, PLACES_PATH_BYTES - used, "%c", folder[i]);
		used += (size_t)added;
		if (used >= PLACES_PATH_BYTES)
			return false;
		i += skip ? skip : 1;
	}
	return used > 0;
}

/* Looks for the name in a list of folders; true if it is in one, with its path. */
static bool search(struct needed *n, const char *list, const char *origin, const char *name,
		   char *path)
{
	for (const char *p = list; p && *p;) {
		char folder[PLACES_PATH_BYTES];
		size_t len = strcspn(p, ":;\n");
		if (len && expand(p, len, origin, folder)) {
			int size = snprintf(path, PLACES_PATH_BYTES, "%s/%s", folder, name);
			if (size > 0 && size < PLACES_PATH_BYTES && fits(n, path))
				return true;
		}
		p += len;
		if (*p)
			p++;
	}
	return false;
}

/* /etc/ld-musl-ARCH.path beside the loader /lib/ld-musl-ARCH.so.1. */
static bool search_musl(struct needed *n, const char *name, char *path)
{
	char file[ELF_LOADER_BYTES + 16], list[PLACES_PATH_BYTES];
	const char *arch = strrchr(n->like.loader, '/') + 1;
	snprintf(file, sizeof(file), "/etc/%.*s.path", (int)strcspn(arch, "."), arch);
	FILE *in = fopen(file, "re");
	if (!in)
		return search(n, MUSL_PATHS_DEFAULT, "", name, path);
	size_t len = fread(list, 1, sizeof(list) - 1, in);
	fclose(in);
	list[len] = '\0';
	return search(n, list, "", name, path);
}

static bool search_system(struct needed *n, const char *name, char *path)
{
	size_t from = 0;
	for (const char *found; (found = ld_cache_find(&n->cache, name, &from));) {
		snprintf(path, PLACES_PATH_BYTES, "%s", found);
		if (fits(n, path))
			return true;
	}
	for (size_t i = 0; i < sizeof(standard_folders) / sizeof(standard_folders[0]); i++) {
		if (search(n, standard_folders[i], "", name, path))
			return true;
	}
	return false;
}

/* musl's libc is its loader, under whatever name it is asked for. */
static bool is_musl_itself(const char *name)
{
	return strcmp(name, "libc.so") == 0 || strncmp(name, "libc.musl-", 10) == 0;
}

static bool find(struct needed *n, const struct needed_object *by, const char *name, char *path)
{
	if (strchr(name, '/')) {
		snprintf(path, PLACES_PATH_BYTES, "%s", name);
		return fits(n, path);
	}
	if (n->musl && is_musl_itself(name)) {
		snprintf(path, PLACES_PATH_BYTES, "%s", n->like.loader);
		return fits(n, path);
	}
	if (!by->link.runpath[0]) {
		for (const struct needed_object *o = by;; o = &n->objects[o->asked_by]) {
			if (search(n, o->link.rpath, o->path, name, path))
				return true;
			if (o->asked_by < 0)
				break;
		}
	}
	return search(n, n->library_path, "", name, path) ||
	       search(n, by->link.runpath, by->path, name, path) ||
	       (n->musl ? search_musl(n, name, path) : search_system(n, name, path));
}

static bool is_known(const struct needed *n, const char *name)
{
	for (size_t i = 0; i < n->count; i++) {
		if (strcmp(n->objects[i].name, name) == 0 ||
		    strcmp(n->objects[i].link.soname, name) == 0)
			return true;
	}
	return false;
}

static bool is_mapped(const struct needed *n, const struct stat *st)
{
	for (size_t i = 0; i < n->count; i++) {
		if (n->objects[i].path && n->objects[i].inode == st->st_ino &&
		    n->objects[i].device == st->st_dev)
			return true;
	}
	return false;
}

/* Appends an object; `path` NULL: it is not found. */
static int append(struct needed *n, const char *name, const char *path, ssize_t asked_by)
{
	struct elf_file file;
	struct stat st = {0};
	if (path && (stat(path, &st) != 0 || is_mapped(n, &st)))
		return 0;
	if (n->count == NEEDED_OBJECTS_MAX) {
		n->cut = true;
		return 0;
	}
	struct needed_object *objects = realloc(n->objects, (n->count + 1) * sizeof(*objects));
	if (!objects)
		return -ENOMEM;
	n->objects = objects;
	struct needed_object *o = &objects[n->count];
	*o = (struct needed_object){.asked_by = asked_by, .device = st.st_dev, .inode = st.st_ino};
	o->name = strdup(name);
	o->path = path ? strdup(path) : NULL;
	n->count++;
	if (!o->name || (path && !o->path))
		return -ENOMEM;
	if (!path || elf_open(path, &file) != 0)
		return 0;
	int ret = elf_link_read(&file, &o->link);
	if (!ret)
		n->opened(n->user, o, &file);
	elf_close(&file);
	return ret;
}

int needed_add(struct needed *n, const char *path)
{
	char real[PLACES_PATH_BYTES], found[PLACES_PATH_BYTES];
	size_t next = n->count;
	/* The kernel tells the loader the program's own path without links; $ORIGIN is there. */
	if (!realpath(path, real))
		return 0;
	int ret = append(n, real, real, -1);
	for (; !ret && !n->cut && next < n->count; next++) {
		for (size_t i = 0; !ret && !n->cut && i < n->objects[next].link.needed_count; i++) {
			/* Stays where it is when appending moves the objects. */
			const char *name = n->objects[next].link.needed[i];
			if (is_known(n, name))
				continue;
			bool is_there = find(n, &n->objects[next], name, found);
			ret = append(n, name, is_there ? found : NULL, (ssize_t)next);
		}
	}
	return ret;
}

int needed_add_one(struct needed *n, const char *name, const char *path)
{
	return append(n, name, path, -1);
}

bool needed_is_of_first(const struct needed *n, const struct needed_object *object)
{
	while (object->asked_by >= 0)
		object = &n->objects[object->asked_by];
	return object == n->objects;
}

const char *needed_path(const struct needed_object *object)
{
	return object->name[0] == '/' ? object->name : object->path;
}
