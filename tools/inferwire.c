/* The command `inferwire`: which subcommand is meant. */
#include "tools/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct subcommand {
	const char *name;
	int (*entry)(int argc, char **argv);
	const char *summary; /* NULL: not for people */
} subcommands[] = {
	{"run", command_run, "start a server, watched"},
	{"check", command_check, "tell whether a command can be observed, or a process is"},
	{"verify", command_verify, "prove that this installation works on this machine"},
	{"status", command_status, "show what is being watched and exported"},
	{"verify-server", command_verify_server, NULL},
};

static void print_help(void)
{
	puts("Usage: inferwire COMMAND [ARGUMENT...]\n"
	     "\n"
	     "Metrics for LLM inference servers, without a change to the server.\n"
	     "\n"
	     "Commands (each has its own --help):");
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
		if (subcommands[i].summary)
			printf("  %-8s %s\n", subcommands[i].name, subcommands[i].summary);
	}
	puts("\n"
	     "Options:\n"
	     "  --help     show this and exit\n"
	     "  --version  show the version and exit\n"
	     "\n"
	     "EXAMPLES\n"
	     "  inferwire verify\n"
	     "  inferwire check -- llama-server -m model.gguf\n"
	     "  inferwire run -- llama-server -m model.gguf --port 8080\n"
	     "  inferwire run --endpoint http://collector:4318 -- vllm serve MODEL\n"
	     "  inferwire status");
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	if (!name) {
		fputs("inferwire: which command? `inferwire --help` lists them\n", stderr);
		return EXIT_USAGE;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		print_help();
		return EXIT_SUCCESS;
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		puts("inferwire " INFERWIRE_VERSION);
		return EXIT_SUCCESS;
	}
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
		if (strcmp(name, subcommands[i].name) == 0)
			return subcommands[i].entry(argc - 1, argv + 1);
	}
	fprintf(stderr, "inferwire: there is no command '%s'; `inferwire --help` lists them\n",
		name);
	return EXIT_USAGE;
}
