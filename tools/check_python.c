/*
 * Which module a Python command runs, and its extension modules, which are libraries like others:
 *
 *   python -m granian app:app          the module is named
 *   .../bin/granian app:app            a console script: it imports the module
 *   python serve.py                    what the script imports by its first words on a line
 *
 * Files are read, nothing is executed. What is imported from there on is not followed.
 */
#include "tools/check.h"

#include <fts.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRIPT_BYTES   65536 /* of a script that are read for its imports */
#define IMPORTS_MAX    32
#define EXTENSIONS_MAX 128   /* of one package */
#define PACKAGE_VISITS 20000 /* files and folders of one package */
#define PACKAGE_DEPTH  5
#define IMPORT_BYTES   64

struct python {
	struct check *check;
	char folders[16][PLACES_PATH_BYTES]; /* where modules are */
	size_t folder_count;
	char prefix[PLACES_PATH_BYTES]; /* of the standard library */
	char version[32];		/* "python3.11" */
};

static void add_folder(struct python *p, const char *folder, size_t len)
{
	if (len && p->folder_count < 16)
		snprintf(p->folders[p->folder_count++], PLACES_PATH_BYTES, "%.*s", (int)len,
			 folder);
}

__attribute__((format(printf, 2, 3))) static void add_matching(struct python *p, const char *format,
							       ...)
{
	char pattern[2 * PLACES_PATH_BYTES];
	glob_t found;
	va_list args;
	va_start(args, format);
	vsnprintf(pattern, sizeof(pattern), format, args);
	va_end(args);
	if (glob(pattern, GLOB_ONLYDIR, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			add_folder(p, found.gl_pathv[i], strlen(found.gl_pathv[i]));
		globfree(&found);
	}
}

static void cut_last(char *path)
{
	char *slash = strrchr(path, '/');
	*(slash ? slash : path) = '\0';
}

/* PREFIX of PREFIX/bin/python. */
static void prefix_of(const char *program, char *prefix)
{
	snprintf(prefix, PLACES_PATH_BYTES, "%s", program);
	cut_last(prefix);
	cut_last(prefix);
}

/* As site(3) adds them: a virtual environment's, or the interpreter's own and the user's. */
static void find_folders(struct python *p, const char *program)
{
	char real[PLACES_PATH_BYTES], prefix[PLACES_PATH_BYTES], config[PLACES_PATH_BYTES + 16];
	if (!realpath(program, real))
		return;
	snprintf(p->version, sizeof(p->version), "%.31s", observe_basename(real));
	prefix_of(real, p->prefix);
	const char *told = getenv("PYTHONPATH");
	for (const char *t = told ? told : ""; *t; t += *t == ':') {
		size_t len = strcspn(t, ":");
		add_folder(p, t, len);
		t += len;
	}
	prefix_of(program, prefix);
	snprintf(config, sizeof(config), "%s/pyvenv.cfg", prefix);
	if (access(config, F_OK) == 0) {
		add_matching(p, "%s/lib*/%s/site-packages", prefix, p->version);
		return;
	}
	const char *home = getenv("HOME");
	if (home && home[0])
		add_matching(p, "%s/.local/lib/%s/site-packages", home, p->version);
	add_matching(p, "%s/lib*/%s/site-packages", p->prefix, p->version);
	if (strcmp(p->prefix, "/usr") == 0) {
		add_matching(p, "/usr/local/lib/%s/dist-packages", p->version);
		add_matching(p, "/usr/lib/python3/dist-packages");
	}
}

static bool is_extension(const char *name)
{
	size_t n = strlen(name);
	return n > 3 && strcmp(name + n - 3, ".so") == 0;
}

/* The extension modules of a package, in its folder and below. */
static void add_package(struct check *c, char *folder)
{
	char *const roots[] = {folder, NULL};
	size_t visits = 0, extensions = 0;
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
	if (!tree)
		return;
	for (FTSENT *e; (e = fts_read(tree)) && visits < PACKAGE_VISITS; visits++) {
		if (e->fts_info == FTS_D && e->fts_level >= PACKAGE_DEPTH)
			fts_set(tree, e, FTS_SKIP);
		if (e->fts_info != FTS_F || !is_extension(e->fts_name))
			continue;
		if (extensions++ == EXTENSIONS_MAX || needed_add(&c->needed, e->fts_path) != 0)
			break;
	}
	if (visits == PACKAGE_VISITS || extensions > EXTENSIONS_MAX)
		c->needed.cut = true;
	fts_close(tree);
}

/* A module in one folder: a package, an extension, or a file of Python. */
static bool add_module_in(struct python *p, const char *folder, const char *name)
{
	char path[2 * PLACES_PATH_BYTES];
	struct stat st;
	glob_t found;
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		snprintf(p->check->module_path, PLACES_PATH_BYTES, "%.4095s", path);
		add_package(p->check, path);
		return true;
	}
	snprintf(path, sizeof(path), "%s/%s.*so", folder, name);
	if (glob(path, 0, NULL, &found) == 0) {
		snprintf(p->check->module_path, PLACES_PATH_BYTES, "%s", found.gl_pathv[0]);
		needed_add(&p->check->needed, found.gl_pathv[0]);
		globfree(&found);
		return true;
	}
	snprintf(path, sizeof(path), "%s/%s.py", folder, name);
	if (access(path, F_OK) != 0)
		return false;
	snprintf(p->check->module_path, PLACES_PATH_BYTES, "%.4095s", path);
	return true;
}

