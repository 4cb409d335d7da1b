/*
 * A command is followed to the program that the kernel maps:
 *
 *   argv[0] --PATH--> file --"#!"--> interpreter --PATH--> file ... --> an ELF file: judged
 *                          `env X=1 python3 -u`: what env(1) will exec
 *
 * The kernel stops after a few interpreters (binfmt_script.c), and so does this.
 */
#include "tools/observe.h"

#include "tools/elf_tls.h"

#include <errno.h>
#include <elf.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define INTERPRETERS_MAX 6
#define SCRIPT_LINE	 256 /* BINPRM_BUF_SIZE: the kernel reads no more of a "#!" line */

const char *observe_basename(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static bool is_program(const char *path, int *error)
{
	struct stat st;
	if (stat(path, &st) != 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			*error = errno;
		return false;
	}
	if (!S_ISREG(st.st_mode) || access(path, X_OK) != 0) {
		*error = EACCES;
		return false;
	}
	return true;
}

/* As execvp(3): a name with a slash is a path, else the first on PATH that can be executed. */
static int find_program(const char *name, char *path)
{
	int error = ENOENT;
	if (strchr(name, '/') || !name[0]) {
		snprintf(path, PLACES_PATH_BYTES, "%s", name);
		return is_program(path, &error) ? 0 : error;
	}
	const char *list = getenv("PATH");
	if (!list)
		list = "/bin:/usr/bin";
	for (const char *p = list;; p++) {
		size_t n = strcspn(p, ":");
		int len = snprintf(path, PLACES_PATH_BYTES, "%.*s%s%s", (int)n, p, n ? "/" : "",
				   name);
		if (len > 0 && len < PLACES_PATH_BYTES && is_program(path, &error))
			return 0;
		p += n;
		if (!*p)
			return error;
	}
}

/* The words of a "#!" line, or false if the file has none. The kernel gives the rest of the line as
 * one argument; env -S splits it; so words are right for what env will start. */
static bool read_script(const char *path, char *line, char **words, int room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, line, SCRIPT_LINE);
	close(fd);
	if (n < 2 || line[0] != '#' || line[1] != '!')
		return false;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	int count = 0;
	char *rest = line + 2, *word;
	while (count < room - 1 && (word = strtok_r(rest, " \t\r", &rest)))
		words[count++] = word;
	words[count] = NULL;
	return count > 0;
}

/* What env(1) will start: its first argument that is neither an option nor an assignment. */
static char *const *skip_env(char *const *words)
{
	for (words++; *words; words++) {
		const char *w = *words;
		if (strcmp(w, "-u") == 0 || strcmp(w, "-C") == 0) {
			if (words[1])
				words++;
		} else if (w[0] != '-' && !strchr(w, '=')) {
			break;
		}
	}
	return words;
}

/* The kernel runs such a program in secure-execution mode (ld.so(8)), in which a path in LD_PRELOAD is
 * ignored. Told by the ids that would change, as the kernel does: root's own setuid root programs
 * change nothing. */
static const char *secure_execution(const char *path)
{
	struct stat st;
	struct statvfs fs;
	if (stat(path, &st) != 0)
		return NULL;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return NULL;
	if (statvfs(path, &fs) == 0 && (fs.f_flag & ST_NOSUID))
		return NULL;
	if ((st.st_mode & S_ISUID) && st.st_uid != getuid())
		return "it is setuid, and the loader then ignores LD_PRELOAD; "
		       "start it as the user that it changes to";
	if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getgid())
		return "it is setgid, and the loader then ignores LD_PRELOAD; "
		       "start it with the group that it changes to";
	if (getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
		return "it has file capabilities, and the loader then ignores LD_PRELOAD; "
		       "give it ambient ones instead (capabilities(7))";
	return NULL;
}

__attribute__((format(printf, 3, 4))) static void object_to(struct observe *o,
							    enum observe_reason reason,
							    const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(o->obstacle, sizeof(o->obstacle), format, args);
	va_end(args);
	o->reason = reason;
}

/* A program that has TLS inside and says so by its symbols, as node does. */
static void look_for_tls(const struct elf_file *file, struct observe *o)
{
	if (elf_tls_exported(file))
		snprintf(o->limit, sizeof(o->limit),
			 "it has its own OpenSSL inside, so its TLS connections are counted "
			 "and not read; let it serve plain HTTP behind a TLS proxy");
}

