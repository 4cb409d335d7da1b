/*
 * text.h - the few string and memory operations that the shim needs, without a libc.
 *
 * The compiler may call memcpy and memset by itself even in freestanding code; the hidden ones of
 * text.c are what it then gets.
 */
#ifndef SHIM_TEXT_H
#define SHIM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden) /* reached without the global offset table */

size_t text_len(const char *s);
bool text_equal(const char *a, const char *b);
bool text_starts(const char *s, const char *prefix);
/* What follows the last '/'. */
const char *text_basename(const char *path);
/* Copies and ends with a NUL; false if it had to cut (then `to` holds what fitted). room >= 1. */
bool text_copy(char *to, size_t room, const char *from);
/* Appends to the string in `to`; false if it had to cut. */
bool text_append(char *to, size_t room, const char *from);
bool text_append_number(char *to, size_t room, uint64_t value);
/* Decimal digits at the start of s; *end points behind them. False if there are none or too many. */
bool text_number(const char *s, uint64_t *value, const char **end);
/* Shell pattern: '*' any run, '?' any one character; nothing else is special. ASCII case ignored. */
bool text_glob(const char *pattern, size_t pattern_len, const char *s);

/* Copies forward; the areas do not overlap. */
void text_bytes(void *to, const void *from, size_t n);

#pragma GCC visibility pop

#endif
