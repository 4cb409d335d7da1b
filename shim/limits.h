/*
 * limits.h - what the process's resource limits leave for us.
 */
#ifndef SHIM_LIMITS_H
#define SHIM_LIMITS_H

#include <stdint.h>

#pragma GCC visibility push(hidden) /* reached without the global offset table */

/* How long a file may be, in bytes. Beyond RLIMIT_FSIZE it would not only be refused: the server would
 * get SIGXFSZ, of which it dies. */
uint64_t limits_file_bytes(void);

/* How much address space we may take, in bytes: an eighth of what RLIMIT_AS has left. The server was
 * given the limit for its own needs. */
uint64_t limits_address_space(void);

#pragma GCC visibility pop

#endif