/* What stands before the first dot of the module's name is what is looked for. */
static bool add_module(struct python *p, const char *module)
{
	char name[IMPORT_BYTES];
	size_t len = strcspn(module, ".");
	if (!len || len >= sizeof(name) || strcspn(module, "/*?[") < len)
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)len, module);
	for (size_t i = 0; i < p->folder_count; i++) {
		if (add_module_in(p, p->folders[i], name))
			return true;
	}
	return false;
}

/* "import a.b, c as d" and "from a.b import c", at the beginning of a line: a; a. */
static bool read_import(const char *line, char *name)
{
	size_t skip = strncmp(line, "import ", 7) == 0 ? 7 : strncmp(line, "from ", 5) == 0 ? 5 : 0;
	if (!skip)
		return false;
	line += skip + strspn(line + skip, " \t");
	size_t len = strcspn(line, " \t\r\n.,;#");
	if (!len || len >= IMPORT_BYTES)
		return false;
	snprintf(name, IMPORT_BYTES, "%.*s", (int)len, line);
	return true;
}

/* The first of a console script's imports that is a module outside the standard library is its own. */
static void add_script(struct python *p, const char *path, bool is_console)
{
	char line[1024], name[IMPORT_BYTES];
	size_t read = 0, imports = 0;
	FILE *in = fopen(path, "re");
	if (!in)
		return;
	while (read < SCRIPT_BYTES && imports < IMPORTS_MAX && fgets(line, sizeof(line), in)) {
		read += strlen(line);
		if (!read_import(line, name))
			continue;
		imports++;
		if (add_module(p, name) && is_console && !p->check->module[0])
			snprintf(p->check->module, sizeof(p->check->module), "%s", name);
		if (!is_console)
			p->check->module_path[0] = '\0';
	}
	fclose(in);
}

/* The script or the module of `python [OPTION...] SCRIPT|-m MODULE|-c CODE`; NULL: neither. */
static const char *read_arguments(char *const *argv, bool *is_module)
{
	*is_module = false;
	for (argv++; *argv; argv++) {
		const char *a = *argv;
		if (a[0] != '-')
			return a;
		if (!a[1] || a[1] == '-')
			return NULL;
		const char *taking = strpbrk(a + 1, "mcWX");
		if (!taking)
			continue;
		const char *value = taking[1] ? taking + 1 : *++argv;
		*is_module = *taking == 'm';
		if (*taking == 'm' || *taking == 'c' || !value)
			return *taking == 'm' ? value : NULL;
	}
	return NULL;
}

static bool is_regular(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* CPython's own modules that serve. Where one has no file, it is inside the interpreter, which is looked
 * at anyhow. */
static void add_own_modules(struct python *p)
{
	static const char *const names[] = {"_socket", "_ssl"};
	char pattern[PLACES_PATH_BYTES + 64];
	glob_t found;
	for (size_t i = 0; i < 2; i++) {
		snprintf(pattern, sizeof(pattern), "%s/lib*/%s/lib-dynload/%s.*so", p->prefix,
			 p->version, names[i]);
		if (glob(pattern, 0, NULL, &found) != 0)
			continue;
		needed_add(&p->check->needed, found.gl_pathv[0]);
		globfree(&found);
	}
}

void check_python(struct check *c)
{
	static struct python p;
	memset(&p, 0, sizeof(p));
	p.check = c;
	bool is_module = false;
	const char *what = c->seen.script;
	if (c->seen.arguments)
		what = read_arguments(c->seen.arguments, &is_module);
	if (is_module)
		add_folder(&p, ".", 1);
	else if (what)
		add_folder(&p, what, (size_t)(observe_basename(what) - what));
	find_folders(&p, c->seen.program);
	add_own_modules(&p);
	if (is_module && what) {
		snprintf(c->module, sizeof(c->module), "%.255s", what);
		add_matching(&p, "%s/lib*/%s", p.prefix, p.version); /* http.server */
		add_module(&p, what);
	} else if (what && what[0] && is_regular(what)) {
		add_script(&p, what, c->seen.script[0] != '\0');
	}
}
