/*
 * boot.h - the shim's life in a process: is it to be watched, and the ring when it is needed.
 */
#ifndef SHIM_BOOT_H
#define SHIM_BOOT_H

#include "shim/ring.h"

#include <sys/types.h>

#pragma GCC visibility push(hidden) /* reached without the global offset table */

/* Whether this process is to be watched at all. Set once, by the constructor. */
extern bool boot_enabled;

/* A socket listens. Makes the ring, unless it is there or cannot be, and starts the agent if nobody holds
 * the directory's lock. Off the hot path; never waits. */
void boot_listens(int fd);
/* The same when one was accepted: this process is one that serves. */
void boot_serve(void);
/* The same in a child that is about to serve a connection which its parent accepted: a small ring. */
void boot_activate_for_one(void);

/* The process is about to give up rights by which the ring could be made later: to become `user`, or
 * another way. Makes the ring if the process has a listening socket. */
void boot_before_user(uid_t user);
void boot_before_door(void);
/* We are the child of a fork; its parent had a ring. */
void boot_in_child(bool had_ring);
/* A seccomp filter is in force: from here on no system call but the program's own. */
void boot_behind_filter(uint64_t now_ns);
/* The clock cannot be read any more: seccomp's strict mode takes the processor's counter away as well,
 * and reading it would be a SIGSEGV. Nothing is recorded from here on; now_ns is of just before. */
void boot_without_clock(uint64_t now_ns);
bool boot_may_call(void);

/* The ring, once there is one: while a descriptor is watched. */
extern struct ring boot_ring;
/* Whether boot_ring is there, and this process's own. */
bool boot_has_ring(void);
/* The same, as cheap as can be: for every call with plain text. */
bool boot_is_active(void);
/* The kernel (before 4.14) cannot wipe the table of descriptors in forked children: whoever finds a
 * watched one asks boot_own_process too. */
extern bool boot_wipe_missing;

/* Whether the caller runs in the process that this memory is of: a vfork child shares its parent's. */
bool boot_own_process(void);

/* CLOCK_MONOTONIC. */
uint64_t boot_now_ns(void);

/* A connection was accepted that is not watched: past the descriptor table, or there is no ring. It is
 * counted in the ring, or in that of the process that this one was forked from. */
void boot_count_unwatched(void);

#pragma GCC visibility pop

#endif
