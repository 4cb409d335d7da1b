/*
 * Real processes that live, stop, end and are waited for.
 */
#include "tests/unit/intake/live_process.h"

#include "agent/intake/liveness.h"

#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 0) == 1;
}

static void wait_for_zombie(pid_t pid)
{
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static void test_from_life_to_death(void **state)
{
	(void)state;
	pid_t pid = start_sleeper("sleeper");
	struct process p = process_of(pid);
	int fd = liveness_open(&p);
	assert_true(liveness_is_visible(&p));
	assert_true(liveness_of(&p));
	assert_true(fd >= 0 && !readable(fd));
	kill(pid, SIGSTOP);
	assert_true(liveness_of(&p));
	kill(pid, SIGKILL);
	wait_for_zombie(pid);
	assert_false(liveness_of(&p));
	assert_true(liveness_has_entry(&p));
	assert_true(readable(fd));
	assert_int_equal(liveness_open(&p), -1);
	waitpid(pid, NULL, 0);
	assert_false(liveness_of(&p));
	assert_false(liveness_has_entry(&p));
	assert_int_equal(liveness_open(&p), -1);
	close(fd);
}

static void test_a_pid_that_is_used_again_is_another_process(void **state)
{
	(void)state;
	struct process p = process_of(getpid());
	assert_true(liveness_of(&p));
	assert_true(liveness_of_pid(p.pid, 0));
	assert_true(liveness_has_entry(&p));
	p.start_ticks--;
	assert_false(liveness_of(&p));
	assert_false(liveness_has_entry(&p));
	assert_int_equal(liveness_open(&p), -1);
}

static void test_a_name_may_look_like_the_rest_of_the_line(void **state)
{
	(void)state;
	pid_t pid = start_sleeper("x) Z 1 (y) X");
	struct process p = process_of(pid);
	assert_true(liveness_of(&p));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_another_namespace_cannot_be_asked(void **state)
{
	(void)state;
	struct process p = process_of(getpid());
	p.pid_ns++;
	p.pid = 1u << 30;
	assert_false(liveness_is_visible(&p));
	assert_true(liveness_of(&p));
	assert_false(liveness_has_entry(&p));
	assert_int_equal(liveness_open(&p), -1);
}

static void test_numbers_that_are_no_pids(void **state)
{
	(void)state;
	assert_false(liveness_of_pid(0, 0));
	assert_false(liveness_of_pid(UINT32_MAX, 0));
	assert_false(liveness_of_pid(INT32_MAX, 1));
}

static int started[2];

static void *wait_in_thread(void *unused)
{
	(void)unused;
	usleep(50000); /* the main thread has ended */
	if (write(started[1], "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
	return NULL;
}

static void test_a_main_thread_that_ended_is_not_the_process(void **state)
{
	(void)state;
	char byte;
	assert_int_equal(pipe(started), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, wait_in_thread, NULL) != 0)
			_exit(1);
		/* exit(2) of one thread; pthread_exit would have the sanitizer look for leaks. */
		syscall(SYS_exit, 0);
	}
	assert_int_equal(read(started[0], &byte, 1), 1);
	struct process p = process_of(pid);
	assert_true(liveness_of(&p));
	kill(pid, SIGKILL);
	wait_for_zombie(pid);
	assert_false(liveness_of(&p));
	waitpid(pid, NULL, 0);
	close(started[0]);
	close(started[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_life_to_death),
		cmocka_unit_test(test_a_pid_that_is_used_again_is_another_process),
		cmocka_unit_test(test_a_name_may_look_like_the_rest_of_the_line),
		cmocka_unit_test(test_another_namespace_cannot_be_asked),
		cmocka_unit_test(test_numbers_that_are_no_pids),
		cmocka_unit_test(test_a_main_thread_that_ended_is_not_the_process),
	};
	return cmocka_run_group_tests_name("intake/liveness", tests, NULL, NULL);
}
