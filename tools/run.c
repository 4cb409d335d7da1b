/*
 * inferwire run: sets the environment that the shim and the agent read, says beforehand what would
 * go wrong, and starts the command.
 *
 * What makes watching impossible because it was told wrongly (no library, a configuration that the
 * agent refuses) stops here, with one line and status 2, before the server is started. What merely
 * cannot be seen (a static binary) is one line of warning, and the server is started all the same.
 */
#include "tools/command.h"

#include "tools/agent_start.h"
#include "tools/observe.h"
#include "tools/places.h"
#include "tools/preload.h"
#include "tools/rings.h"
#include "tools/run_options.h"
#include "tools/supervise.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define EXPORT_TIMEOUT_DEFAULT_MS 30000
#define DIRECTORY_BYTES		  255 /* what the shim keeps of INFERWIRE_DIR */

static void print_help(void)
{
	puts("Usage: inferwire run [OPTION...] [--] COMMAND [ARGUMENT...]\n"
	     "\n"
	     "Starts COMMAND so that its LLM inference calls are measured. Ends with COMMAND's "
	     "exit\n"
	     "status, after the last metrics were exported.\n"
	     "\n"
	     "Each option sets an environment variable and wins over it:\n"
	     "  --service-name NAME  OTEL_SERVICE_NAME\n"
	     "  --endpoint URL       OTEL_EXPORTER_OTLP_ENDPOINT (http://localhost:4318)\n"
	     "  --interval TIME      OTEL_METRIC_EXPORT_INTERVAL: 500ms, 10s, 1m (60s)\n"
	     "  --provider NAME      INFERWIRE_PROVIDER\n"
	     "  --only PATTERNS      INFERWIRE_ONLY: watch only these programs, comma-separated\n"
	     "  --call-log FILE      INFERWIRE_CALL_LOG: a JSON line for each call\n"
	     "  --dir DIRECTORY      INFERWIRE_DIR: where the rings are\n"
	     "And:\n"
	     "  --exec               become COMMAND instead of waiting for it: same process id, "
	     "no\n"
	     "                       wait for the last export (it happens in the agent)\n"
	     "  --help               show this and exit\n"
	     "\n"
	     "EXAMPLES\n"
	     "  inferwire run -- llama-server -m model.gguf --port 8080\n"
	     "  inferwire run --endpoint http://collector:4318 --service-name chat -- vllm serve "
	     "MODEL\n"
	     "  inferwire run --call-log calls.jsonl --interval 5s -- python3 -m "
	     "sglang.launch_server\n"
	     "  INFERWIRE_AGENT=external inferwire run -- ./server   # the agent is a sidecar");
}

