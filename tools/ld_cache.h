/*
 * ld_cache.h - /etc/ld.so.cache, as glibc's ldconfig writes it ("glibc-ld.so.cache1.1", since 2.2; alone
 * in the file since 2.32).
 */
#ifndef TOOLS_LD_CACHE_H
#define TOOLS_LD_CACHE_H

#include <stdbool.h>
#include <stddef.h>

struct ld_cache {
	char *bytes; /* NULL: there is none, and nothing is found in it */
	size_t len;
	size_t start; /* of the header, from which offsets count */
	size_t entries;
};

void ld_cache_read(struct ld_cache *cache, const char *path);
void ld_cache_release(struct ld_cache *cache);

/* The next path of the library, *from being 0 at first: a name has one for each architecture. NULL: no
 * more. */
const char *ld_cache_find(const struct ld_cache *cache, const char *name, size_t *from);

#endif
