#include "tools/other_users.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHARED_MEMORY "/dev/shm"
#define PREFIX	      "inferwire-"
#define ANCESTORS_MAX 64 /* of a chain that changes while it is read */

/* Field 4 of /proc/PID/stat; 0 if it cannot be read. */
static pid_t parent_of(pid_t pid)
{
	char path[32], text[512];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = '\0';
	int parent = 0;
	const char *end = strrchr(text, ')'); /* the name in field 2 may hold anything */
	return end && sscanf(end, ") %*c %d", &parent) == 1 ? parent : 0;
}

static bool is_descendant(uint32_t pid)
{
	pid_t self = getpid(), at = (pid_t)pid;
	for (int i = 0; i < ANCESTORS_MAX && at > 1; i++) {
		at = parent_of(at);
		if (at == self)
			return true;
	}
	return self == 1;
}

static bool is_known(const struct other_users *o, const char *path)
{
	for (unsigned int i = 0; i < o->count; i++) {
		if (strcmp(o->path[i], path) == 0)
			return true;
	}
	return false;
}

/* Whether a name is that of a user's default directory, and of which. */
static bool read_name(const char *name, unsigned long *uid)
{
	char *end;
	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return false;
	name += strlen(PREFIX);
	*uid = strtoul(name, &end, 10);
	return end != name && !*end && *uid <= UINT32_MAX;
}

static void find(struct other_users *o, const char *own, bool (*is_wanted)(const char *path))
{
	unsigned long uid;
	DIR *d = geteuid() == 0 ? opendir(SHARED_MEMORY) : NULL;
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d)) && o->count < OTHER_USERS_MAX;) {
		char *path = o->path[o->count];
		if (!read_name(e->d_name, &uid))
			continue;
		snprintf(path, sizeof(o->path[0]), SHARED_MEMORY "/" PREFIX "%lu", uid);
		if (strcmp(path, own) != 0 && !is_known(o, path) && is_wanted(path))
			o->count++;
	}
	closedir(d);
}

static bool has_descendants(const char *path)
{
	return rings_have_process(path, is_descendant);
}

void other_users_find(struct other_users *o, const char *own)
{
	find(o, own, has_descendants);
}

void other_users_with_agents(struct other_users *o, const char *own)
{
	find(o, own, rings_agent_runs);
}

void other_users_count(const struct other_users *o, struct rings *sum)
{
	for (unsigned int i = 0; i < o->count; i++) {
		struct rings r;
		rings_count(o->path[i], &r);
		sum->living += r.living;
		sum->dead += r.dead;
		sum->foreign += r.foreign;
	}
}
