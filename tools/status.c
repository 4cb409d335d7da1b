/* inferwire status: what the agent last wrote about itself, DIRECTORY/status.json, as a table. */
#include "tools/command.h"

#include "tools/other_users.h"
#include "tools/places.h"
#include "tools/rings.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATUS_BYTES_MAX (16 * 1024 * 1024)

static void print_help(void)
{
	puts("Usage: inferwire status [--json] [--dir DIRECTORY]\n"
	     "\n"
	     "Shows what the agent of a ring directory (INFERWIRE_DIR or /dev/shm/inferwire-UID) "
	     "watches\n"
	     "and how its exports go. Root is told of other users' directories, too. Exits 1 if no "
	     "agent\n"
	     "runs there.\n"
	     "\n"
	     "EXAMPLES\n"
	     "  inferwire status\n"
	     "  inferwire status --json | jq '.processes[].calls'");
}

static json_int_t number_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	return json_is_number(value) ? (json_int_t)json_number_value(value) : 0;
}

/* Whose words they are: a program's, perhaps of another user. What a terminal could take for an order
 * (C0, DEL, and C1 as UTF-8 has it) is not printed. */
static void print_plain(const char *text, int width)
{
	int column = 0;
	for (const char *at = text; *at && (width < 0 || column < width); column++) {
		unsigned char c = (unsigned char)*at++, next = (unsigned char)*at;
		bool c1 = c == 0xc2 && next >= 0x80 && next <= 0x9f;
		at += c1;
		putchar(c < ' ' || c == 0x7f || c1 ? '?' : c);
		for (; (*at & 0xc0) == 0x80; at++)
			putchar(*at);
	}
	for (; column < width; column++)
		putchar(' ');
}

/* width: it is cut and filled up to that many characters; negative: as long as it is. */
static void print_text(const json_t *object, const char *key, int width)
{
	const char *text = json_string_value(json_object_get(object, key));
	print_plain(text && text[0] ? text : "-", width);
}

/* 90061 s = 1d01h */
static void print_age(json_int_t s)
{
	if (s >= 86400)
		printf("%lldd%02lldh", (long long)(s / 86400), (long long)(s % 86400 / 3600));
	else if (s >= 3600)
		printf("%lldh%02lldm", (long long)(s / 3600), (long long)(s % 3600 / 60));
	else
		printf("%lldm%02llds", (long long)(s / 60), (long long)(s % 60));
}

static void print_agent(const json_t *status, const char *directory)
{
	const json_t *agent = json_object_get(status, "agent");
	const json_t *export = json_object_get(status, "export");
	const char *error = json_string_value(json_object_get(export, "last_error"));
	printf("agent      ");
	print_text(agent, "version", -1);
	printf(", process %lld, running ", (long long)number_of(agent, "pid"));
	print_age(number_of(agent, "uptime_seconds"));
	printf("\nrings      %s\n", directory);
	printf("exported   %lld points in %lld requests; failed %lld, retries %lld\n",
	       (long long)number_of(export, "exported_points"),
	       (long long)number_of(export, "requests"),
	       (long long)number_of(export, "failed_points"),
	       (long long)number_of(export, "retries"));
	if (error && error[0]) {
		printf("last error ");
		print_plain(error, -1);
		putchar('\n');
	}
}

static void print_others(const struct other_users *others)
{
	for (unsigned int i = 0; i < others->count; i++)
		printf("%s %s\n", i ? "          " : "others    ", others->path[i]);
}

