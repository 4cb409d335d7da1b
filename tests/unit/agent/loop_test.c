/*
 * The whole loop, with a call log and no receiver: when it ends, what it leaves, whose lock it holds.
 * The modules are no part of a stage's archive: they are included here.
 */
#include "tests/unit/agent/exchange.h"
#include "tests/unit/intake/live_process.h"

#include "agent/report.c"
#include "agent/status_file.c"
#include "agent/watch.c"

/* What a shim does at the last moment before the lock is given up. */
static void (*before_unlock)(void);
static void unlock_late(struct directory *d)
{
	if (before_unlock)
		before_unlock();
	before_unlock = NULL;
	directory_unlock(d);
}
#define directory_unlock unlock_late
#include "agent/loop.c"
#undef directory_unlock

#include <sys/wait.h>

#define MS 1000000ull

struct fixture {
	struct made_ring m;
	struct directory dir;
	struct config config;
	char log[128];
	int signal_fd;
	uint64_t began_ns;
};
static struct fixture *fx;

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char error[256];
	sigset_t set;
	made_directory(&f->m);
	setenv("INFERWIRE_DIR", f->m.dir, 1);
	assert_int_equal(directory_open(&f->dir, error, sizeof(error)), 0);
	assert_int_equal(directory_lock(&f->dir), 0);
	snprintf(f->log, sizeof(f->log), "%s/calls.jsonl", f->m.dir);
	f->config = (struct config){.interval_ms = 60000, .call_log = f->log};
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	f->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	report_to_log(f->dir.fd);
	fx = *state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	unlinkat(f->m.dir_fd, "calls.jsonl", 0);
	unlinkat(f->m.dir_fd, WIRE_LOCK_NAME, 0);
	unlinkat(f->m.dir_fd, WIRE_LOG_NAME, 0);
	close(log_fd);
	log_fd = -1;
	directory_close(&f->dir);
	close(f->signal_fd);
	made_ring_remove(&f->m);
	free(f);
	return 0;
}

static void run_loop(struct fixture *f, uint64_t patience_ns)
{
	struct loop_options options = {.patience_ns = patience_ns};
	f->began_ns = clock_mono_ns();
	assert_int_equal(loop_run(&f->dir, &f->config, &options, f->signal_fd), 0);
	assert_int_equal(f->dir.lock_fd, -1);
	assert_int_equal(faccessat(f->m.dir_fd, STATUS_FILE_NAME, F_OK, 0), -1);
}

static bool is_there(const struct fixture *f, const char *name)
{
	return faccessat(f->m.dir_fd, name, F_OK, 0) == 0;
}

static unsigned lines_with(const struct fixture *f, const char *file, const char *text)
{
	char path[200], line[4096];
	unsigned n = 0;
	snprintf(path, sizeof(path), "%s/%s", f->m.dir, file);
	FILE *in = fopen(path, "r");
	while (in && fgets(line, sizeof(line), in))
		n += strstr(line, text) != NULL;
	if (in)
		fclose(in);
	return n;
}

/* A pid that was, and is not waited for any more. */
static uint32_t dead_pid(void)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	return (uint32_t)pid;
}

static void test_what_the_dead_left_goes_out_and_it_ends(void **state)
{
	struct fixture *f = *state;
	made_ring_file(&f->m, "1-2-0.ring", dead_pid(), 5, 1, WIRE_LANE_BYTES_MIN);
	put_request(&f->m, 8);
	put_response(&f->m, 8);
	put_request(&f->m, 9);
	run_loop(f, 0);
	assert_false(is_there(f, "1-2-0.ring"));
	assert_int_equal(lines_with(f, "calls.jsonl", "\"m\""), 2);
	assert_int_equal(lines_with(f, "calls.jsonl", "server_crash"), 1);
	assert_int_equal(lines_with(f, WIRE_LOG_NAME, "ended: 2 calls, 0 lost"), 1);
}

static void test_lines_that_the_call_log_lost_are_told(void **state)
{
	struct fixture *f = *state;
	f->config.call_log = (char *)"/dev/full";
	made_ring_file(&f->m, "1-2-0.ring", dead_pid(), 5, 1, WIRE_LANE_BYTES_MIN);
	put_request(&f->m, 8);
	put_response(&f->m, 8);
	run_loop(f, 0);
	assert_int_equal(lines_with(f, WIRE_LOG_NAME, "/dev/full: lines that were lost: 1"), 1);
}

static void test_patience_ends(void **state)
{
	struct fixture *f = *state;
	run_loop(f, 30 * MS);
	assert_in_range(clock_mono_ns() - f->began_ns, 30 * MS, 2000 * MS);
}

static void test_what_is_none_of_ours_is_left_alone(void **state)
{
	struct fixture *f = *state;
	made_ring_file(&f->m, "1-2-0.ring", dead_pid(), 5, 1, WIRE_LANE_BYTES_MIN);
	made_header(&f->m)->version++;
	int fd = openat(f->m.dir_fd, "notes.ring", O_CREAT | O_WRONLY, 0600);
	close(fd);
	before_unlock = NULL;
	run_loop(f, 30 * MS);
	assert_true(is_there(f, "1-2-0.ring"));
	assert_true(is_there(f, "notes.ring"));
	assert_int_equal(lines_with(f, WIRE_LOG_NAME, "left alone"), 2);
	assert_int_equal(lines_with(f, WIRE_LOG_NAME, "another version"), 1);
	unlinkat(f->m.dir_fd, "notes.ring", 0);
}

