/*
 * inferwire-agent: watches the rings of one directory, and exports what it finds.
 */
#include "agent/intake/ring_reader.h"
#include "agent/loop.h"
#include "agent/report.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_USAGE 2

/* A shim that starts an agent has made its ring before. */
#define PATIENCE_NS 10000000000u

struct arguments {
	bool check_config, started_by_shim;
	const char *instead_of; /* the directory that was told to a server that cannot use it */
};

static void print_help(void)
{
	puts("Usage: inferwire-agent [--check-config]\n"
	     "\n"
	     "Reads the rings of the watched servers in INFERWIRE_DIR (/dev/shm/inferwire-UID), "
	     "derives "
	     "their\n"
	     "inference metrics and exports them over OTLP. Servers start it by themselves; "
	     "started by "
	     "hand it\n"
	     "takes over a directory's rings, also those of servers that run already. It ends when "
	     "the "
	     "last\n"
	     "watched process has ended and its last export is done, or on SIGTERM, after a last "
	     "export.\n"
	     "SIGHUP opens the call log anew.\n"
	     "\n"
	     "  --check-config  check the environment and exit: 0 usable, 2 not (one line says "
	     "why)\n"
	     "  --help          show this and exit\n"
	     "  --version       show the version and exit\n"
	     "\n"
	     "Exits 1 if another agent has the directory, 2 if the configuration cannot be used.\n"
	     "\n"
	     "EXAMPLES\n"
	     "  OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 inferwire-agent\n"
	     "  OTEL_METRICS_EXPORTER=console OTEL_METRIC_EXPORT_INTERVAL=5000 inferwire-agent\n"
	     "  INFERWIRE_DIR=/rings inferwire-agent   # as a sidecar, the directory shared");
}

/* Returns -1, or the status to exit with. */
static int read_arguments(int argc, char **argv, struct arguments *a)
{
	enum { CHECK = 1, BY_SHIM, INSTEAD_OF, HELP, VERSION };
	static const struct option options[] = {
		{"check-config", no_argument, NULL, CHECK},
		{"started-by-shim", no_argument, NULL, BY_SHIM},
		{"instead-of", required_argument, NULL, INSTEAD_OF},
		{"help", no_argument, NULL, HELP},
		{"version", no_argument, NULL, VERSION},
		{NULL, 0, NULL, 0},
	};
	int option;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case CHECK:
			a->check_config = true;
			break;
		case BY_SHIM:
			a->started_by_shim = true;
			break;
		case INSTEAD_OF:
			a->instead_of = optarg;
			break;
		case HELP:
			print_help();
			return EXIT_SUCCESS;
		case VERSION:
			puts("inferwire-agent " INFERWIRE_VERSION);
			return EXIT_SUCCESS;
		default:
			report("unknown option %s; see inferwire-agent --help", argv[optind - 1]);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		report("%s: no argument is expected; see inferwire-agent --help", argv[optind]);
		return EXIT_USAGE;
	}
	return -1;
}

/* Of a configuration that cannot be used, when nobody reads stderr. */
static void report_to_directory(void)
{
	struct directory d;
	char error[512];
	if (directory_open(&d, error, sizeof(error)) == 0) {
		report_to_log(d.fd);
		directory_close(&d);
	}
}

static void on_warning(void *user, const char *line)
{
	(void)user;
	report("%s", line);
}

static bool is_switched_off(void)
{
	const char *enabled = getenv("INFERWIRE_ENABLED"), *disabled = getenv("OTEL_SDK_DISABLED");
	return (enabled && strcmp(enabled, "0") == 0) ||
	       (disabled && strcasecmp(disabled, "true") == 0);
}

/* The signals that end it or reopen the log come through a descriptor, in every thread. */
static int open_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* A watched process takes two descriptors. The usual limit of 1024 is there for select(2), which is not
 * used here; what is allowed beyond it is ours to take. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* 0 with the directory open and locked, or the status to exit with. */
static int open_directory(struct directory *d, const struct arguments *a)
{
	char error[512];
	if (directory_open(d, error, sizeof(error)) != 0) {
		report("%s", error);
		return EXIT_USAGE;
	}
	int err = directory_lock(d);
	if (err == 0)
		return 0;
	if (a->started_by_shim && err == -EAGAIN)
		return EXIT_FAILURE; /* two servers started at once: one agent is enough */
	if (err == -EAGAIN)
		report("an agent already watches %s (process %d)", d->path,
		       (int)directory_holder(d));
	else
		report("%s: the lock cannot be taken: %s", d->path, strerror(-err));
	return EXIT_FAILURE;
}

static int run(const struct config *config, const struct arguments *a)
{
	struct directory d;
	struct loop_options options = {.patience_ns = a->started_by_shim ? PATIENCE_NS : 0,
				       .goes_on_without_log = a->started_by_shim};
	int status = open_directory(&d, a);
	if (status) {
		directory_close(&d);
		return a->started_by_shim ? EXIT_SUCCESS : status;
	}
	if (a->started_by_shim)
		report_to_log(d.fd);
	report("version " INFERWIRE_VERSION " watches %s", d.path);
	if (a->instead_of)
		report("user %u cannot use INFERWIRE_DIR=%s (not there, not this user's own, open "
		       "to "
		       "others, or read-only): its rings are here instead",
		       geteuid(), a->instead_of);
	int signal_fd = open_signals();
	ring_reader_setup();
	raise_descriptor_limit();
	status = loop_run(&d, config, &options, signal_fd) ? EXIT_FAILURE : EXIT_SUCCESS;
	report("ends");
	close(signal_fd);
	directory_close(&d);
	return status;
}

int main(int argc, char **argv)
{
	struct arguments a = {0};
	struct config config;
	char error[512];
	/* What passes through this memory are prompts: no core, no ptrace by others. */
	prctl(PR_SET_DUMPABLE, 0);
	umask(077);
	int status = read_arguments(argc, argv, &a);
	if (status >= 0)
		return status;
	if (!a.check_config && is_switched_off())
		return EXIT_SUCCESS;
	if (config_read(&config, error, sizeof(error), on_warning, NULL) != 0) {
		if (a.started_by_shim)
			report_to_directory();
		report("%s", error);
		return EXIT_USAGE;
	}
	if (!a.check_config)
		status = run(&config, &a);
	config_release(&config);
	return status < 0 ? EXIT_SUCCESS : status;
}
