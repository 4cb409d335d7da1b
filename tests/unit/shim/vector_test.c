/*
 * Lists of buffers that a read may write over, and such that are no memory.
 */
#include "tests/unit/test.h"

#include "shim/boot.h"
#include "shim/vector.h"

#include <sys/mman.h>

static bool may_call;
bool boot_may_call(void)
{
	return may_call;
}

static char *mapped, *unmapped; /* a page, and the one behind it */
static char buffer[256];

static int setup(void **state)
{
	(void)state;
	may_call = true;
	mapped = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(mapped, MAP_FAILED);
	unmapped = mapped + 4096;
	return munmap(unmapped, 4096);
}

static int teardown(void **state)
{
	(void)state;
	return munmap(mapped, 4096);
}

static void test_lists_apart_from_their_buffers_stay(void **state)
{
	(void)state;
	struct iovec here[3] = {{buffer, 10}, {NULL, 0}, {buffer + 20, 5}};
	struct iovec *there = (struct iovec *)mapped;
	memcpy(there, here, sizeof(here));
	assert_true(vector_stays(here, 3));
	assert_true(vector_stays(there, 3));
	assert_true(vector_stays(NULL, 0));
	assert_true(vector_stays((struct iovec *)unmapped, -1));
	/* Right before and behind the list. */
	there[4] = (struct iovec){&there[5], 40};
	assert_true(vector_stays(&there[4], 1));
	there[4] = (struct iovec){mapped, 64};
	assert_true(vector_stays(&there[4], 1));
	there[4] = (struct iovec){mapped + 65, 0};
	assert_true(vector_stays(&there[4], 1));
	/* Room without end, from behind it on. */
	there[4] = (struct iovec){&there[5], SIZE_MAX};
	assert_true(vector_stays(&there[4], 1));
}

static void test_lists_that_are_written_over(void **state)
{
	(void)state;
	struct iovec *list = (struct iovec *)mapped;
	for (int i = 0; i < 5; i++)
		list[i] = (struct iovec){buffer + i, 1};
	for (int i = 0; i < 5; i++) {
		struct iovec was = list[i];
		list[i] = (struct iovec){mapped + 79, 1};
		assert_false(vector_stays(list, 5));
		list[i] = (struct iovec){mapped, 1};
		assert_false(vector_stays(list, 5));
		list[i] = (struct iovec){buffer, SIZE_MAX};
		assert_int_equal(vector_stays(list, 5), (uintptr_t)buffer > (uintptr_t)mapped);
		list[i] = was;
	}
	assert_true(vector_stays(list, 5));
}

static void test_memory_that_is_none_is_not_read(void **state)
{
	(void)state;
	assert_false(vector_stays(NULL, 1));
	assert_false(vector_stays((struct iovec *)unmapped, 1));
	assert_false(vector_stays((struct iovec *)(unmapped - 16), 2));
	assert_false(vector_stays((struct iovec *)(unmapped - 9), 1));
	assert_false(vector_stays((struct iovec *)(UINTPTR_MAX - 8), 1));
	assert_true(vector_stays((struct iovec *)(unmapped - 32), 2));
	assert_true(vector_stays((struct iovec *)unmapped, 1025)); /* nor by the kernel */
	struct msghdr *m = (struct msghdr *)(unmapped - sizeof(*m));
	*m = (struct msghdr){.msg_iov = (struct iovec *)unmapped, .msg_iovlen = 1};
	assert_false(vector_of_message_stays(m));
	assert_false(vector_of_message_stays(m + 1));
	assert_false(vector_of_message_stays((struct msghdr *)((char *)m + 8)));
	assert_false(vector_of_messages_stays((struct mmsghdr *)unmapped, 1));
	m->msg_iovlen = 0;
	assert_true(vector_of_message_stays(m));
}

/* Behind a filter: only our own page is known to be there. */
static void test_without_system_calls(void **state)
{
	(void)state;
	struct iovec *list = (struct iovec *)mapped;
	list[0] = (struct iovec){buffer, 1};
	may_call = false;
	assert_false(vector_stays(list, 1));
	assert_true(vector_stays(NULL, 0));
}

static void test_messages(void **state)
{
	(void)state;
	struct iovec list[2] = {{buffer, 10}, {buffer + 10, 10}};
	struct msghdr m = {.msg_iov = list, .msg_iovlen = 2};
	assert_true(vector_of_message_stays(&m));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	m.msg_iovlen |= 0xdeadULL << 32; /* musl's program */
	assert_true(vector_of_message_stays(&m));
	m.msg_iovlen = 2;
#endif
	m.msg_name = buffer;
	m.msg_namelen = 16;
	m.msg_control = buffer + 100;
	m.msg_controllen = 100;
	assert_true(vector_of_message_stays(&m));
	m.msg_control = list;
	assert_false(vector_of_message_stays(&m));
	m.msg_control = NULL;
	m.msg_name = &m;
	assert_false(vector_of_message_stays(&m));
	m.msg_name = NULL;
	list[1].iov_base = &m;
	assert_false(vector_of_message_stays(&m));
	list[1].iov_base = &list[0];
	assert_false(vector_of_message_stays(&m));
}

static void test_several_messages(void **state)
{
	(void)state;
	struct iovec a = {buffer, 10}, b = {buffer + 10, 10};
	struct mmsghdr two[9] = {
		{.msg_hdr = {.msg_iov = &a, .msg_iovlen = 1}},
		{.msg_hdr = {.msg_iov = &b, .msg_iovlen = 1}},
	};
	assert_true(vector_of_messages_stays(two, 2));
	assert_true(vector_of_messages_stays(two, 8));
	assert_false(vector_of_messages_stays(two, 9));
	b.iov_base = &a;
	assert_true(vector_of_messages_stays(two, 1));
	assert_false(vector_of_messages_stays(two, 2));
	b.iov_base = &two[0];
	assert_false(vector_of_messages_stays(two, 2));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lists_apart_from_their_buffers_stay),
		TEST(test_lists_that_are_written_over),
		TEST(test_memory_that_is_none_is_not_read),
		TEST(test_without_system_calls),
		TEST(test_messages),
		TEST(test_several_messages),
	};
	return cmocka_run_group_tests_name("shim/vector", tests, NULL, NULL);
}
