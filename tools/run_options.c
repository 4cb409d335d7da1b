#include "tools/run_options.h"

#include "tools/places.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "10s", "500ms", "1m", or milliseconds as in the variable. */
static bool set_interval(const char *text)
{
	static const struct {
		const char *unit;
		unsigned long ms;
	} units[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}};
	char *end, value[32];
	errno = 0;
	unsigned long n = strtoul(text, &end, 10);
	if (end == text || text[0] == '-' || errno)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		if (n == 0 || n > (unsigned long)INT32_MAX / units[i].ms)
			return false;
		snprintf(value, sizeof(value), "%lu", n * units[i].ms);
		return setenv("OTEL_METRIC_EXPORT_INTERVAL", value, 1) == 0;
	}
	return false;
}

bool run_options_set_path(const char *variable, const char *path)
{
	char folder[PLACES_PATH_BYTES], absolute[2 * PLACES_PATH_BYTES];
	if (path[0] == '/')
		return setenv(variable, path, 1) == 0;
	if (!path[0] || !getcwd(folder, sizeof(folder)))
		return false;
	snprintf(absolute, sizeof(absolute), "%s/%s", folder, path);
	return setenv(variable, absolute, 1) == 0;
}

/* The variable for one signal would win over the general one. */
static bool set_endpoint(const char *url)
{
	unsetenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
	return url[0] && setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url, 1) == 0;
}

enum run_option {
	OPT_SERVICE,
	OPT_ENDPOINT,
	OPT_INTERVAL,
	OPT_PROVIDER,
	OPT_ONLY,
	OPT_CALL_LOG,
	OPT_DIR,
	OPT_EXEC,
	OPT_HELP
};

static const struct option options[] = {
	{"service-name", required_argument, NULL, OPT_SERVICE},
	{"endpoint", required_argument, NULL, OPT_ENDPOINT},
	{"interval", required_argument, NULL, OPT_INTERVAL},
	{"provider", required_argument, NULL, OPT_PROVIDER},
	{"only", required_argument, NULL, OPT_ONLY},
	{"call-log", required_argument, NULL, OPT_CALL_LOG},
	{"dir", required_argument, NULL, OPT_DIR},
	{"exec", no_argument, NULL, OPT_EXEC},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static bool set_option(int option, const char *value)
{
	switch (option) {
	case OPT_SERVICE:
		return setenv("OTEL_SERVICE_NAME", value, 1) == 0;
	case OPT_ENDPOINT:
		return set_endpoint(value);
	case OPT_INTERVAL:
		return set_interval(value);
	case OPT_PROVIDER:
		return setenv("INFERWIRE_PROVIDER", value, 1) == 0;
	case OPT_ONLY:
		return setenv("INFERWIRE_ONLY", value, 1) == 0;
	case OPT_CALL_LOG:
		return run_options_set_path("INFERWIRE_CALL_LOG", value);
	case OPT_DIR:
		return run_options_set_path("INFERWIRE_DIR", value);
	default:
		return false;
	}
}

int run_options_read(int argc, char **argv, struct run_options *o, char *error, size_t room)
{
	memset(o, 0, sizeof(*o));
	int option, index = 0;
	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, "+:", options, &index)) != -1) {
		if (option == '?' || option == ':') {
			snprintf(error, room,
				 option == ':' ? "%s needs a value; see `inferwire run --help`"
					       : "unknown option %s; see `inferwire run --help`",
				 argv[optind - 1]);
			return -1;
		}
		if (option == OPT_EXEC)
			o->exec = true;
		else if (option == OPT_HELP)
			o->help = true;
		else if (!set_option(option, optarg)) {
			snprintf(error, room, "--%s cannot be '%s'; see `inferwire run --help`",
				 options[index].name, optarg);
			return -1;
		}
	}
	o->command = argv + optind;
	if (!o->help && !*o->command) {
		snprintf(error, room, "no command is given; see `inferwire run --help`");
		return -1;
	}
	return 0;
}
