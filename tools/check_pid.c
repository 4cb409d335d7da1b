/*
 * inferwire check --pid: is the shim in a running process, and at work?
 *
 *   absent    the shim is not mapped: could it have been?
 *   inert     it is, and the process's environment switches it off
 *   waiting   it makes its ring at the first listen or accept, which has not come
 *   active    its ring is mapped
 *   failed    it should have a ring and has none, or its ring was removed: it stays so
 *
 * Switches are read as shim/settings.c reads them, from the environment as the process was started.
 */
#include "tools/command.h"

#include "tools/check.h"
#include "tools/rings.h"
#include "tools/running.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum state { ABSENT, INERT, WAITING, ACTIVE, FAILED };

static const char *const state_names[] = {
	[ABSENT] = "absent", [INERT] = "inert",	  [WAITING] = "waiting",
	[ACTIVE] = "active", [FAILED] = "failed",
};

struct verdict {
	enum state state;
	char why[1024];			   /* a sentence, and what to do */
	char directory[PLACES_PATH_BYTES]; /* of its rings */
	bool agent_runs;
};

__attribute__((format(printf, 3, 4))) static void conclude(struct verdict *v, enum state state,
							   const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(v->why, sizeof(v->why), format, args);
	va_end(args);
	v->state = state;
}

/* '*' and '?', as in the shim. A star takes as little as it can, and one more each time that the rest
 * does not match; only the last star need be tried again, so this is never slow. */
static bool matches(const char *pattern, size_t len, const char *text)
{
	size_t at = 0, star = SIZE_MAX;
	const char *from = text;
	while (*text) {
		if (at < len && pattern[at] == '*') {
			star = ++at;
			from = text;
		} else if (at < len && (pattern[at] == '?' || pattern[at] == *text)) {
			at++;
			text++;
		} else if (star != SIZE_MAX) {
			at = star;
			text = ++from;
		} else {
			return false;
		}
	}
	while (at < len && pattern[at] == '*')
		at++;
	return at == len;
}

/* Whether INFERWIRE_ONLY selects a command line. */
static bool is_selected(const char *patterns, const char *command_line)
{
	for (const char *p = patterns; *p; p += *p == ',') {
		size_t len = strcspn(p, ",");
		for (const char *a = command_line; *a; a += strlen(a) + 1) {
			if (matches(p, len, observe_basename(a)))
				return true;
		}
		p += len;
	}
	return false;
}

static bool is_switched_off(const struct running *r, struct verdict *v)
{
	const char *enabled = running_variable(r, "INFERWIRE_ENABLED");
	const char *disabled = running_variable(r, "OTEL_SDK_DISABLED");
	const char *only = running_variable(r, "INFERWIRE_ONLY");
	if (!enabled)
		conclude(v, INERT,
			 "INFERWIRE_ENABLED is not set in its environment; start it "
			 "anew with INFERWIRE_ENABLED=1");
	else if (strcmp(enabled, "1") != 0)
		conclude(v, INERT,
			 "INFERWIRE_ENABLED is '%.64s' in its environment; start it "
			 "anew with INFERWIRE_ENABLED=1",
			 enabled);
	else if (disabled && strcasecmp(disabled, "true") == 0)
		conclude(v, INERT,
			 "OTEL_SDK_DISABLED is true in its environment; start it anew "
			 "without");
	else if (only && !is_selected(only, r->command_line))
		conclude(v, INERT,
			 "INFERWIRE_ONLY=%.128s does not select it; start it anew with "
			 "a pattern that matches its name or an argument's",
			 only);
	else
		return false;
	return true;
}

/* Why the shim would refuse the directory; NULL: it would not. */
static const char *refuses(const struct running *r, const char *directory)
{
	char path[PLACES_PATH_BYTES + 32];
	struct stat st;
	/* A relative one is under the folder in which the process was started; most stay there. */
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/%s%s", r->pid,
		 directory[0] == '/' ? "root" : "cwd/", directory);
	if (lstat(path, &st) != 0)
		return errno == ENOENT ? "does not exist and could not be made"
				       : "cannot be looked at";
	if (!S_ISDIR(st.st_mode))
		return "is no directory";
	if (st.st_uid != r->euid)
		return "belongs to another user";
	return st.st_mode & (S_IRWXG | S_IRWXO) ? "is open to other users: chmod 0700 it" : NULL;
}

static void judge_without_ring(const struct running *r, struct verdict *v)
{
	const char *bad = r->listens ? refuses(r, v->directory) : NULL;
	if (bad)
		conclude(v, FAILED, "its ring directory %.512s %s; correct that and start it anew",
			 v->directory, bad);
	else if (r->listens)
		conclude(v, WAITING,
			 "it has a listening socket that another process may have made, and is "
			 "observed from its first accept on; if it has served calls already, there "
			 "was no space for a ring in %.512s",
			 v->directory);
	else
		conclude(v, WAITING,
			 "it has not listened yet: it is observed from its first "
			 "listen or accept on");
}

static void judge_ring(const struct running *r, struct verdict *v)
{
	char path[2 * PLACES_PATH_BYTES];
	snprintf(v->directory, sizeof(v->directory), "%.*s", (int)(strrchr(r->ring, '/') - r->ring),
		 r->ring);
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/root%s", r->pid, v->directory);
	v->agent_runs = rings_agent_runs(path);
	if (r->ring_removed)
		conclude(v, FAILED,
			 "its ring was removed from %.512s while it ran, so nobody "
			 "reads it; start it anew",
			 v->directory);
	else
		conclude(v, ACTIVE,
			 v->agent_runs ? "an agent reads its ring"
				       : "but no agent runs for its ring: what does "
					 "not fit into it is dropped; start "
					 "inferwire-agent for %.512s",
			 v->directory);
}

