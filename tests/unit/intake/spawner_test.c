/*
 * Real processes and what started them.
 */
#include "tests/unit/intake/live_process.h"

#include "agent/intake/spawner.h"

#include <stdlib.h>

/* CPython 3.11's. */
static const char worker_arguments[] =
	"/usr/bin/python3\0-c\0from multiprocessing.spawn import spawn_main; "
	"spawn_main(tracker_fd=5, pipe_handle=7)\0--multiprocessing-fork";
/* A shell with a child; what follows its script is for the looks of it. */
#define SCRIPT "sleep 600 & echo $!; wait"
static const char supervisor_arguments[] = "sh\0-c\0" SCRIPT "\0uvicorn\0app:app\0--workers=2";

struct family {
	pid_t supervisor, worker, named;
	char room[4096];
};

static int setup(void **state)
{
	struct family *f = calloc(1, sizeof(*f));
	int said[2];
	assert_int_equal(pipe(said), 0);
	f->supervisor = fork();
	assert_true(f->supervisor >= 0);
	if (f->supervisor == 0) {
		dup2(said[1], STDOUT_FILENO);
		execlp("sh", "sh", "-c", SCRIPT, "uvicorn", "app:app", "--workers=2", NULL);
		_exit(127);
	}
	close(said[1]);
	FILE *in = fdopen(said[0], "r");
	assert_int_equal(fscanf(in, "%d", &f->worker), 1);
	fclose(in);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct family *f = *state;
	kill(f->worker, SIGKILL);
	end_child(&f->supervisor);
	end_child(&f->named);
	free(f);
	return 0;
}

static struct process with_arguments(pid_t pid, const char *arguments, size_t n)
{
	struct process p = process_of(pid);
	p.command_line_len = n;
	memcpy(p.command_line, arguments, n);
	return p;
}

static struct process worker_of(pid_t pid)
{
	return with_arguments(pid, worker_arguments, sizeof(worker_arguments));
}

static void assert_arguments(struct family *f, const struct process *p, size_t room,
			     const char *arguments, size_t n)
{
	struct span got = spawner_arguments(p, f->room, room);
	assert_int_equal(got.len, n);
	assert_memory_equal(got.at, arguments, n);
}

#define ASSERT_ITS_OWN(f, p)                                                                       \
	assert_arguments(f, p, sizeof((f)->room), (p)->command_line, (p)->command_line_len)

static void test_a_worker_has_the_arguments_of_its_supervisor(void **state)
{
	struct family *f = *state;
	struct process p = worker_of(f->worker);
	assert_arguments(f, &p, sizeof(f->room), supervisor_arguments,
			 sizeof(supervisor_arguments));
	/* The beginning of them, where there is no room. */
	assert_arguments(f, &p, 10, supervisor_arguments, 10);
}

static void test_any_other_process_has_its_own(void **state)
{
	struct family *f = *state;
	static const char own[] = "python3\0-m\0multiprocessing.spawn";
	struct process p = with_arguments(f->worker, own, sizeof(own));
	ASSERT_ITS_OWN(f, &p);
	p = with_arguments(f->worker, "", 0);
	ASSERT_ITS_OWN(f, &p);
}

/* There, its pid is another process's. */
static void test_a_worker_of_another_namespace_has_its_own(void **state)
{
	struct family *f = *state;
	struct process p = worker_of(f->worker);
	p.pid_ns++;
	ASSERT_ITS_OWN(f, &p);
}

static unsigned parent_of(pid_t pid)
{
	char path[64], text[1024] = "";
	unsigned parent = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *in = fopen(path, "r");
	assert_non_null(in);
	assert_true(fread(text, 1, sizeof(text) - 1, in) > 0);
	fclose(in);
	assert_int_equal(sscanf(strrchr(text, ')') + 2, "%*c %u", &parent), 1);
	return parent;
}

/* Whoever adopted it did not start it. */
static void test_an_orphan_has_its_own(void **state)
{
	struct family *f = *state;
	struct process p = worker_of(f->worker);
	end_child(&f->supervisor);
	if (parent_of(f->worker) != 1)
		skip(); /* a subreaper's */
	ASSERT_ITS_OWN(f, &p);
}

static void test_a_worker_that_ended_has_its_own(void **state)
{
	struct family *f = *state;
	f->named = start_sleeper("worker");
	struct process p = worker_of(f->named);
	end_child(&f->named);
	ASSERT_ITS_OWN(f, &p);
}

/* A name can hold what looks like a line of the file that it stands in. */
static void test_a_name_does_not_say_who_the_parent_is(void **state)
{
	struct family *f = *state;
	char name[16], own[4096];
	snprintf(name, sizeof(name), "\nPPid:\t%d\n", (int)f->supervisor);
	f->named = start_sleeper(name);
	FILE *in = fopen("/proc/self/cmdline", "r");
	assert_non_null(in);
	size_t n = fread(own, 1, sizeof(own), in);
	fclose(in);
	struct process p = worker_of(f->named);
	assert_arguments(f, &p, sizeof(f->room), own, n);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_worker_has_the_arguments_of_its_supervisor),
		TEST(test_any_other_process_has_its_own),
		TEST(test_a_worker_of_another_namespace_has_its_own),
		TEST(test_an_orphan_has_its_own),
		TEST(test_a_worker_that_ended_has_its_own),
		TEST(test_a_name_does_not_say_who_the_parent_is),
	};
	return cmocka_run_group_tests_name("intake/spawner", tests, NULL, NULL);
}