static void judge_elf(const struct elf_file *file, const struct elf_facts *library,
		      struct observe *o)
{
	const struct elf_facts *program = &o->facts;
	/* Of a process that runs, its user is not ours: who asks about it asks the kernel. */
	const char *secure = o->command[0] ? secure_execution(o->program) : NULL;
	if (program->machine != library->machine || program->class != library->class)
		object_to(o, OBSERVE_MACHINE,
			  "it is a %d-bit program for %s and the library is %d-bit %s; "
			  "use an inferwire built for it",
			  program->class * 32, elf_machine_name(program->machine),
			  library->class * 32, elf_machine_name(library->machine));
	else if (program->go)
		object_to(o, OBSERVE_GO,
			  "it is a Go program, and Go makes system calls past every library; "
			  "only servers that it starts are seen");
	else if (!program->interpreter && strncmp(observe_basename(o->program), "ld-", 3) != 0)
		object_to(o, OBSERVE_STATIC,
			  "it is statically linked, so nothing can be preloaded into it; "
			  "use a dynamically linked build, only servers that it starts are seen");
	else if (secure)
		object_to(o, OBSERVE_SECURE, "%s", secure);
	else
		look_for_tls(file, o);
}

static bool begins_as_elf(const char *path)
{
	char start[SELFMAG];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	bool is = read(fd, start, SELFMAG) == SELFMAG && memcmp(start, ELFMAG, SELFMAG) == 0;
	close(fd);
	return is;
}

/* `path` is where the program is to be read. */
static void judge(struct observe *o, const char *path, const struct elf_facts *library)
{
	struct elf_file file;
	if (elf_open(path, &file) == 0) {
		o->is_elf = elf_facts_of(&file, &o->facts) == 0;
		if (o->is_elf)
			judge_elf(&file, library, o);
		elf_close(&file);
	}
	if (!o->is_elf)
		o->reason = OBSERVE_UNKNOWN;
	if (!o->is_elf && begins_as_elf(path))
		object_to(o, OBSERVE_DAMAGED,
			  "it is a damaged ELF file, which the kernel will not start; "
			  "install it anew");
}

void observe_program(const char *path, const char *name, const struct elf_facts *library,
		     struct observe *o)
{
	memset(o, 0, sizeof(*o));
	snprintf(o->program, sizeof(o->program), "%s", name);
	judge(o, path, library);
}

/* What execvp(3) gives to the shell because the kernel refuses it: text without "#!". */
static bool is_plain_text(const char *path)
{
	char start[SCRIPT_LINE];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, start, sizeof(start));
	close(fd);
	return n >= 0 && memchr(start, '\0', (size_t)n) == NULL;
}

static void lose(struct observe *o, const char *next)
{
	object_to(o, OBSERVE_LOST,
		  "'%s', which is to start it, cannot be executed; "
		  "install it, or correct the first line of %s",
		  next, o->program);
}

/* Words of the script's first line live in the caller's `line`. */
static void follow(struct observe *o, char *const *rest, const struct elf_facts *library,
		   char *line)
{
	char *words[16], next[PLACES_PATH_BYTES];
	for (int i = 0; i < INTERPRETERS_MAX; i++) {
		if (strcmp(observe_basename(o->program), "env") == 0) {
			rest = skip_env(rest);
			if (!*rest)
				break; /* env(1) itself, which prints */
		} else if (read_script(o->program, line, words, 16)) {
			memcpy(o->script, o->program, sizeof(o->script));
			rest = words;
		} else {
			break;
		}
		if (find_program(*rest, next) != 0) {
			lose(o, *rest);
			return;
		}
		memcpy(o->program, next, sizeof(next));
	}
	if (read_script(o->program, line, words, 16)) {
		object_to(o, OBSERVE_LOST,
			  "its interpreters are scripts themselves, more than "
			  "the kernel follows; correct the first line of %s",
			  o->program);
		return;
	}
	o->arguments = o->script[0] ? NULL : rest;
	judge(o, o->program, library);
	if (o->reason == OBSERVE_UNKNOWN && is_plain_text(o->program)) {
		o->reason = OBSERVE_FINE;
		memcpy(o->script, o->program, sizeof(o->script));
		o->arguments = NULL;
		snprintf(o->program, sizeof(o->program), "/bin/sh");
		judge(o, o->program, library);
	}
}

void observe_command(char *const *argv, const struct elf_facts *library, struct observe *o)
{
	char line[SCRIPT_LINE + 1];
	memset(o, 0, sizeof(*o));
	o->error = find_program(argv[0], o->command);
	if (o->error) {
		o->command[0] = '\0';
		return;
	}
	memcpy(o->program, o->command, sizeof(o->program));
	follow(o, argv, library, line);
}
