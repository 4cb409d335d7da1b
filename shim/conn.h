/*
 * conn.h - which descriptors are watched, and which connection each stands for.
 *
 * A descriptor's state here is advisory: programs close descriptors behind our back, so an accept
 * that returns a live descriptor implies the close nobody saw, and each accepted connection has a
 * generation by which the agent tells it from its predecessor.
 *
 * A connection is called by the descriptor that accept returned (its home) and the generation.
 * Duplicates of the descriptor stand for the same connection; it ends when the last one is closed.
 */
#ifndef SHIM_CONN_H
#define SHIM_CONN_H

#include "shim/boot.h"

#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(hidden) /* reached without the global offset table */

/* The largest page size of the architecture: what the kernel is to wipe must have its pages alone. */
#if defined(__aarch64__)
#define CONN_PAGE_BYTES 65536
#else
#define CONN_PAGE_BYTES 4096
#endif

#define CONN_MAX (1u << 20) /* descriptors at and above are not watched, and counted */

/* 1 where a descriptor stands for a connection that is watched. Zero in a forked child. */
extern uint8_t conn_watches[CONN_MAX];

/* The one test on the hot path. The table is asked first, by an index that is always inside: so a
 * descriptor that is not watched costs one question and not two. */
static inline bool conn_watched(int fd)
{
	const uint8_t *at = &conn_watches[(uint32_t)fd & (CONN_MAX - 1)];
	if (__builtin_expect(!__atomic_load_n(at, __ATOMIC_RELAXED), 1))
		return false;
	__asm__("" : "+r"(fd)); /* or gcc asks both questions of every descriptor */
	return (uint32_t)fd < CONN_MAX;
}

enum conn_kind {
	CONN_NEW = 0,  /* no byte seen yet */
	CONN_HTTP = 1, /* its first bytes begin like an HTTP request */
	CONN_TLS = 2,  /* its first bytes are a TLS record, and no plain text of it was seen yet */
	CONN_TLS_HTTP =
		3,	/* its plain text begins like an HTTP request: ciphertext is not copied */
	CONN_ENDED = 4, /* what is at its home is another one */
};

/* In `kind`: its lower half, and beside it that bytes that were read were not recorded, and no record has
 * told so yet. Above it the lower bits of the generation: see conn_count. */
#define CONN_KIND_MASK	0xffu
#define CONN_LOST_IN	0x100u
#define CONN_KIND_SHIFT 16

static inline uint32_t conn_kind_word(uint32_t generation, enum conn_kind kind)
{
	return generation << CONN_KIND_SHIFT | kind;
}

/* In `holders`: the last descriptor was closed, and its end is being told. It lives no more, and none
 * may begin in its place yet, whose counts would be taken for its own. */
#define CONN_ENDING 0x80000000u

/* One a descriptor, and a cache line: threads that serve neighbouring descriptors do not meet in it.
 * The first two fields are the descriptor's, the others those of the connection whose home it is. */
struct conn_slot {
	uint32_t home; /* the connection that the descriptor stands for */
	uint32_t home_generation;
	uint32_t generation; /* of the connection whose home this is; counts up */
	uint32_t holders;    /* descriptors that stand for it; 0 = ended; CONN_ENDING */
	uint32_t kind;	     /* conn_kind_word */
	/* Of CONN_TLS, to tell a handshake from what follows it; advisory, they stick at their ends. */
	uint8_t turns;	    /* runs of reads and of writes, in turn: odd = the client spoke last */
	uint8_t has_object; /* a library whose plain text we see has it */
	uint16_t writes;
	uint64_t in_bytes; /* see conn_count */
	uint64_t out_bytes;
	uint64_t forked_at; /* out_bytes, as they were at the last fork, + 1; 0 = none */
} __attribute__((aligned(64)));
/* CONN_MAX of them; only pages whose descriptors are in use exist. */
extern struct conn_slot *conn_slots;

/* Makes the tables usable, empty; false without memory. Called before anything is watched, in each
 * process that makes a ring. */
bool conn_prepare(void);

/* A connection. generation 0: none (the caller is not the process that made the ring). */
struct conn_id {
	uint32_t home;
	uint32_t generation;
};

