/*
 * test.h - what every unit test includes: cmocka and the headers that it wants before it.
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#endif
