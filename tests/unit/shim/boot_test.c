/*
 * Connections that a process accepts while one of its threads makes the ring: they cannot be watched, and
 * they are counted. The module is included, for its states.
 */
#include "tests/unit/test.h"

#include "shim/boot.c"

static uint8_t header_page[WIRE_HEADER_BYTES] __attribute__((aligned(64)));
static struct wire_header *const made = (struct wire_header *)header_page;

static int setup(void **state)
{
	(void)state;
	memset(&life, 0, sizeof(life));
	memset(&boot_ring, 0, sizeof(boot_ring));
	memset(header_page, 0, sizeof(header_page));
	ring_file_header_is_inherited = true;
	life.pid = life.image = sys_getpid();
	return 0;
}

static void ring_is_there(void)
{
	boot_ring.map = header_page;
	life.state = BOOT_ACTIVE;
}

static void test_what_comes_before_the_ring_is_counted_in_it(void **state)
{
	(void)state;
	life.state = BOOT_MAKING;
	boot_count_unwatched();
	boot_count_unwatched();
	ring_is_there();
	count_early();
	assert_int_equal(made->unwatched, 2);
	count_early();
	assert_int_equal(made->unwatched, 2);
	boot_count_unwatched();
	assert_int_equal(made->unwatched, 3);
}

/* A forked child makes its own: until then the map is what it inherited of its parent's. */
static void test_a_childs_are_not_its_parents(void **state)
{
	(void)state;
	boot_ring.map = header_page;
	life.state = BOOT_MAKING;
	boot_count_unwatched();
	assert_int_equal(made->unwatched, 0);
}

static void test_without_a_ring_there_is_nowhere_to_count(void **state)
{
	(void)state;
	life.state = BOOT_MAKING;
	boot_count_unwatched();
	life.state = BOOT_FAILED;
	count_early();
	boot_count_unwatched();
	assert_int_equal(made->unwatched, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_what_comes_before_the_ring_is_counted_in_it, setup),
		cmocka_unit_test_setup(test_a_childs_are_not_its_parents, setup),
		cmocka_unit_test_setup(test_without_a_ring_there_is_nowhere_to_count, setup),
	};
	return cmocka_run_group_tests_name("shim/boot", tests, NULL, NULL);
}
