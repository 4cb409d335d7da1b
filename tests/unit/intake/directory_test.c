/*
 * The ring directory: what another user could have put in its place, its lock, its names.
 */
#include "tests/unit/test.h"

#include "agent/intake/directory.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[64], path[128], error[512];

static int setup(void **state)
{
	(void)state;
	snprintf(base, sizeof(base), "/tmp/inferwire-test-XXXXXX");
	assert_non_null(mkdtemp(base));
	snprintf(path, sizeof(path), "%s/rings", base);
	assert_int_equal(setenv("INFERWIRE_DIR", path, 1), 0);
	error[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	char command[200];
	snprintf(command, sizeof(command), "rm -rf %s", base);
	return system(command);
}

static void opens(struct directory *d)
{
	assert_int_equal(directory_open(d, error, sizeof(error)), 0);
	assert_string_equal(error, "");
}

/* And says in one line which directory it is about. */
static void refuses(int want)
{
	struct directory d;
	int err = directory_open(&d, error, sizeof(error));
	assert_int_equal(err, want);
	assert_int_equal(d.fd, -1);
	assert_non_null(strstr(error, path));
	assert_null(strchr(error, '\n'));
}

static void put_file(const struct directory *d, const char *name)
{
	int fd = openat(d->fd, name, O_CREAT | O_WRONLY | O_EXCL, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void test_it_is_made_and_taken_as_it_is(void **state)
{
	(void)state;
	struct directory d;
	struct stat st;
	mode_t before = umask(0);
	opens(&d);
	umask(before);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_string_equal(d.path, path);
	directory_close(&d);
	opens(&d);
	directory_close(&d);
}

static void test_a_link_is_not_followed(void **state)
{
	(void)state;
	char other[128];
	snprintf(other, sizeof(other), "%s/other", base);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(symlink(other, path), 0);
	struct directory d;
	assert_int_not_equal(directory_open(&d, error, sizeof(error)), 0);
	assert_non_null(strstr(error, path));
}

static void test_a_file_is_no_directory(void **state)
{
	(void)state;
	close(open(path, O_CREAT | O_WRONLY, 0600));
	refuses(-ENOTDIR);
}

static void test_it_must_be_closed_to_others(void **state)
{
	(void)state;
	static const mode_t modes[] = {0710, 0701, 0770, 0707, 0755, 01777};
	assert_int_equal(mkdir(path, 0700), 0);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		refuses(-EPERM);
		assert_non_null(strstr(error, "chmod 700"));
	}
}

static void test_it_must_be_ours(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chown(path, 65534, (gid_t)-1), 0);
	refuses(-EPERM);
	assert_non_null(strstr(error, "INFERWIRE_DIR"));
}

static void test_where_it_cannot_be(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "%s/none/rings", base);
	setenv("INFERWIRE_DIR", path, 1);
	refuses(-ENOENT);
	char longest[400];
	struct directory d;
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	setenv("INFERWIRE_DIR", longest, 1);
	assert_int_equal(directory_open(&d, error, sizeof(error)), -ENAMETOOLONG);
}

static void test_the_lock_is_one_agents(void **state)
{
	(void)state;
	struct directory one, two;
	opens(&one);
	opens(&two);
	assert_int_equal(directory_holder(&two), 0);
	assert_int_equal(directory_lock(&one), 0);
	assert_int_equal(directory_lock(&two), -EAGAIN);
	assert_int_equal(directory_holder(&two), getpid());
	directory_unlock(&one);
	assert_int_equal(directory_lock(&two), 0);
	assert_int_equal(directory_lock(&one), -EAGAIN);
	directory_close(&two);
	assert_int_equal(directory_lock(&one), 0);
	directory_close(&one);
}

static void test_a_link_is_no_lock(void **state)
{
	(void)state;
	struct directory d;
	char victim[128];
	snprintf(victim, sizeof(victim), "%s/victim", base);
	opens(&d);
	assert_int_equal(symlinkat(victim, d.fd, "agent.lock"), 0);
	assert_int_equal(directory_lock(&d), -ELOOP);
	assert_int_equal(access(victim, F_OK), -1);
	directory_close(&d);
}

static void on_found(void *user, const char *name)
{
	char *names = user;
	size_t len = strlen(names);
	snprintf(names + len, 500 - len, "%s ", name);
}

static void test_a_scan_finds_whole_rings(void **state)
{
	(void)state;
	struct directory d;
	char names[500] = "", longest[200];
	opens(&d);
	memset(longest, 'x', sizeof(longest));
	snprintf(longest + DIRECTORY_NAME_BYTES - 5, 6, ".ring");
	put_file(&d, longest);
	put_file(&d, "1-2-0.ring");
	put_file(&d, "1-2-0.new");
	put_file(&d, "agent.lock");
	put_file(&d, ".ring");
	put_file(&d, "1-2-0.ring.old");
	directory_scan(&d, on_found, names);
	assert_string_equal(names, "1-2-0.ring ");
	names[0] = '\0';
	directory_scan(&d, on_found, names);
	assert_string_equal(names, "1-2-0.ring ");
	directory_close(&d);
}

static void make_old(const struct directory *d, const char *name)
{
	const struct timespec times[2] = {{1000, 0}, {1000, 0}};
	assert_int_equal(utimensat(d->fd, name, times, 0), 0);
}

static void test_half_made_rings_of_the_dead_are_swept(void **state)
{
	(void)state;
	struct directory d;
	char names[500] = "", ours[64];
	snprintf(ours, sizeof(ours), "%d-0-0.new", getpid());
	opens(&d);
	put_file(&d, "2000000000-5-0.new");
	put_file(&d, "2000000000-6-0.new");
	put_file(&d, "notes.new");
	put_file(&d, ours);
	make_old(&d, "2000000000-5-0.new");
	make_old(&d, "notes.new");
	make_old(&d, ours);
	directory_scan(&d, on_found, names);
	assert_int_equal(faccessat(d.fd, "2000000000-5-0.new", F_OK, 0), -1);
	assert_int_equal(faccessat(d.fd, "2000000000-6-0.new", F_OK, 0), 0); /* young */
	assert_int_equal(faccessat(d.fd, "notes.new", F_OK, 0), 0);
	assert_int_equal(faccessat(d.fd, ours, F_OK, 0), 0); /* its maker lives */
	directory_close(&d);
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 0) == 1;
}

static void test_a_new_ring_wakes(void **state)
{
	(void)state;
	struct directory d;
	opens(&d);
	assert_true(d.watch_fd >= 0);
	put_file(&d, "1-2-0.new");
	assert_false(readable(d.watch_fd));
	assert_int_equal(renameat(d.fd, "1-2-0.new", d.fd, "1-2-0.ring"), 0);
	assert_true(readable(d.watch_fd));
	directory_drain(&d);
	assert_false(readable(d.watch_fd));
	directory_close(&d);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_it_is_made_and_taken_as_it_is),
		TEST(test_a_link_is_not_followed),
		TEST(test_a_file_is_no_directory),
		TEST(test_it_must_be_closed_to_others),
		TEST(test_it_must_be_ours),
		TEST(test_where_it_cannot_be),
		TEST(test_the_lock_is_one_agents),
		TEST(test_a_link_is_no_lock),
		TEST(test_a_scan_finds_whole_rings),
		TEST(test_half_made_rings_of_the_dead_are_swept),
		TEST(test_a_new_ring_wakes),
	};
	return cmocka_run_group_tests_name("intake/directory", tests, NULL, NULL);
}