static void complain(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("inferwire run: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

static bool is_set(const char *name)
{
	const char *value = getenv(name);
	return value && value[0];
}

static bool is_value(const char *name, const char *wanted)
{
	const char *value = getenv(name);
	return value && strcasecmp(value, wanted) == 0;
}

/* By OpenTelemetry's rule, a number that cannot be used is the default. We never wait without end. */
static uint32_t export_wait_ms(void)
{
	const char *text = getenv("OTEL_METRIC_EXPORT_TIMEOUT");
	char *end;
	errno = 0;
	unsigned long n = text ? strtoul(text, &end, 10) : 0;
	if (!text || end == text || *end || errno || n == 0 || n > INT32_MAX)
		return EXPORT_TIMEOUT_DEFAULT_MS;
	return (uint32_t)n;
}

/* Whether the shim will be inert, by the user's own will or by a word that only sounds like 1. */
static bool is_switched_off(void)
{
	if (is_value("OTEL_SDK_DISABLED", "true"))
		return true;
	if (!is_set("INFERWIRE_ENABLED") || is_value("INFERWIRE_ENABLED", "1"))
		return false;
	if (!is_value("INFERWIRE_ENABLED", "0"))
		complain("INFERWIRE_ENABLED=%s is not 1, so nothing will be watched",
			 getenv("INFERWIRE_ENABLED"));
	return true;
}

/* The shim, in the server's directory, and the agent, in /, must mean the same by them. */
static int settle_paths(void)
{
	static const char *const variables[] = {"INFERWIRE_DIR", "INFERWIRE_CALL_LOG"};
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		if (is_set(variables[i]) &&
		    !run_options_set_path(variables[i], getenv(variables[i]))) {
			complain("%s cannot be made absolute: %s", variables[i], strerror(errno));
			return EXIT_USAGE;
		}
	}
	const char *directory = getenv("INFERWIRE_DIR");
	if (directory && strlen(directory) > DIRECTORY_BYTES) {
		complain("INFERWIRE_DIR is longer than %d bytes", DIRECTORY_BYTES);
		return EXIT_USAGE;
	}
	return 0;
}

static int refuse_command(const char *name, int error)
{
	complain(error == ENOENT ? "%s: command not found" : "%s: cannot be executed (%s)", name,
		 strerror(error));
	return EXIT_USAGE;
}

/* Everything that can be known before the start. 0, or EXIT_USAGE after one line. */
static int prepare(const struct places *places, char *const *command, bool external)
{
	char error[2 * PLACES_PATH_BYTES];
	struct elf_facts library;
	static struct observe seen;
	if (places_check_library(places, error, sizeof(error)) != 0) {
		complain("%s", error);
		return EXIT_USAGE;
	}
	if (!external && !places->agent[0]) {
		complain("no inferwire-agent is beside %s; install it there, or set "
			 "INFERWIRE_AGENT=external if it runs elsewhere",
			 places->library);
		return EXIT_USAGE;
	}
	if (elf_read(places->library, &library) == 0) {
		observe_command(command, &library, &seen);
		if (seen.error)
			return refuse_command(command[0], seen.error);
		if (seen.obstacle[0])
			complain("%s will not be watched: %s", seen.program, seen.obstacle);
		else if (seen.limit[0])
			complain("%s will be watched, except its TLS: %s", seen.program,
				 seen.limit);
	}
	if (!external && agent_check_config(places->agent) != 0)
		return EXIT_USAGE;
	return 0;
}

/* Returns only if the command could not be executed. */
static int supervise(char *const *command, bool off, const char *agent)
{
	static char directory[PLACES_PATH_BYTES];
	unsigned int left = 0;
	rings_directory(directory, sizeof(directory));
	struct supervise plan = {
		.argv = command,
		.directory = off ? NULL : directory,
		.agent = off ? NULL : agent,
		.export_wait_ms = export_wait_ms(),
	};
	int ret = supervise_run(&plan, &left);
	if (ret < 0)
		return refuse_command(command[0], -ret);
	if (left)
		complain("%s has ended, and its last metrics were not exported within %u ms; does "
			 "an agent "
			 "run for %s, and does it reach its endpoint?",
			 command[0], plan.export_wait_ms, directory);
	supervise_end_as(ret);
}

int command_run(int argc, char **argv)
{
	static struct places places;
	struct run_options o;
	char error[512];
	if (run_options_read(argc, argv, &o, error, sizeof(error)) != 0) {
		complain("%s", error);
		return EXIT_USAGE;
	}
	if (o.help) {
		print_help();
		return EXIT_SUCCESS;
	}
	bool off = is_switched_off(), external = is_value("INFERWIRE_AGENT", "external");
	places_find(&places);
	if (!off) {
		int ret = settle_paths();
		if (!ret)
			ret = prepare(&places, o.command, external);
		if (ret)
			return ret;
		if (!preload_append(places.library) || setenv("INFERWIRE_ENABLED", "1", 1) != 0) {
			complain("cannot set the environment: %s", strerror(errno));
			return EXIT_USAGE;
		}
	}
	if (o.exec) {
		execvp(o.command[0], o.command);
		return refuse_command(o.command[0], errno);
	}
	return supervise(o.command, off, external ? NULL : places.agent);
}
