#include "shim/settings.h"

#include "shim/real.h"
#include "shim/sys.h"
#include "shim/text.h"
#include "shim/wire.h"

#include <fcntl.h>

#define RING_BYTES_DEFAULT (8u * 1024 * 1024)

struct settings settings;

/* The variable's value, or NULL; an empty one counts as unset (OpenTelemetry's rule). */
static const char *variable(char *const *environment, const char *name)
{
	size_t n = text_len(name);
	for (char *const *e = environment; *e; e++) {
		if (text_starts(*e, name) && (*e)[n] == '=' && (*e)[n + 1])
			return *e + n + 1;
	}
	return NULL;
}

static void copy_variable(char *const *environment, const char *name, char *to, size_t room)
{
	const char *value = variable(environment, name);
	if (value && !text_copy(to, room, value))
		to[0] = '\0'; /* half a value is a wrong one */
}

/* Half of them would be wrong ones; and the agent, that tells what is bad of them, tells this. */
static void copy_endpoints(const char *value)
{
	if (value && !text_copy(settings.endpoints, sizeof(settings.endpoints), value))
		text_copy(settings.endpoints, sizeof(settings.endpoints),
			  "more than 1023 bytes in all");
}

/* The kernel's copy of the arguments: musl gives constructors none. */
static void read_command_line(void)
{
	long fd = sys_open(AT_FDCWD, "/proc/self/cmdline", O_RDONLY, 0);
	if (fd < 0)
		return;
	long n = sys3(SYS_read, fd, settings.command_line, sizeof(settings.command_line) - 2);
	sys1(SYS_close, fd);
	if (n < 0)
		n = 0;
	settings.command_line[n] = settings.command_line[n + 1] = '\0';
	const char *program = text_basename(settings.command_line);
	text_copy(settings.program, sizeof(settings.program),
		  program[0] == '-' ? program + 1 : program);
}

/* A path may be relative to a directory that the program leaves. Empty if it does not fit. */
static void copy_absolute(char *to, size_t room, const char *path)
{
	to[0] = '\0';
	/* getcwd(2) returns the length with its NUL, or a negative errno. */
	if (path[0] != '/' && (sys2(SYS_getcwd, to, room) <= 0 || !text_append(to, room, "/")))
		to[0] = '\0';
	else if (!text_append(to, room, path))
		to[0] = '\0';
}

static bool is_for_agent(const char *variable)
{
	static const char *const beginnings[] = {
		"OTEL_",	"INFERWIRE_",	  "http_proxy=",   "https_proxy=",
		"HTTPS_PROXY=", "all_proxy=",	  "ALL_PROXY=",	   "no_proxy=",
		"NO_PROXY=",	"SSL_CERT_FILE=", "SSL_CERT_DIR=", "TZ="};
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
		if (text_starts(variable, beginnings[i]))
			return true;
	}
	return false;
}

/* What does not fit is left out whole. */
static void keep_for_agent(char *const *environment)
{
	size_t used = 0;
	for (char *const *e = environment; *e; e++) {
		size_t n = text_len(*e) + 1;
		if (!is_for_agent(*e) || used + n >= sizeof(settings.for_agent))
			continue;
		text_bytes(settings.for_agent + used, *e, n);
		used += n;
	}
}

/* INFERWIRE_ONLY: comma-separated patterns, against the program's name and the basename of each
 * argument (`python3 -m vllm.entrypoints...`, `python3 /opt/app/serve.py`). */
static bool selected_by(const char *patterns)
{
	for (const char *p = patterns; *p;) {
		const char *end = p;
		while (*end && *end != ',')
			end++;
		size_t left = sizeof(settings.command_line);
		for (const char *arg = settings.command_line; left && *arg;) {
			if (text_glob(p, (size_t)(end - p), text_basename(arg)))
				return true;
			size_t n = text_len(arg) + 1;
			arg += n;
			left = left > n ? left - n : 0;
		}
		p = *end ? end + 1 : end;
	}
	return false;
}

/* A power of two, so that the lanes' total is at most what was asked for. */
static uint32_t lane_bytes_of(const char *ring_bytes)
{
	uint64_t total = RING_BYTES_DEFAULT;
	const char *end;
	if (ring_bytes && (!text_number(ring_bytes, &total, &end) || *end))
		total = RING_BYTES_DEFAULT;
	uint32_t bytes = WIRE_LANE_BYTES_MIN;
	while (bytes < WIRE_LANE_BYTES_MAX && (uint64_t)bytes * 2 * WIRE_LANES_DEFAULT <= total)
		bytes *= 2;
	return bytes;
}

bool settings_read(char *const *environment)
{
	if (!environment)
		return false;
	const char *enabled = variable(environment, "INFERWIRE_ENABLED");
	const char *disabled = variable(environment, "OTEL_SDK_DISABLED");
	if (!enabled || !text_equal(enabled, "1"))
		return false;
	if (disabled && text_glob("true", 4, disabled))
		return false;
	read_command_line();
	const char *only = variable(environment, "INFERWIRE_ONLY");
	if (only && !selected_by(only))
		return false;
	const char *directory = variable(environment, "INFERWIRE_DIR");
	if (directory)
		copy_absolute(settings.directory, sizeof(settings.directory), directory);
	copy_variable(environment, "INFERWIRE_PROVIDER", settings.provider,
		      sizeof(settings.provider));
	copy_endpoints(variable(environment, "INFERWIRE_ENDPOINTS"));
	copy_variable(environment, "OTEL_SERVICE_NAME", settings.service_name,
		      sizeof(settings.service_name));
	copy_variable(environment, "OTEL_RESOURCE_ATTRIBUTES", settings.resource_attributes,
		      sizeof(settings.resource_attributes));
	const char *agent = variable(environment, "INFERWIRE_AGENT");
	settings.agent_external = agent && text_equal(agent, "external");
	settings.lane_bytes = lane_bytes_of(variable(environment, "INFERWIRE_RING_BYTES"));
	if (real_own_path())
		copy_absolute(settings.library, sizeof(settings.library), real_own_path());
	keep_for_agent(environment);
	return true;
}

const char *settings_default_directory(void)
{
	static char path[64];
	/* By the effective user at the time: servers drop privileges after they listened. */
	text_copy(path, sizeof(path), "/dev/shm/inferwire-");
	text_append_number(path, sizeof(path), (uint64_t)sys0(SYS_geteuid));
	return path;
}

const char *settings_directory(void)
{
	return settings.directory[0] ? settings.directory : settings_default_directory();
}
