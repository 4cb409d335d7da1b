/*
 * C's stdio: streams on descriptors, and what is printed straight to one.
 */
#define _GNU_SOURCE
#include "tests/shim/transparent/row.h"

#include <stdarg.h>
#include <stdio.h>

/* Reads a line, writes one, and closes; what came of it in one number. */
static long used(FILE *file)
{
	char line[64];
	if (!file)
		return -1;
	int error = errno;
	setvbuf(file, NULL, _IOFBF, 128);
	long got = fgets(line, sizeof(line), file) ? (long)strlen(line) : -1;
	fseek(file, 0, SEEK_CUR);
	long put = fputs("HTTP/1.1 200 OK\r\n", file) < 0 ? 1 : 0;
	long shut = fclose(file);
	errno = error;
	return got * 100 + put * 10 + (shut ? 1 : 0);
}

static int vprinted(int fd, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vdprintf(fd, format, args);
	va_end(args);
	return n;
}

#ifdef __GLIBC__
/* What -D_FORTIFY_SOURCE makes of them. */
int __dprintf_chk(int fd, int flag, const char *format, ...);
int __vdprintf_chk(int fd, int flag, const char *format, va_list args);

static int vprinted_checked(int fd, int flag, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = __vdprintf_chk(fd, flag, format, args);
	va_end(args);
	return n;
}

static void rows_of_checked(enum kind kind)
{
	R(__dprintf_chk(fd, 1, "HTTP/1.1 %d %s\r\n", 200, "OK"));
	R(__dprintf_chk(fd, 0, "%d %d %d %d %d %g", 1, 2, 3, 4, 5, 6.5));
	R(vprinted_checked(fd, 1, "%s %g %d", "checked", 1.5, 7));
}
#else
static void rows_of_checked(enum kind kind)
{
	(void)kind;
}
#endif

/* Nothing to read makes fgets wait. */
static bool may_read(enum kind kind)
{
	return kind == KIND_EOF || kind == KIND_FILE || kind == KIND_FILE_READ_ONLY ||
	       kind == KIND_DIRECTORY || kind == KIND_CLOSED || kind == KIND_NEGATIVE ||
	       kind == KIND_TOO_LARGE;
}

static long opened_only(FILE *file)
{
	return file ? 1 : -1;
}

static long written(FILE *file)
{
	if (!file)
		return -1;
	int error = errno;
	long put = fputs("HTTP/1.1 200 OK\r\n", file) < 0 ? 1 : 0;
	put += fflush(file) ? 10 : 0;
	errno = error;
	return put;
}

void rows_of_stdio(enum kind kind)
{
	R(opened_only(fdopen(fd, "r")));
	R(opened_only(fdopen(fd, "r+")));
	R(opened_only(fdopen(fd, "a")));
	R(opened_only(fdopen(fd, "no mode")));
	R(written(fdopen(fd, "w")));
	if (may_read(kind))
		R(used(fdopen(fd, "r+")));
	R(dprintf(fd, "HTTP/1.1 %d %s\r\n", 200, "OK"));
	R(dprintf(fd, "%s", ""));
	R(dprintf(fd, "%1000d", 7));
	R(dprintf(fd, "%s %g %ld %c %p", "many", 1.5, -7L, 'x', NULL));
	R(vprinted(fd, "%d %s %g %d %d %d %d %d %g", 1, "two", 3.5, 4, 5, 6, 7, 8, 9.25));
	rows_of_checked(kind);
}