static void test_a_signal_ends_it_and_the_living_keep_their_rings(void **state)
{
	struct fixture *f = *state;
	made_ring_file(&f->m, "1-2-0.ring", (uint32_t)getpid(), ticks_of(getpid()), 1,
		       WIRE_LANE_BYTES_MIN);
	put_request(&f->m, 8);
	put_response(&f->m, 8);
	kill(getpid(), SIGTERM);
	run_loop(f, 0);
	assert_true(is_there(f, "1-2-0.ring"));
	assert_int_equal(lines_with(f, "calls.jsonl", "\"m\""), 1);
	/* It was read: the next agent does not count it again. */
	assert_int_equal(made_lane(&f->m, 0)->tail, made_lane(&f->m, 0)->head);
}

/* Descriptors of this process, which stands for the one that is watched. */
#define CLOSED	  900
#define LEFT_OPEN 901

static void make_image(struct fixture *f, const char *name, uint64_t made_ns)
{
	made_ring_file(&f->m, name, (uint32_t)getpid(), ticks_of(getpid()), 1, WIRE_LANE_BYTES_MIN);
	made_header(&f->m)->made_mono_ns = made_ns;
	put_request(&f->m, CLOSED);
	put_request(&f->m, LEFT_OPEN);
}

/* Whatever their numbers say, and in whatever order the directory has them. What exec left open the
 * program that came may answer. */
static void test_after_exec_the_ring_that_was_made_last_is_in_use(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(dup2(STDERR_FILENO, LEFT_OPEN), LEFT_OPEN);
	for (uint64_t first = 1; first <= 3; first += 2) {
		make_image(f, "1-2-0.ring", first);
		/* Who has a ring in use has it mapped. */
		void *map = f->m.map;
		make_image(f, "1-2-1.ring", 2);
		kill(getpid(), SIGTERM);
		run_loop(f, 0);
		assert_int_equal(is_there(f, "1-2-0.ring"), first == 3);
		assert_int_equal(is_there(f, "1-2-1.ring"), first == 1);
		assert_int_equal(lines_with(f, "calls.jsonl", "server_crash"), (first + 1) / 2);
		unlinkat(f->m.dir_fd, "1-2-0.ring", 0);
		unlinkat(f->m.dir_fd, "1-2-1.ring", 0);
		munmap(map, f->m.bytes);
		if (first < 3)
			munmap(f->m.map, f->m.bytes);
	}
	assert_int_equal(lines_with(f, WIRE_LOG_NAME, "ended: 1 calls, 1 lost"), 2);
	close(LEFT_OPEN);
}

static void put_ring_at_last_moment(void)
{
	made_ring_file(&fx->m, "1-2-0.ring", dead_pid(), 5, 1, WIRE_LANE_BYTES_MIN);
	put_request(&fx->m, 8);
	put_response(&fx->m, 8);
}

/* Its shim asked for the lock while it was held, and relies on who held it. */
static void test_a_ring_of_the_last_moment_is_read(void **state)
{
	struct fixture *f = *state;
	before_unlock = put_ring_at_last_moment;
	run_loop(f, 30 * MS);
	assert_false(is_there(f, "1-2-0.ring"));
	assert_int_equal(lines_with(f, "calls.jsonl", "\"m\""), 1);
}

static struct directory other;
static void another_agent_comes(void)
{
	put_ring_at_last_moment();
	directory_unlock(&fx->dir);
	assert_int_equal(directory_lock(&other), 0);
}

static void test_a_ring_that_another_agent_took_is_its(void **state)
{
	struct fixture *f = *state;
	char error[256];
	assert_int_equal(directory_open(&other, error, sizeof(error)), 0);
	before_unlock = another_agent_comes;
	run_loop(f, 30 * MS);
	assert_true(is_there(f, "1-2-0.ring"));
	assert_int_equal(made_lane(&f->m, 0)->tail, 0);
	assert_int_equal(lines_with(f, "calls.jsonl", "\"m\""), 0);
	directory_close(&other);
}

/* Names of programs come from outside. */
static void test_a_report_is_one_line(void **state)
{
	struct fixture *f = *state;
	report("process %s", "a\nforged \033[2J line");
	assert_int_equal(lines_with(f, WIRE_LOG_NAME, "process a?forged ?[2J line"), 1);
	assert_int_equal(lines_with(f, WIRE_LOG_NAME, ""), 1);
}

static void test_the_log_does_not_grow_for_ever(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char text[900];
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	for (unsigned i = 0; i < 2000; i++)
		report("%u %s", i, text);
	assert_int_equal(fstatat(f->m.dir_fd, WIRE_LOG_NAME, &st, 0), 0);
	assert_true(st.st_size <= LOG_BYTES_MAX + 1024);
	assert_int_equal(lines_with(f, WIRE_LOG_NAME, " 1999 "), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_what_the_dead_left_goes_out_and_it_ends),
		TEST(test_lines_that_the_call_log_lost_are_told),
		TEST(test_patience_ends),
		TEST(test_what_is_none_of_ours_is_left_alone),
		TEST(test_a_signal_ends_it_and_the_living_keep_their_rings),
		TEST(test_after_exec_the_ring_that_was_made_last_is_in_use),
		TEST(test_a_ring_of_the_last_moment_is_read),
		TEST(test_a_ring_that_another_agent_took_is_its),
		TEST(test_a_report_is_one_line),
		TEST(test_the_log_does_not_grow_for_ever),
	};
	return cmocka_run_group_tests_name("agent/loop", tests, NULL, NULL);
}
