/*
 * A command is followed to the program that the kernel maps:
 *
 *   argv[0] --PATH--> file --"#!"--> interpreter --PATH--> file ... --> an ELF file: judged
 *                          `env X=1 python3 -u`: what env(1) will exec
 *
 * The kernel stops after a few interpreters (binfmt_script.c), and so does this.
 */
#include "tools/observe.h"

#include <errno.h>
#include <fcntl.h>
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

static const char *basename_of(const char *path)
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

static void judge(struct observe *o, const struct elf_facts *library)
{
	struct elf_facts program;
	if (elf_read(o->program, &program) != 0)
		return;
	const char *secure = secure_execution(o->program);
	size_t room = sizeof(o->obstacle);
	if (program.machine != library->machine || program.class != library->class) {
		snprintf(o->obstacle, room,
			 "it is a %d-bit program for %s and the library is %d-bit %s; "
			 "use an inferwire built for it",
			 program.class * 32, elf_machine_name(program.machine), library->class * 32,
			 elf_machine_name(library->machine));
	} else if (program.go) {
		snprintf(o->obstacle, room,
			 "it is a Go program, and Go makes system calls past every library; "
			 "only servers that it starts are seen");
	} else if (!program.interpreter && strncmp(basename_of(o->program), "ld-", 3) != 0) {
		snprintf(o->obstacle, room,
			 "it is statically linked, so nothing can be preloaded into it; "
			 "use a dynamically linked build, only servers that it starts are seen");
	} else if (secure) {
		snprintf(o->obstacle, room, "%s", secure);
	}
}

void observe_command(char *const *argv, const struct elf_facts *library, struct observe *o)
{
	char line[SCRIPT_LINE + 1];
	char *words[16];
	memset(o, 0, sizeof(*o));
	o->error = find_program(argv[0], o->command);
	if (o->error) {
		o->command[0] = '\0';
		return;
	}
	snprintf(o->program, sizeof(o->program), "%s", o->command);
	char *const *rest = argv;
	for (int i = 0; i < INTERPRETERS_MAX; i++) {
		if (strcmp(basename_of(o->program), "env") == 0) {
			rest = skip_env(rest);
			if (!*rest || find_program(*rest, o->program) != 0)
				return;
		} else if (read_script(o->program, line, words, 16)) {
			rest = words;
			if (find_program(words[0], o->program) != 0)
				return;
		} else {
			judge(o, library);
			return;
		}
	}
}
