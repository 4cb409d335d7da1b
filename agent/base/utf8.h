/*
 * utf8.h - text of outsiders made valid UTF-8.
 *
 * protobuf-c does not check its strings, and a receiver refuses a whole request for one bad byte.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "agent/base/span.h"

/* Whether `s` is valid UTF-8 (RFC 3629: no surrogates, no overlong forms, nothing past U+10FFFF). */
bool utf8_valid(struct span s);

/*
 * Copies `s` with U+FFFD for what is not UTF-8 and a NUL at the end; what does not fit is cut at the
 * boundary of a character. room is at least 1. Returns the length without the NUL.
 */
size_t utf8_copy(struct span s, char *to, size_t room);

#endif
