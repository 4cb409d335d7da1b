/*
 * ring_file.h - a ring's file: made, preallocated, filled with its header, published by rename.
 */
#ifndef SHIM_RING_FILE_H
#define SHIM_RING_FILE_H

#include "shim/ring.h"

#pragma GCC visibility push(hidden) /* reached without the global offset table */

/*
 * Makes the ring file of this process in the directory (which is made as well, if need be) and maps
 * it. Leaves no descriptor open. 0, or a negative errno if that cannot be done safely: the directory is
 * not ours alone, there is no space, no permission. *r is then as it was.
 */
int ring_file_make(struct ring *r, const char *directory, uint32_t lane_bytes);

/* Whether the header of r->map, not the lanes, is there in forked children as well. */
extern bool ring_file_header_is_inherited;
/* It is not, from here on. Where an agent cannot see processes (another PID namespace), it takes a server
 * for alive as long as somebody has the file mapped; so a server that serves has it alone. */
void ring_file_keep_from_children(struct ring *r);

/*
 * In a forked child, whose parent's ring this is: memory of its own stands where the lanes are missing. A
 * child that was forked by a signal handler in the middle of a recording goes on with it when it returns.
 */
void ring_file_in_child(const struct ring *r);

/* Whether an agent holds the directory's lock. */
bool ring_file_agent_runs(const char *directory);

#pragma GCC visibility pop

#endif
