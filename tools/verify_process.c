#include "tools/verify_process.h"

#include "tools/preload.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS 3000

extern char **environ;

/* Nothing of the user's configuration, and no proxy between two sockets of this machine. */
static void clear_environment(void)
{
	static const char *const prefixes[] = {
		"INFERWIRE_", "OTEL_", "http_proxy=", "HTTP_PROXY=", "all_proxy=", "ALL_PROXY="};
	for (char **e = environ; *e;) {
		bool ours = false;
		for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
			ours |= strncmp(*e, prefixes[i], strlen(prefixes[i])) == 0;
		char name[256];
		int n = snprintf(name, sizeof(name), "%.*s", (int)strcspn(*e, "="), *e);
		if (!ours || n <= 0 || (size_t)n >= sizeof(name) || unsetenv(name) != 0)
			e++; /* unsetenv moved the rest down, else */
	}
}

static _Noreturn void become_server(const struct places *places, const char *directory,
				    int collector_port, const int in[2], const int out[2])
{
	char endpoint[64];
	clear_environment();
	if (collector_port) {
		snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", collector_port);
		setenv("INFERWIRE_ENABLED", "1", 1);
		setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint, 1);
		setenv("OTEL_METRIC_EXPORT_INTERVAL", "500", 1);
	}
	setenv("INFERWIRE_DIR", directory, 1);
	if (!preload_append(places->library) || dup2(in[0], STDIN_FILENO) < 0 ||
	    dup2(out[1], STDOUT_FILENO) < 0)
		_exit(127);
	execl("/proc/self/exe", "inferwire", "verify-server", (char *)NULL);
	_exit(127);
}

static int read_port(int fd, int *port)
{
	char text[16] = "";
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	if (poll(&wait, 1, START_MS) <= 0)
		return -ETIMEDOUT;
	if (read(fd, text, sizeof(text) - 1) <= 0)
		return -ECHILD;
	*port = (int)strtol(text, NULL, 10);
	return *port > 0 ? 0 : -EPROTO;
}

int verify_process_start(struct verify_process *p, const struct places *places,
			 const char *directory, int collector_port)
{
	int in[2], out[2];
	memset(p, 0, sizeof(*p));
	if (pipe2(in, O_CLOEXEC) != 0)
		return -errno;
	if (pipe2(out, O_CLOEXEC) != 0) {
		int error = errno;
		close(in[0]);
		close(in[1]);
		return -error;
	}
	pid_t child = fork();
	if (child == 0)
		become_server(places, directory, collector_port, in, out);
	int ret = child < 0 ? -errno : 0;
	close(in[0]);
	close(out[1]);
	p->pid = child < 0 ? 0 : child;
	p->control = in[1];
	if (ret == 0)
		ret = read_port(out[0], &p->port);
	close(out[0]);
	if (ret < 0)
		verify_process_stop(p);
	return ret;
}

bool verify_process_has_loaded(const struct verify_process *p, const char *library)
{
	char path[64], line[PLACES_PATH_BYTES + 128];
	bool found = false;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)p->pid);
	FILE *maps = fopen(path, "re");
	while (maps && !found && fgets(line, sizeof(line), maps))
		found = strstr(line, library) != NULL;
	if (maps)
		fclose(maps);
	return found;
}

void verify_process_stop(struct verify_process *p)
{
	if (p->control > 0)
		close(p->control);
	p->control = 0;
	if (p->pid <= 0)
		return;
	/* It has a call of a fraction of a second to finish, at most. */
	for (int tries = 0; tries < 100; tries++) {
		if (waitpid(p->pid, NULL, WNOHANG) != 0) {
			p->pid = 0;
			return;
		}
		poll(NULL, 0, 10);
	}
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	p->pid = 0;
}
