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

/* The kernel's copy of the arguments: musl gives constructors none. */
static void read_command_line(void)
{
	long fd = sys4(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
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

/* The loader may know this object by a path relative to a directory that the program leaves. */
static void read_library_path(void)
{
	const char *path = real_own_path();
	if (!path)
		return;
	if (path[0] != '/') {
		/* getcwd(2) returns the length with its NUL, or a negative errno. */
		if (sys2(SYS_getcwd, settings.library, sizeof(settings.library)) <= 0 ||
		    !text_append(settings.library, sizeof(settings.library), "/")) {
			settings.library[0] = '\0';
			return;
		}
	}
	if (!text_append(settings.library, sizeof(settings.library), path))
		settings.library[0] = '\0';
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
	copy_variable(environment, "INFERWIRE_DIR", settings.directory, sizeof(settings.directory));
	copy_variable(environment, "INFERWIRE_PROVIDER", settings.provider,
		      sizeof(settings.provider));
	copy_variable(environment, "OTEL_SERVICE_NAME", settings.service_name,
		      sizeof(settings.service_name));
	copy_variable(environment, "OTEL_RESOURCE_ATTRIBUTES", settings.resource_attributes,
		      sizeof(settings.resource_attributes));
	const char *agent = variable(environment, "INFERWIRE_AGENT");
	settings.agent_external = agent && text_equal(agent, "external");
	settings.lane_bytes = lane_bytes_of(variable(environment, "INFERWIRE_RING_BYTES"));
	read_library_path();
	return true;
}

const char *settings_directory(void)
{
	static char path[sizeof(settings.directory)];
	if (settings.directory[0])
		return settings.directory;
	/* By the effective user at the time: servers drop privileges after they listened. */
	text_copy(path, sizeof(path), "/dev/shm/inferwire-");
	text_append_number(path, sizeof(path), (uint64_t)sys0(SYS_geteuid));
	return path;
}
