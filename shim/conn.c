/*
 * What the hooks tell becomes three facts a descriptor: is it watched, for which connection does it
 * stand, and, of the connection whose home it is, how many descriptors still stand for it.
 *
 *   accept = 7    7 -> (home 7, generation 3)  holders 1     OPEN
 *   dup(7) = 9    9 -> (home 7, generation 3)  holders 2
 *   close(7)      7 unwatched                  holders 1
 *   close(9)      9 unwatched                  holders 0     CLOSE
 *
 * While 9 still stands for the connection whose home is 7, a new connection on 7 has no place here:
 * it is not watched, and counted.
 */
#include "shim/conn.h"

#include "shim/limits.h"
#include "shim/stream.h"
#include "shim/sys.h"

#include <sys/mman.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

/* boot.c has the kernel wipe it in forked children. */
uint8_t conn_watches[CONN_MAX] __attribute__((aligned(CONN_PAGE_BYTES)));
struct conn_slot *conn_slots;

/* Descriptors from here on were never watched. */
static uint32_t conn_end;

static void forget_all(void)
{
	for (uint32_t fd = 0; fd < conn_end; fd++)
		conn_watches[fd] = 0;
}

bool conn_prepare(void)
{
	const size_t bytes = CONN_MAX * sizeof(struct conn_slot);
	if (conn_slots && !boot_wipe_missing)
		return true; /* a forked child's: wiped */
	forget_all();	     /* a parent's, where the kernel could not wipe them */
	conn_end = 0;
	if (bytes > limits_address_space())
		return false;
	/* Without access first: after mlockall(MCL_FUTURE) all of it would be filled in and locked. */
	long at = sys6(SYS_mmap, 0, (long)bytes, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at < 0 && at > -4096)
		return false;
	sys2(SYS_munlock, at, bytes);
	if (sys3(SYS_mprotect, at, bytes, PROT_READ | PROT_WRITE) < 0) {
		sys2(SYS_munmap, at, bytes);
		return false;
	}
	/* A child that is forked by a signal handler within a watched call comes back into the hook:
	 * it must find no connection alive, or it would write to a ring that it does not have. */
	if (sys3(SYS_madvise, at, bytes, MADV_WIPEONFORK) < 0)
		boot_wipe_missing = true;
	if (conn_slots)
		sys2(SYS_munmap, conn_slots, bytes);
	conn_slots = (struct conn_slot *)at;
	return true;
}