/* Of a watched descriptor. */
static inline struct conn_id conn_of(int fd)
{
	struct conn_id id = {(uint32_t)fd, 0};
	if (__builtin_expect(boot_wipe_missing, 0) && !boot_own_process())
		return id;
	/* Acquire pairs with the release in conn.c: a watched descriptor's slot is filled in. */
	if (!__atomic_load_n(&conn_watches[(uint32_t)fd], __ATOMIC_ACQUIRE))
		return id;
	const struct conn_slot *slot = &conn_slots[(uint32_t)fd];
	id.home = __atomic_load_n(&slot->home, __ATOMIC_RELAXED);
	id.generation = __atomic_load_n(&slot->home_generation, __ATOMIC_RELAXED);
	return id;
}

/* Whether it has not ended (its descriptor was not closed by another thread meanwhile). */
static inline bool conn_lives(struct conn_id id)
{
	const struct conn_slot *home = &conn_slots[id.home];
	return id.generation && (int32_t)__atomic_load_n(&home->holders, __ATOMIC_ACQUIRE) > 0 &&
	       __atomic_load_n(&home->generation, __ATOMIC_RELAXED) == id.generation;
}

/*
 * in_bytes and out_bytes: what moved so far, recorded or not, and above it the lower bits of the
 * generation that it is counted for. So a thread that comes back late from a connection that another one
 * has closed meanwhile counts nothing for its successor, whose bytes would all lie wrong from there on.
 */
#define CONN_COUNT_BITS 48
#define CONN_COUNT_MASK ((1ULL << CONN_COUNT_BITS) - 1)

static inline uint64_t conn_count_of_none(uint32_t generation)
{
	return (uint64_t)generation << CONN_COUNT_BITS;
}

static inline uint64_t conn_counted(const uint64_t *count)
{
	return __atomic_load_n(count, __ATOMIC_RELAXED) & CONN_COUNT_MASK;
}

/* Counts `moved` bytes; *offset is where they begin. False: the count is another generation's. */
static inline bool conn_count(uint64_t *count, struct conn_id id, uint64_t moved, uint64_t *offset)
{
	uint64_t before = __atomic_load_n(count, __ATOMIC_RELAXED);
	do {
		if (__builtin_expect(
			    (uint16_t)(before >> CONN_COUNT_BITS) != (uint16_t)id.generation, 0))
			return false;
	} while (!__atomic_compare_exchange_n(count, &before, before + moved, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	*offset = before & CONN_COUNT_MASK;
	return true;
}

/* Ends it for us: its bytes are of no interest. */
void conn_forget(struct conn_id id);

/* accept returned `fd`. What it told of the peer is not looked at: how large the server's buffer for
 * it is could only be read before the call, when the pointer may still be a bad one. */
void conn_accepted(int fd);
/* A call returned `fd`, a duplicate of `of`. */
void conn_duplicated(int of, int fd);
/* The watched descriptor is about to be closed, or was closed by being duplicated over. */
void conn_closing(int fd);
/*
 * A connection of which no byte has moved yet goes with a forked child: if the child reads or writes it,
 * it is a connection of the child's. One whose request was read before goes nowhere: nobody can say who
 * answers it, see conn_may_be_a_childs.
 */
#define CONN_FRESH_MAX 32u /* in one fork; a server forks for one connection, or for none */
struct conn_fresh {
	uint32_t count;
	struct {
		uint32_t fd, home;
	} at[CONN_FRESH_MAX];
};
/* In the parent, before; in the child, after. */
void conn_before_fork(struct conn_fresh *fresh);
void conn_after_fork(const struct conn_fresh *fresh);
/* conn_of found a watched descriptor without a connection. If it came by a fork, it gets one. */
struct conn_id conn_adopt(int fd);
/* Whether a child was forked since anything was read from it or written to it. */
bool conn_may_be_a_childs(struct conn_id id);

/* Nothing is recorded any more: each connection is told as one that cannot be read. */
void conn_give_up_all(uint64_t now_ns);
/* All watched descriptors from `first` to `last` are about to be closed. */
void conn_closing_range(uint32_t first, uint32_t last);

#pragma GCC visibility pop

#endif
