/*
 * must.h - what every fuzzer includes: the functions that libFuzzer calls, and a promise that ends the
 * run, with its name, where it is broken.
 */
#ifndef TESTS_MUST_H
#define TESTS_MUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

#endif
