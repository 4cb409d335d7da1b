/*
 *   0  "glibc-ld.so.cache" "1.1"
 *  20  number of entries, bytes of strings    32 bits each
 *  28  flags, extensions, reserved
 *  48  entries of 24 bytes: flags, offset of the name, offset of the path, ...
 *   .  the strings, each ended by a NUL
 *
 * Files of before 2.32 have this behind a header of the older format.
 */
#include "tools/ld_cache.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_BYTES_MAX (16u << 20) /* 0.1 MB on a desktop */
#define HEADER_BYTES	48
#define ENTRY_BYTES	24

static const char magic[] = "glibc-ld.so.cache1.1";

static uint32_t number_at(const struct ld_cache *cache, size_t at)
{
	uint32_t n;
	memcpy(&n, cache->bytes + at, sizeof(n));
	return n;
}

static bool read_whole(struct ld_cache *cache, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= CACHE_BYTES_MAX)
		cache->bytes = malloc((size_t)st.st_size + 1);
	ssize_t n = cache->bytes ? read(fd, cache->bytes, (size_t)st.st_size) : -1;
	close(fd);
	if (n < 0)
		return false;
	cache->len = (size_t)n;
	cache->bytes[n] = '\0'; /* whatever is in it, each string ends */
	return true;
}

void ld_cache_read(struct ld_cache *cache, const char *path)
{
	memset(cache, 0, sizeof(*cache));
	if (!read_whole(cache, path)) {
		ld_cache_release(cache);
		return;
	}
	const char *header = memmem(cache->bytes, cache->len, magic, sizeof(magic) - 1);
	if (!header || cache->len - (size_t)(header - cache->bytes) < HEADER_BYTES) {
		ld_cache_release(cache);
		return;
	}
	cache->start = (size_t)(header - cache->bytes);
	size_t room = (cache->len - cache->start - HEADER_BYTES) / ENTRY_BYTES;
	cache->entries = number_at(cache, cache->start + 20);
	if (cache->entries > room)
		cache->entries = room;
}

void ld_cache_release(struct ld_cache *cache)
{
	free(cache->bytes);
	memset(cache, 0, sizeof(*cache));
}

/* The string at an offset, or "". */
static const char *string_at(const struct ld_cache *cache, uint32_t offset)
{
	return offset < cache->len - cache->start ? cache->bytes + cache->start + offset : "";
}

const char *ld_cache_find(const struct ld_cache *cache, const char *name, size_t *from)
{
	while (*from < cache->entries) {
		size_t entry = cache->start + HEADER_BYTES + (*from)++ * ENTRY_BYTES;
		if (strcmp(string_at(cache, number_at(cache, entry + 4)), name) == 0)
			return string_at(cache, number_at(cache, entry + 8));
	}
	return NULL;
}
