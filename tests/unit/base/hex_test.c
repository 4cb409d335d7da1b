/*
 * Hexadecimal digits, beside the C library's reading of each byte.
 */
#include "tests/unit/test.h"

#include "agent/base/hex.h"

#include <ctype.h>
#include <stdlib.h>

static void every_byte(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		const char text[] = {(char)c, '\0'};
		int digit = c < 128 && isxdigit((int)c) ? (int)strtol(text, NULL, 16) : -1;
		assert_int_equal(hex_digit((uint8_t)c), digit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte),
	};
	return cmocka_run_group_tests_name("base/hex", tests, NULL, NULL);
}