static void judge_absent(const struct running *r, const struct observe *seen, struct verdict *v)
{
	const char *preload = running_variable(r, "LD_PRELOAD");
	if (seen->reason)
		conclude(v, ABSENT, "%s",
			 seen->obstacle[0] ? seen->obstacle : "its program cannot be read");
	else if (preload && strstr(preload, "libinferwire.so"))
		conclude(v, ABSENT,
			 "LD_PRELOAD=%.512s is in its environment, but the loader did "
			 "not take it: is the file there and readable for it?",
			 preload);
	else
		conclude(v, ABSENT, "it was started without; start it anew with inferwire run");
}

static void judge(const struct running *r, struct observe *seen, struct verdict *v)
{
	const char *told = running_variable(r, "INFERWIRE_DIR");
	if (told)
		snprintf(v->directory, sizeof(v->directory), "%s", told);
	else
		snprintf(v->directory, sizeof(v->directory), "/dev/shm/inferwire-%u", r->euid);
	if (r->secure && !seen->reason) {
		seen->reason = OBSERVE_SECURE;
		snprintf(seen->obstacle, sizeof(seen->obstacle),
			 "it was started in secure execution (setuid, setgid or file "
			 "capabilities), and the loader then ignores LD_PRELOAD; start it as the "
			 "user that it changes to");
	}
	if (r->ring[0])
		judge_ring(r, v);
	else if (!r->shim[0])
		judge_absent(r, seen, v);
	else if (!is_switched_off(r, v))
		judge_without_ring(r, v);
}

static void add_file(void *user, const char *name, const char *path)
{
	struct check *c = user;
	needed_add_one(&c->needed, name, path);
}

static void look(struct check *c, const struct running *r)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/exe", r->pid);
	needed_add_one(&c->needed, r->exe, path);
	running_files(r, add_file, c);
	check_conclude(c);
	if (r->io_uring)
		check_warn(c, "it has an io_uring, and what moves through one is not seen (libuv "
			      "keeps its sockets out of it)");
}

static void print_state(const struct running *r, const struct verdict *v)
{
	printf("process    %" PRIu32 "\n", r->pid);
	if (r->shim[0])
		printf("library    %s\n", r->shim);
	if (r->ring[0])
		printf("ring       %s\n", r->ring);
	printf("verdict    %s%s: %s\n",
	       v->state == ABSENT   ? "not observed, the library is not in it"
	       : v->state == ACTIVE ? "observed"
				    : "not observed, ",
	       v->state == ABSENT || v->state == ACTIVE ? "" : state_names[v->state], v->why);
}

static void print_json(const struct check *c, const struct running *r, const struct verdict *v,
		       bool observable)
{
	json_t *document = check_json(c);
	json_object_set_new(document, "pid", json_integer(r->pid));
	json_object_set_new(document, "state", json_string(state_names[v->state]));
	json_object_set_new(document, "observable", json_boolean(observable));
	json_object_set_new(document, "why", check_text(v->why));
	json_object_set_new(document, "shim", check_text(r->shim));
	json_object_set_new(document, "ring", check_text(r->ring));
	json_object_set_new(document, "ring_directory", check_text(v->directory));
	json_object_set_new(document, "agent", json_boolean(v->agent_runs));
	json_object_set_new(document, "listens", json_boolean(r->listens));
	json_dumpf(document, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(document);
}

static int refuse(const char *pid, const char *why)
{
	fprintf(stderr, "inferwire check: process %s %s\n", pid, why);
	return EXIT_USAGE;
}

static int show(struct check *c, const struct running *r, const struct places *places, bool as_json)
{
	static struct verdict v;
	struct elf_facts library;
	char path[64];
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/exe", r->pid);
	if (elf_read(places->library, &library) != 0)
		return refuse("", "cannot be judged without libinferwire.so");
	observe_program(path, r->exe, &library, &c->seen);
	check_init(c, places->library, NULL);
	judge(r, &c->seen, &v);
	look(c, r);
	bool observable = v.state == ABSENT ? !c->seen.reason : v.state != FAILED;
	if (as_json) {
		print_json(c, r, &v, observable);
	} else {
		check_print(c);
		print_state(r, &v);
	}
	check_release(c);
	return observable ? EXIT_SUCCESS : EXIT_FAILURE;
}

int check_pid(const char *pid, bool as_json)
{
	static struct places places;
	static struct running r;
	static struct check c;
	char *end, error[2 * PLACES_PATH_BYTES];
	unsigned long n = strtoul(pid, &end, 10);
	if (pid[0] < '0' || pid[0] > '9' || *end || n == 0 || n > INT32_MAX) {
		fprintf(stderr, "inferwire check: --pid wants the number of a process, not '%s'\n",
			pid);
		return EXIT_USAGE;
	}
	places_find(&places);
	if (places_check_library(&places, error, sizeof(error)) != 0) {
		fprintf(stderr, "inferwire check: %s\n", error);
		return EXIT_USAGE;
	}
	int ret = running_read((uint32_t)n, &r);
	if (ret == -ESRCH)
		return refuse(pid, "does not exist (in this PID namespace)");
	if (ret == -EACCES)
		return refuse(pid, "may not be looked at: run this as its user or as root (in a "
				   "container with CAP_SYS_PTRACE)");
	if (ret)
		return refuse(pid, "cannot be read");
	ret = r.exe[0] ? show(&c, &r, &places, as_json)
		       : refuse(pid, "has no program: it is a kernel thread, or has ended");
	running_release(&r);
	return ret;
}