static void watch(uint32_t fd)
{
	uint32_t end = __atomic_load_n(&conn_end, __ATOMIC_RELAXED);
	while (fd >= end && !__atomic_compare_exchange_n(&conn_end, &end, fd + 1, true,
							 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	/* Release pairs with the acquire in conn_of: a watched descriptor's slot is filled in. */
	__atomic_store_n(&conn_watches[fd], 1, __ATOMIC_RELEASE);
}

/* Takes the watch off; true for the one caller that did. */
static bool unwatch(uint32_t fd)
{
	return __atomic_exchange_n(&conn_watches[fd], 0, __ATOMIC_ACQ_REL) != 0;
}

/* Nobody, where another thread has closed it meanwhile: its successor is not forgotten. */
void conn_forget(struct conn_id id)
{
	if (!conn_lives(id))
		return;
	unwatch(id.home);
	__atomic_store_n(&conn_slots[id.home].holders, 0, __ATOMIC_RELEASE);
}

/* One descriptor less stands for the connection; the last one ends it. */
static void let_go(struct conn_id id)
{
	struct conn_slot *home = &conn_slots[id.home];
	uint32_t holders = __atomic_load_n(&home->holders, __ATOMIC_RELAXED);
	do {
		/* Forgotten meanwhile, or another connection's already. */
		if (!holders || holders & CONN_ENDING ||
		    __atomic_load_n(&home->generation, __ATOMIC_RELAXED) != id.generation)
			return;
	} while (!__atomic_compare_exchange_n(&home->holders, &holders,
					      holders == 1 ? CONN_ENDING : holders - 1, true,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	if (holders > 1)
		return;
	stream_closed(id);
	__atomic_store_n(&home->holders, 0, __ATOMIC_RELEASE);
}

/* It was: nothing can be asked of it any more. */
static void is_closed(int fd)
{
	struct conn_id id = conn_of(fd);
	if (unwatch((uint32_t)fd))
		let_go(id);
}

void conn_closing(int fd)
{
	/* A vfork child closes descriptors in its parent's memory, not its parent's descriptors. */
	if (!boot_own_process())
		return;
	/* Before the real close: once the kernel has the number back, another thread's accept may
	 * get it, and what we cleared then would be its entry. */
	stream_before_farewell(conn_of(fd), fd);
	is_closed(fd);
}

void conn_closing_range(uint32_t first, uint32_t last)
{
	uint32_t end = __atomic_load_n(&conn_end, __ATOMIC_RELAXED);
	if (first >= end || !boot_own_process())
		return;
	for (uint32_t fd = first; fd < end && fd <= last; fd++) {
		if (conn_watched((int)fd))
			conn_closing((int)fd);
	}
}

/* The home begins a new connection; generation 0 if another one still stands there. */
static struct conn_id begin(uint32_t home, uint32_t holders)
{
	struct conn_slot *slot = &conn_slots[home];
	struct conn_id id = {home, 0};
	if (__atomic_load_n(&slot->holders, __ATOMIC_ACQUIRE)) {
		boot_count_unwatched();
		return id;
	}
	id.generation = __atomic_load_n(&slot->generation, __ATOMIC_RELAXED) + 1;
	/* Atomic: a thread that comes late from its predecessor may still look. */
	uint64_t none = conn_count_of_none(id.generation);
	__atomic_store_n(&slot->in_bytes, none, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->out_bytes, none, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->forked_at, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->kind, conn_kind_word(id.generation, CONN_NEW), __ATOMIC_RELAXED);
	__atomic_store_n(&slot->turns, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->has_object, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->writes, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->generation, id.generation, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->holders, holders, __ATOMIC_RELEASE);
	return id;
}

static void stand_for(uint32_t fd, struct conn_id id)
{
	__atomic_store_n(&conn_slots[fd].home, id.home, __ATOMIC_RELAXED);
	__atomic_store_n(&conn_slots[fd].home_generation, id.generation, __ATOMIC_RELAXED);
	watch(fd);
}

void conn_accepted(int fd)
{
	boot_serve();
	if (!boot_has_ring() || (uint32_t)fd >= CONN_MAX) {
		boot_count_unwatched();
		return;
	}
	/* The kernel gave out a descriptor that we take for open: it was closed behind our back (a
	 * libc function that closes by an internal name). */
	if (conn_watched(fd))
		is_closed(fd);
	struct conn_id id = begin((uint32_t)fd, 1);
	if (!id.generation)
		return;
	stream_opened(id);
	stand_for(id.home, id);
}

void conn_give_up_all(uint64_t now_ns)
{
	for (uint32_t fd = 0; fd < conn_end; fd++) {
		struct conn_id id =
			conn_watched((int)fd) ? conn_of((int)fd) : (struct conn_id){0, 0};
		if (conn_lives(id))
			stream_given_up(id, now_ns);
		unwatch(fd);
	}
}

/* ---- forked children ------------------------------------------------------------------------------ */

void conn_before_fork(struct conn_fresh *fresh)
{
	uint32_t end = __atomic_load_n(&conn_end, __ATOMIC_RELAXED);
	fresh->count = 0;
	for (uint32_t fd = 0; fd < end; fd++) {
		struct conn_id id =
			conn_watched((int)fd) ? conn_of((int)fd) : (struct conn_id){0, 0};
		if (!conn_lives(id))
			continue;
		struct conn_slot *home = &conn_slots[id.home];
		uint64_t in = conn_counted(&home->in_bytes);
		uint64_t out = conn_counted(&home->out_bytes);
		if (in || out ||
		    (__atomic_load_n(&home->kind, __ATOMIC_RELAXED) & CONN_KIND_MASK) != CONN_NEW) {
			__atomic_store_n(&home->forked_at, out + 1, __ATOMIC_RELAXED);
		} else if (fresh->count < CONN_FRESH_MAX) {
			fresh->at[fresh->count].fd = fd;
			fresh->at[fresh->count++].home = id.home;
		}
	}
}

/* Watched, and of generation 0: whoever uses it comes to conn_adopt; whoever closes it, leaves no trace. */
void conn_after_fork(const struct conn_fresh *fresh)
{
	for (uint32_t i = 0; i < fresh->count && !boot_wipe_missing; i++)
		stand_for(fresh->at[i].fd, (struct conn_id){fresh->at[i].home, 0});
}

static bool is_fresh(uint32_t fd)
{
	return conn_watched((int)fd) && !conn_slots[fd].home_generation;
}

struct conn_id conn_adopt(int fd)
{
	struct conn_id id = {(uint32_t)fd, 0};
	if (!is_fresh((uint32_t)fd) || !boot_own_process())
		return id;
	uint32_t home = conn_slots[(uint32_t)fd].home, end = conn_end, holders = 0;
	boot_activate_for_one();
	for (uint32_t i = 0; i < end; i++)
		holders += is_fresh(i) && conn_slots[i].home == home;
	if (boot_has_ring())
		id = begin(home, holders);
	else
		boot_count_unwatched();
	if (id.generation)
		stream_opened(id);
	for (uint32_t i = 0; i < end; i++) {
		if (!is_fresh(i) || conn_slots[i].home != home)
			continue;
		if (id.generation)
			stand_for(i, id);
		else
			unwatch(i);
	}
	return id;
}

bool conn_may_be_a_childs(struct conn_id id)
{
	const struct conn_slot *home = &conn_slots[id.home];
	return __atomic_load_n(&home->forked_at, __ATOMIC_RELAXED) ==
	       conn_counted(&home->out_bytes) + 1;
}

void conn_duplicated(int of, int fd)
{
	if (of == fd || !boot_own_process())
		return;
	if (conn_watched(fd)) /* dup2 closed it, or it was closed behind our back */
		is_closed(fd);
	if (!conn_watched(of))
		return;
	if ((uint32_t)fd >= CONN_MAX) {
		boot_count_unwatched();
		return;
	}
	struct conn_id id = conn_of(of);
	if (conn_lives(id))
		__atomic_fetch_add(&conn_slots[id.home].holders, 1, __ATOMIC_ACQ_REL);
	else if (!is_fresh((uint32_t)of))
		return;
	stand_for((uint32_t)fd, id);
}
