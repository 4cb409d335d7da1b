#include "tools/places.h"

#include "tools/elf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* FOLDER-OF(origin)/relative, if such a file can be accessed so. */
static bool find_beside(const char *origin, const char *relative, int access_mode, char *path)
{
	const char *slash = strrchr(origin, '/');
	int folder = slash ? (int)(slash - origin) : 0;
	char candidate[PLACES_PATH_BYTES], resolved[PLACES_PATH_BYTES];
	int n = snprintf(candidate, sizeof(candidate), "%.*s/%s", folder, origin, relative);
	if (n < 0 || (size_t)n >= sizeof(candidate) || access(candidate, access_mode) != 0)
		return false;
	if (!realpath(candidate, resolved))
		return false;
	memcpy(path, resolved, strlen(resolved) + 1);
	return true;
}

static void find_library(struct places *p)
{
	const char *told = getenv("INFERWIRE_LIBRARY");
	if (told && told[0]) {
		/* Servers change directories, so a relative path is made absolute. */
		if (!realpath(told, p->library))
			snprintf(p->library, sizeof(p->library), "%s", told);
		return;
	}
	if (find_beside(p->self, "libinferwire.so", R_OK, p->library) ||
	    find_beside(p->self, "../lib/libinferwire.so", R_OK, p->library))
		return;
	const char *slash = strrchr(p->self, '/');
	snprintf(p->library, sizeof(p->library), "%.*s/libinferwire.so",
		 slash ? (int)(slash - p->self) : 0, p->self);
}

static void find_agent(struct places *p)
{
	/* The same places, seen from the library, as those where the shim looks. */
	if (find_beside(p->library, "inferwire-agent", X_OK, p->agent) ||
	    find_beside(p->library, "../bin/inferwire-agent", X_OK, p->agent) ||
	    find_beside(p->library, "../../bin/inferwire-agent", X_OK, p->agent) ||
	    find_beside(p->self, "inferwire-agent", X_OK, p->agent))
		return;
	p->agent[0] = '\0';
}

void places_find(struct places *p)
{
	memset(p, 0, sizeof(*p));
	ssize_t n = readlink("/proc/self/exe", p->self, sizeof(p->self) - 1);
	p->self[n > 0 ? n : 0] = '\0';
	find_library(p);
	find_agent(p);
}

int places_check_library(const struct places *p, char *error, size_t room)
{
	struct elf_facts library, self;
	int ret = elf_read(p->library, &library);
	if (ret == -ENOEXEC || (ret == 0 && !library.shared)) {
		snprintf(error, room, "%s is not a shared object", p->library);
		return -1;
	}
	if (ret < 0) {
		snprintf(error, room, "cannot read %s: %s; INFERWIRE_LIBRARY names it elsewhere",
			 p->library, strerror(-ret));
		return -1;
	}
	if (elf_read(p->self, &self) == 0 &&
	    (library.machine != self.machine || library.class != self.class)) {
		snprintf(error, room, "%s is for %s (%d bit), this machine is %s (%d bit)",
			 p->library, elf_machine_name(library.machine), library.class * 32,
			 elf_machine_name(self.machine), self.class * 32);
		return -1;
	}
	/* ld.so(8): LD_PRELOAD's items are separated by spaces or colons, without an escape. */
	if (strpbrk(p->library, " :")) {
		snprintf(error, room,
			 "the path %s has a space or a colon, which LD_PRELOAD cannot express; "
			 "move or link the library elsewhere",
			 p->library);
		return -1;
	}
	return 0;
}
