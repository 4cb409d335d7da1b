/*
 * Three small tables, of fixed size, without locks; what finds no place is not seen, and told as
 * encrypted (stream.c).
 *
 *   hellos   random bytes of a ClientHello -> connection    from the first read to the BIO_write
 *   objects  BIO -> connection                              from the BIO_write
 *            SSL -> connection                              from the first call with plain text
 *
 * The hello's place is found by the bytes alone, be they written into a BIO or told by an SSL.
 */
#include "shim/tls.h"

#include "shim/boot.h"
#include "shim/stream.h"
#include "shim/text.h"

#define HELLOS	4096u  /* connections between accept and their handshake */
#define OBJECTS 65536u /* two a live connection on memory BIOs, one on sockets */
#define PROBES	16u    /* places looked at for one object */

#define RANDOM_AT    6u /* behind the record's head: 4 bytes of the handshake's, 2 of the version */
#define RANDOM_BYTES 32u

/* Both halves of a connection's name in one word, so that they are read and written together. */
static uint64_t packed(struct conn_id id)
{
	return (uint64_t)id.generation << 32 | id.home;
}

static struct conn_id unpacked(uint64_t word)
{
	return (struct conn_id){(uint32_t)word, (uint32_t)(word >> 32)};
}

/* ---- hellos ------------------------------------------------------------------------------------- */

static struct {
	uint64_t hash;
	uint64_t id;
} hellos[HELLOS];

/* The bytes are random already: two words of them are as good as any hash. Never 0. */
static uint64_t hello_hash(const uint8_t *random)
{
	uint64_t a, b;
	text_bytes(&a, random, sizeof(a));
	text_bytes(&b, random + RANDOM_BYTES - sizeof(b), sizeof(b));
	return (a ^ (b << 1)) | 1;
}

void tls_hello_read(struct conn_id id, const struct iovec *iov, size_t moved)
{
	size_t n = iov->iov_len < moved ? iov->iov_len : moved;
	const uint8_t *bytes = iov->iov_base;
	if (tls_is_hello(bytes, n))
		bytes += TLS_RECORD_HEAD;
	else if (!tls_is_rest_of_hello(bytes, n))
		return;
	uint64_t hash = hello_hash(bytes + RANDOM_AT);
	uint32_t slot = (uint32_t)(hash >> 8) & (HELLOS - 1);
	/* The newest wins. The hash last: who finds it finds its connection, or a newer one's, whose
	 * hash it then is not. */
	__atomic_store_n(&hellos[slot].hash, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&hellos[slot].id, packed(id), __ATOMIC_RELEASE);
	__atomic_store_n(&hellos[slot].hash, hash, __ATOMIC_RELEASE);
}

static struct conn_id hello_conn(const uint8_t *random)
{
	uint64_t hash = hello_hash(random);
	uint32_t slot = (uint32_t)(hash >> 8) & (HELLOS - 1);
	if (__atomic_load_n(&hellos[slot].hash, __ATOMIC_ACQUIRE) != hash)
		return (struct conn_id){0, 0};
	uint64_t id = __atomic_load_n(&hellos[slot].id, __ATOMIC_ACQUIRE);
	if (__atomic_load_n(&hellos[slot].hash, __ATOMIC_ACQUIRE) != hash)
		return (struct conn_id){0, 0};
	return unpacked(id);
}

/* ---- objects ------------------------------------------------------------------------------------ */

static struct {
	uintptr_t at; /* address of an SSL or a BIO; FREED; 0 = never used */
	uint64_t id;
} objects[OBJECTS];

#define FREED ((uintptr_t)1)

static uint32_t first_place(const void *object)
{
	uint64_t a = (uint64_t)(uintptr_t)object >> 4;
	return (uint32_t)((a * 0x9e3779b97f4a7c15u) >> 48) & (OBJECTS - 1);
}

/* The object's place, or -1. */
static int64_t place_of(const void *object)
{
	uint32_t first = first_place(object);
	for (uint32_t i = 0; i < PROBES; i++) {
		uint32_t n = (first + i) & (OBJECTS - 1);
		uintptr_t at = __atomic_load_n(&objects[n].at, __ATOMIC_ACQUIRE);
		if (!at)
			return -1;
		if (at == (uintptr_t)object)
			return n;
	}
	return -1;
}

static struct conn_id known(const void *object)
{
	int64_t n = place_of(object);
	return unpacked(n < 0 ? 0 : __atomic_load_n(&objects[n].id, __ATOMIC_ACQUIRE));
}

/* A place is free when it never was used, or its connection is over: BIOs tell no end of theirs. */
static bool take_place(uint32_t n, const void *object)
{
	uintptr_t at = __atomic_load_n(&objects[n].at, __ATOMIC_ACQUIRE);
	if (at > FREED && conn_lives(unpacked(__atomic_load_n(&objects[n].id, __ATOMIC_ACQUIRE))))
		return false;
	return __atomic_compare_exchange_n(&objects[n].at, &at, (uintptr_t)object, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void remember(const void *object, struct conn_id id)
{
	int64_t own = place_of(object);
	uint32_t first = first_place(object);
	for (uint32_t i = 0; i < PROBES && own < 0; i++) {
		uint32_t n = (first + i) & (OBJECTS - 1);
		if (take_place(n, object))
			own = n;
	}
	if (own < 0)
		return;
	__atomic_store_n(&objects[own].id, packed(id), __ATOMIC_RELEASE);
	stream_has_object(id);
}

void tls_forget(void *ssl)
{
	int64_t n = place_of(ssl);
	if (n < 0)
		return;
	__atomic_store_n(&objects[n].id, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&objects[n].at, FREED, __ATOMIC_RELEASE);
}

void tls_hello_written(void *bio, const uint8_t *bytes, size_t n)
{
	if (!boot_has_ring() || !tls_is_hello(bytes, n))
		return;
	struct conn_id id = hello_conn(bytes + TLS_RECORD_HEAD + RANDOM_AT);
	if (conn_lives(id))
		remember(bio, id);
}

/* The client's end of a connection to ourselves has the same bytes: only the server's is asked. */
static struct conn_id asked_for_random(const struct openssl *library, const void *ssl)
{
	uint8_t random[RANDOM_BYTES] = {0};
	if (!library->SSL_is_server || !library->SSL_get_client_random ||
	    !library->SSL_is_server(ssl) ||
	    library->SSL_get_client_random(ssl, random, sizeof(random)) != sizeof(random))
		return (struct conn_id){0, 0};
	/* Before the handshake there are none. */
	uint8_t any = 0;
	for (size_t i = 0; i < RANDOM_BYTES; i++)
		any |= random[i];
	return any ? hello_conn(random) : (struct conn_id){0, 0};
}

struct conn_id tls_conn(const struct openssl *library, void *ssl)
{
	const struct conn_id none = {0, 0};
	if (!boot_is_active())
		return none;
	struct conn_id id = known(ssl);
	if (conn_lives(id))
		return id;
	/* Asked of a BIO that is there: OpenSSL notes an error of ours in the program's queue else. */
	void *bio = library->SSL_get_rbio ? library->SSL_get_rbio(ssl) : NULL;
	int fd = bio && library->SSL_get_fd ? library->SSL_get_fd(ssl) : -1;
	if (fd >= 0)
		id = conn_watched(fd) ? conn_of(fd) : none;
	else
		id = bio ? known(bio) : none;
	if (fd < 0 && bio && !conn_lives(id))
		id = asked_for_random(library, ssl);
	if (!conn_lives(id))
		return none;
	remember(ssl, id);
	return id;
}
