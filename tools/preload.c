#include "tools/preload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_library(const char *item, size_t len)
{
	static const char name[] = "libinferwire.so";
	size_t n = sizeof(name) - 1;
	return len >= n && memcmp(item + len - n, name, n) == 0 &&
	       (len == n || item[len - n - 1] == '/');
}

/* ld.so(8): items are separated by colons or spaces. */
static bool is_listed(const char *list)
{
	while (*list) {
		size_t n = strcspn(list, " :");
		if (is_library(list, n))
			return true;
		list += n;
		list += strspn(list, " :");
	}
	return false;
}

bool preload_append(const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	if (!old || !old[0])
		return setenv("LD_PRELOAD", library, 1) == 0;
	if (is_listed(old))
		return true;
	size_t room = strlen(old) + 1 + strlen(library) + 1;
	char *both = malloc(room);
	if (!both)
		return false;
	snprintf(both, room, "%s:%s", old, library);
	bool done = setenv("LD_PRELOAD", both, 1) == 0;
	free(both);
	return done;
}
