/*
 * The scanners as they are built for this machine, by the tests of those without SSE2.
 */
#define SCAN_AS_BUILT

#include "tests/unit/body/scan_test.c"
