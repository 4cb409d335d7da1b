/* Lines of /proc/PID/maps, what is none, and those of this process. */
#include "tests/unit/test.h"

#include "agent/intake/modules.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* From memory that ends with it. */
static const char *path_of(const char *line)
{
	static char path[256];
	size_t len = strlen(line);
	char *copy = malloc(len ? len : 1);
	memcpy(copy, line, len);
	struct span at = modules_path(span_of(copy, len));
	assert_true(at.len < sizeof(path));
	if (at.len)
		memcpy(path, at.at, at.len);
	path[at.len] = '\0';
	free(copy);
	return path;
}

static void test_lines(void **state)
{
	(void)state;
	assert_string_equal(path_of("7f31a0c00000-7f31a0c80000 r-xp 00028000 fe:00 931     "
				    "                   /usr/lib/libc.so.6"),
			    "/usr/lib/libc.so.6");
	assert_string_equal(path_of("7f31a0c00000-7f31a0c80000 r-xp 0 0:1 9 /a b (deleted)"),
			    "/a b (deleted)");
	/* Data of a file, memory without one, the kernel's own. */
	assert_string_equal(path_of("7f31a0c00000-7f31a0c80000 r--p 0 fe:00 931 /lib/x.so"), "");
	assert_string_equal(path_of("7f31a0c00000-7f31a0c80000 rwxp 00000000 00:00 0 "), "");
	assert_string_equal(path_of("7f31a0c00000-7f31a0c80000 r-xp 0 00:00 0 [vdso]"), "");
}

static void test_what_is_no_line(void **state)
{
	(void)state;
	static const char *const none[] = {
		"", " ", "/lib/x.so", "a r-xp", "a r-xp b c", "a x b c /", "a rwxrwx b c d /x.so"};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_string_equal(path_of(none[i]), "");
}

struct look {
	const char *wanted;
	unsigned found, all;
	unsigned most;
};

static bool on_path(void *user, struct span path)
{
	struct look *l = user;
	l->all++;
	l->found += span_ends(path, l->wanted);
	return l->all < l->most;
}

static void test_of_this_process(void **state)
{
	(void)state;
	char name[] = "/tmp/inferwire-module-XXXXXX";
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(code, MAP_FAILED);
	const struct process self = {.pid = (uint32_t)getpid()};
	struct look look = {.wanted = strrchr(name, '/'), .most = 10000};
	modules_each(&self, on_path, &look);
	assert_int_equal(look.found, 1);
	assert_true(look.all > 3);
	struct look one = {.wanted = "", .most = 1};
	modules_each(&self, on_path, &one);
	assert_int_equal(one.all, 1);
	/* Another's by now, or of a namespace in which the number is somebody else's. */
	const struct process others[] = {{.pid = (uint32_t)getpid(), .start_ticks = 1},
					 {.pid = (uint32_t)getpid(), .pid_ns = 1},
					 {.pid = 0},
					 {.pid = INT32_MAX}};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct look none = {.wanted = "", .most = 10000};
		modules_each(&others[i], on_path, &none);
		assert_int_equal(none.all, 0);
	}
	munmap(code, 4096);
	close(fd);
	unlink(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_what_is_no_line),
		cmocka_unit_test(test_of_this_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
