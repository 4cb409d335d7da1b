/*
 * Found once for each place that calls, then remembered by its address:
 *
 *   caller's address -> the object it lies in -> the libraries that object needs, in their order
 *     -> the first that defines the function; else the first of all loaded objects that does
 */
#include "shim/openssl.h"

#include "shim/real.h"

#include <stdbool.h>
#include <stdint.h>

#define LIBRARIES 8u   /* different ones in a process */
#define CALLERS	  256u /* places remembered; a power of two */

static struct openssl libraries[LIBRARIES];
static uint32_t library_count;

/* A caller's library. `at` is written last. */
static struct {
	uintptr_t at;
	const struct openssl *library;
} callers[CALLERS];

static void find(struct openssl *o, const void *caller)
{
	o->SSL_read = (int (*)(void *, void *, int))real_find_for(caller, "SSL_read");
	o->SSL_read_ex =
		(int (*)(void *, void *, size_t, size_t *))real_find_for(caller, "SSL_read_ex");
	o->SSL_write = (int (*)(void *, const void *, int))real_find_for(caller, "SSL_write");
	o->SSL_write_ex = (int (*)(void *, const void *, size_t, size_t *))real_find_for(
		caller, "SSL_write_ex");
	o->SSL_shutdown = (int (*)(void *))real_find_for(caller, "SSL_shutdown");
	o->SSL_get_shutdown = (int (*)(const void *))real_find_for(caller, "SSL_get_shutdown");
	o->SSL_free = (void (*)(void *))real_find_for(caller, "SSL_free");
	o->SSL_get_fd = (int (*)(const void *))real_find_for(caller, "SSL_get_fd");
	o->SSL_get_rbio = (void *(*)(const void *))real_find_for(caller, "SSL_get_rbio");
	o->SSL_is_server = (int (*)(const void *))real_find_for(caller, "SSL_is_server");
	o->SSL_get_client_random = (size_t(*)(const void *, unsigned char *, size_t))real_find_for(
		caller, "SSL_get_client_random");
	o->BIO_write = (int (*)(void *, const void *, int))real_find_for(caller, "BIO_write");
}

static bool same(const struct openssl *a, const struct openssl *b)
{
	return a->SSL_read == b->SSL_read && a->BIO_write == b->BIO_write;
}

/* A place for it that is never freed or changed; NULL if there are no more. Two threads may add the
 * same one twice. */
static const struct openssl *keep(const struct openssl *found)
{
	uint32_t count = __atomic_load_n(&library_count, __ATOMIC_ACQUIRE);
	for (uint32_t i = 0; i < count && i < LIBRARIES; i++) {
		if (same(&libraries[i], found))
			return &libraries[i];
	}
	static uint32_t claimed;
	uint32_t mine = __atomic_fetch_add(&claimed, 1, __ATOMIC_RELAXED);
	if (mine >= LIBRARIES) {
		__atomic_store_n(&claimed, LIBRARIES, __ATOMIC_RELAXED);
		return NULL;
	}
	libraries[mine] = *found;
	/* Only when all before it are filled: another thread's may still be on its way. */
	uint32_t before = mine;
	__atomic_compare_exchange_n(&library_count, &before, mine + 1, false, __ATOMIC_RELEASE,
				    __ATOMIC_RELAXED);
	return &libraries[mine];
}

const struct openssl *openssl_of(const void *caller, struct openssl *room)
{
	uintptr_t at = (uintptr_t)caller;
	uint32_t slot = (uint32_t)(at >> 4) & (CALLERS - 1);
	if (__atomic_load_n(&callers[slot].at, __ATOMIC_ACQUIRE) == at)
		return callers[slot].library;
	find(room, caller);
	const struct openssl *library = keep(room);
	uintptr_t empty = 0;
	/* Taken slots stay as they are: a reader may be between the two loads above. 1 = being filled;
	 * no return address is that. */
	if (library && __atomic_compare_exchange_n(&callers[slot].at, &empty, 1, false,
						   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		callers[slot].library = library;
		__atomic_store_n(&callers[slot].at, at, __ATOMIC_RELEASE);
	}
	return library ? library : room;
}