/* What became of a process's connections so far, and what to do about those that were not read. */
struct kind {
	const char *key, *name;
	const char *advice; /* NULL: they are read */
};
static const struct kind kinds[] = {
	{"http", "http", NULL},
	{"tls", "tls", NULL},
	{"encrypted", "encrypted",
	 "TLS of a library that cannot be seen: rustls, Go's, an OpenSSL that is linked "
	 "statically; "
	 "end TLS in a proxy"},
	{"opaque", "opaque", "neither HTTP nor TLS: another protocol on the server's ports"},
	{"unseen", "unseen",
	 "accepted by raw system calls, or inherited open from another process"},
	{"unseen_io_uring", "unseen (io_uring)",
	 "the process uses io_uring, which is not seen; switch it off in the server"},
	{"unwatched", "unwatched",
	 "their descriptors are past the table of 1,048,576, or are another connection's still"},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void print_connections(const json_t *process)
{
	const char *before = "          connections: ";
	for (size_t i = 0; i < KINDS; i++) {
		json_int_t n = number_of(process, kinds[i].key);
		if (n <= 0)
			continue;
		printf("%s%lld %s", before, (long long)n, kinds[i].name);
		before = ", ";
	}
	if (before[0] == ',')
		putchar('\n');
}

/* One line for each gap in what is seen. */
static void print_advice(const json_t *process)
{
	json_int_t pid = number_of(process, "pid"), dropped = number_of(process, "dropped");
	for (size_t i = 0; i < KINDS; i++) {
		if (kinds[i].advice && number_of(process, kinds[i].key) > 0)
			printf("          %s: %s; see inferwire check --pid %lld\n", kinds[i].name,
			       kinds[i].advice, (long long)pid);
	}
	if (dropped > 0)
		printf("          dropped: the agent was away or too slow; a larger "
		       "INFERWIRE_RING_BYTES holds more\n");
}

static void print_processes(const json_t *status)
{
	const json_t *processes = json_object_get(status, "processes"), *p;
	size_t i;
	if (json_array_size(processes) == 0) {
		puts("\nno process is watched");
		return;
	}
	printf("\n%8s  %-16s %-20s %11s %10s %8s %10s\n", "PID", "PROGRAM", "SERVICE",
	       "CONNECTIONS", "RECORDS", "DROPPED", "CALLS");
	json_array_foreach(processes, i, p)
	{
		printf("%8lld  ", (long long)number_of(p, "pid"));
		print_text(p, "program", 16);
		putchar(' ');
		print_text(p, "service", 20);
		printf(" %11lld %10lld %8lld %10lld\n", (long long)number_of(p, "connections"),
		       (long long)number_of(p, "records"), (long long)number_of(p, "dropped"),
		       (long long)number_of(p, "calls"));
		print_connections(p);
		print_advice(p);
	}
}

static void complain_of_no_agent(const char *directory, const struct other_users *others)
{
	fprintf(stderr, "inferwire status: no agent runs for %s; ", directory);
	if (access(directory, R_OK | W_OK | X_OK) != 0 && errno == EACCES)
		fprintf(stderr,
			"or it is another user's: only that user and root can see into it\n");
	else if (others->count)
		fprintf(stderr, "of other users: inferwire status --dir %s%s\n", others->path[0],
			others->count > 1 ? ", and more" : "");
	else
		fprintf(stderr, "it starts with the first server that is watched\n");
}

/* The directory may be another user's, who may put there what they like. NULL after one line of why. */
static json_t *load(const char *directory)
{
	char path[PLACES_PATH_BYTES + 32];
	json_error_t error = {.text = ""};
	struct stat st;
	json_t *status = NULL;
	snprintf(path, sizeof(path), "%s/status.json", directory);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		snprintf(error.text, sizeof(error.text), "%s", strerror(errno));
	else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > STATUS_BYTES_MAX)
		snprintf(error.text, sizeof(error.text), "no agent wrote that");
	else
		status = json_loadfd(fd, 0, &error);
	if (fd >= 0)
		close(fd);
	if (!status) {
		/* What is quoted of it is not printed. */
		bool quotes = fd >= 0 && strstr(error.text, " near ");
		fprintf(stderr, "inferwire status: %s: %s\n", path,
			quotes ? "it is no JSON" : error.text);
	}
	return status;
}

/* `others` is empty where a directory was named. */
static int show(const char *directory, const struct other_users *others, bool as_json)
{
	if (!rings_agent_runs(directory)) {
		complain_of_no_agent(directory, others);
		return EXIT_FAILURE;
	}
	json_t *status = load(directory);
	if (!status)
		return EXIT_FAILURE;
	if (as_json) {
		json_dumpf(status, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_agent(status, directory);
		print_others(others);
		print_processes(status);
	}
	json_decref(status);
	return EXIT_SUCCESS;
}

int command_status(int argc, char **argv)
{
	static char directory[PLACES_PATH_BYTES];
	struct other_users others = {.count = 0};
	bool as_json = false, is_named = false;
	rings_directory(directory, sizeof(directory));
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			as_json = true;
		} else if (strcmp(argv[i], "--dir") == 0 && argv[i + 1]) {
			snprintf(directory, sizeof(directory), "%s", argv[++i]);
			is_named = true;
		} else if (strcmp(argv[i], "--help") == 0) {
			print_help();
			return EXIT_SUCCESS;
		} else {
			fprintf(stderr,
				"inferwire status: unknown argument %s; see `inferwire status "
				"--help`\n",
				argv[i]);
			return EXIT_USAGE;
		}
	}
	if (!is_named)
		other_users_with_agents(&others, directory);
	return show(directory, &others, as_json);
}
