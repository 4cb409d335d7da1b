#include "agent/report.h"

#include "shim/wire.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOG_BYTES_MAX (1024 * 1024)

static int log_fd = -1; /* -1: stderr */

void report_to_log(int dir_fd)
{
	log_fd = openat(dir_fd, WIRE_LOG_NAME,
			O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static void limit_log(void)
{
	struct stat st;
	if (fstat(log_fd, &st) == 0 && st.st_size > LOG_BYTES_MAX && ftruncate(log_fd, 0) != 0)
		log_fd = -1;
}

void report(const char *format, ...)
{
	char line[1024];
	struct tm tm;
	time_t now = time(NULL);
	size_t at = 0;
	va_list args;
	if (log_fd >= 0) {
		limit_log();
		gmtime_r(&now, &tm);
		at = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%SZ ", &tm);
	} else {
		at = (size_t)snprintf(line, sizeof(line), "inferwire-agent: ");
	}
	va_start(args, format);
	int n = vsnprintf(line + at, sizeof(line) - at - 1, format, args);
	va_end(args);
	if (n < 0)
		return;
	size_t begin = at;
	at += (size_t)n < sizeof(line) - at - 1 ? (size_t)n : sizeof(line) - at - 2;
	/* A program's name may hold anything, line feeds and terminal sequences too. */
	for (size_t i = begin; i < at; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	}
	line[at++] = '\n';
	/* One write a line: several agents' lines never mix. */
	if (write(log_fd >= 0 ? log_fd : STDERR_FILENO, line, at) < 0)
		return;
}
