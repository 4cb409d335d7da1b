/* preload.h - LD_PRELOAD of this environment. */
#ifndef TOOLS_PRELOAD_H
#define TOOLS_PRELOAD_H

#include <stdbool.h>

/* Appends the library: what is preloaded already stays, and stays first, as allocators (tcmalloc) must.
 * A libinferwire.so that is in it already is not joined by another. False without memory. */
bool preload_append(const char *library);

#endif
