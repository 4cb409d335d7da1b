/*
 * inferwire check: whether a command can be observed, told before it is launched; of a running process,
 * whether it is. Nothing is executed and nothing is changed.
 */
#include "tools/command.h"

#include "tools/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_help(void)
{
	puts("Usage: inferwire check [--json] [--] COMMAND [ARGUMENT...]\n"
	     "       inferwire check [--json] --pid PID\n"
	     "\n"
	     "Says whether COMMAND can be observed, without starting it: which program it is in "
	     "the "
	     "end,\n"
	     "its libc, which hooks will bind, which TLS will be read, and if it cannot be "
	     "observed,\n"
	     "why and what to do. Of a running process: whether it is observed, or why not.\n"
	     "\n"
	     "  --pid PID  look at a process instead\n"
	     "  --json     one JSON document; its keys are in inferwire(1)\n"
	     "  --help     show this and exit\n"
	     "\n"
	     "Exits 0 if it can be observed (except, perhaps, its TLS), 1 if not, 2 for wrong "
	     "usage and\n"
	     "where there is no such command or process, or no permission to look at it.\n"
	     "\n"
	     "EXAMPLES\n"
	     "  inferwire check -- vllm serve MODEL\n"
	     "  inferwire check --json -- python3 -m granian app:app | jq .tls.unreadable\n"
	     "  inferwire check --pid $(pgrep -o llama-server)");
}

struct options {
	bool help, as_json;
	const char *pid;
	char **command;
};

/* 0, or -1 after a line on standard error. */
static int read_options(int argc, char **argv, struct options *o)
{
	int i = 1;
	memset(o, 0, sizeof(*o));
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (strcmp(argv[i], "--json") == 0) {
			o->as_json = true;
		} else if (strcmp(argv[i], "--help") == 0) {
			o->help = true;
		} else if (strcmp(argv[i], "--pid") == 0 && argv[i + 1]) {
			o->pid = argv[++i];
		} else {
			fprintf(stderr, "inferwire check: %s %s; see `inferwire check --help`\n",
				argv[i],
				strcmp(argv[i], "--pid") ? "is no option" : "needs a value");
			return -1;
		}
	}
	o->command = argv + i;
	if (!o->help && !o->pid == !*o->command) {
		fprintf(stderr, "inferwire check: %s; see `inferwire check --help`\n",
			o->pid ? "either --pid or a command, not both" : "no command is given");
		return -1;
	}
	return 0;
}

static void print_verdict(const struct check *c)
{
	const struct observe *o = &c->seen;
	if (o->obstacle[0])
		printf("verdict    cannot be observed: %s\n", o->obstacle);
	else if (o->reason)
		puts("verdict    cannot be observed: it is neither an ELF program nor a script");
	else
		printf("verdict    can be observed%s\n", c->tls_count ? ", except its TLS" : "");
}

static int check_line(char *const *command, bool as_json)
{
	static struct places places;
	static struct check c;
	struct elf_facts library;
	char error[2 * PLACES_PATH_BYTES];
	places_find(&places);
	if (places_check_library(&places, error, sizeof(error)) != 0 ||
	    elf_read(places.library, &library) != 0) {
		fprintf(stderr, "inferwire check: %s\n", error);
		return EXIT_USAGE;
	}
	observe_command(command, &library, &c.seen);
	if (c.seen.error) {
		fprintf(stderr,
			c.seen.error == ENOENT ? "inferwire check: %s: command not found\n"
					       : "inferwire check: %s: cannot be executed (%s)\n",
			command[0], strerror(c.seen.error));
		return EXIT_USAGE;
	}
	check_init(&c, places.library, getenv("LD_LIBRARY_PATH"));
	check_command(&c);
	check_conclude(&c);
	if (as_json) {
		json_t *document = check_json(&c);
		json_dumpf(document, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(document);
	} else {
		check_print(&c);
		print_verdict(&c);
	}
	check_release(&c);
	return c.seen.reason ? EXIT_FAILURE : EXIT_SUCCESS;
}

int command_check(int argc, char **argv)
{
	struct options o;
	if (read_options(argc, argv, &o) != 0)
		return EXIT_USAGE;
	if (o.help) {
		print_help();
		return EXIT_SUCCESS;
	}
	return o.pid ? check_pid(o.pid, o.as_json) : check_line(o.command, o.as_json);
}
