/*
 *                accept           first bytes read: "GET ", "POS", ...
 *   (nothing) ------------> NEW ---------------------------------------> HTTP ------> closed
 *                            |
 *                            +--> a TLS record: TLS, its bytes are not copied
 *                            |      +--> plain text "GET ": TLS_HTTP -----------------> closed
 *                            |      +--> ciphertext beyond a handshake: OPAQUE is told, and the
 *                            |           connection is forgotten
 *                            +--> anything else, or the server speaks first: OPAQUE is told, and the
 *                                 connection is forgotten
 *
 * Two threads may work on one descriptor. A reader that was in the kernel while another thread
 * closed the descriptor finds the connection ended when it comes back, and records nothing.
 */
#include "shim/stream.h"

#include "shim/boot.h"
#include "shim/first_bytes.h"
#include "shim/real.h"
#include "shim/sys.h"
#include "shim/tls.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

static void put_control_at(uint64_t time, enum wire_type type, struct conn_id id, unsigned info,
			   uint64_t offset)
{
	struct ring_note note = {
		.type = type,
		.info = (uint16_t)info,
		.fd = id.home,
		.generation = id.generation,
		.time = time,
		.offset = offset,
	};
	ring_put_control(&boot_ring, &note);
}

static void put_control(enum wire_type type, struct conn_id id, unsigned info, uint64_t offset)
{
	put_control_at(stamp_now(), type, id, info, offset);
}

void stream_opened(struct conn_id id)
{
	put_control(WIRE_OPEN, id, 0, 0);
}

static uint32_t kind_word(struct conn_id id)
{
	return __atomic_load_n(&conn_slots[id.home].kind, __ATOMIC_RELAXED);
}

static bool is_its(uint32_t word, struct conn_id id)
{
	return (uint16_t)(word >> CONN_KIND_SHIFT) == (uint16_t)id.generation;
}

static enum conn_kind kind_of(struct conn_id id)
{
	uint32_t word = kind_word(id);
	return is_its(word, id) ? (enum conn_kind)(word & CONN_KIND_MASK) : CONN_ENDED;
}

/* Of the connection, and of no successor. False: it was not there any more. */
static bool change_kind(struct conn_id id, uint32_t clear, uint32_t set)
{
	uint32_t *kind = &conn_slots[id.home].kind, word = kind_word(id);
	do {
		if (!is_its(word, id))
			return false;
	} while (!__atomic_compare_exchange_n(kind, &word, (word & ~clear) | set, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

static bool set_kind(struct conn_id id, enum conn_kind kind)
{
	return change_kind(id, CONN_KIND_MASK, kind);
}

/* ---- is ciphertext more than a handshake? ------------------------------------------------------- */

/*
 * A full handshake takes the server two turns of writing, three after a HelloRetryRequest (RFC 8446 2
 * and 4.1.4; RFC 5246 7.3), and few writes. In a fourth it answers; who saw the answer's plain text saw
 * that of the request before. A client that waits for nobody sends the request with the end of the
 * handshake: then the answer is in the second turn.
 *
 *	ClientHello | ServerHello ... | Finished | NewSessionTicket | request | response | ...
 *	   turns 1  |        2        |    3     |        4         |    5    |    6     |
 */
#define TURNS_MAY_HAVE_ANSWERED	 4
#define TURNS_HAVE_ANSWERED	 8
#define WRITES_OF_HANDSHAKE_MOST 64 /* more, in whatever turn, are a response that is streamed */

static void count_turn(struct conn_id id, bool out)
{
	struct conn_slot *home = &conn_slots[id.home];
	uint8_t turns = __atomic_load_n(&home->turns, __ATOMIC_RELAXED);
	uint16_t writes = __atomic_load_n(&home->writes, __ATOMIC_RELAXED);
	if ((turns % 2 == 1) == out && turns < TURNS_HAVE_ANSWERED)
		__atomic_store_n(&home->turns, turns + 1, __ATOMIC_RELAXED);
	if (out && writes <= WRITES_OF_HANDSHAKE_MOST)
		__atomic_store_n(&home->writes, writes + 1, __ATOMIC_RELAXED);
}

static bool has_answered(struct conn_id id, uint8_t turns)
{
	const struct conn_slot *home = &conn_slots[id.home];
	return __atomic_load_n(&home->turns, __ATOMIC_RELAXED) >= turns ||
	       __atomic_load_n(&home->writes, __ATOMIC_RELAXED) > WRITES_OF_HANDSHAKE_MOST;
}

void stream_has_object(struct conn_id id)
{
	__atomic_store_n(&conn_slots[id.home].has_object, 1, __ATOMIC_RELAXED);
}

/* Of a TLS connection without plain text that ends: was there any? Where a library of ours has it, a
 * mere handshake (a load balancer's health check) is no loss. */
static bool was_encrypted(struct conn_id id)
{
	bool ours = __atomic_load_n(&conn_slots[id.home].has_object, __ATOMIC_RELAXED);
	return kind_of(id) == CONN_TLS &&
	       has_answered(id, ours ? TURNS_HAVE_ANSWERED : TURNS_MAY_HAVE_ANSWERED);
}

void stream_closed(struct conn_id id)
{
	if (was_encrypted(id))
		put_control(WIRE_OPAQUE, id, WIRE_OPAQUE_TLS, 0);
	else if (conn_may_be_a_childs(
			 id)) /* no answer of ours is no failure: a child may give it */
		put_control(WIRE_OPAQUE, id, WIRE_OPAQUE_OTHER, 0);
	else
		put_control(WIRE_CLOSE, id, 0, conn_counted(&conn_slots[id.home].out_bytes));
}

/* One system call, where one is allowed, and only where the server ends the connection. It waits for
 * nothing and changes nothing, an error of the socket included. */
void stream_before_farewell(struct conn_id id, int fd)
{
	bool http = kind_of(id) == CONN_HTTP || kind_of(id) == CONN_TLS_HTTP;
	if (!conn_lives(id) || !http || !boot_may_call())
		return;
	struct pollfd ask = {.fd = fd, .events = POLLRDHUP};
	struct timespec at_once = {0, 0};
	if (sys4(SYS_ppoll, &ask, 1, &at_once, NULL) == 1 && !(ask.revents & POLLNVAL))
		put_control(WIRE_EOF, id, 0, conn_counted(&conn_slots[id.home].in_bytes));
}

void stream_shut(struct stream_mark mark, int how)
{
	if (conn_lives(mark.id))
		put_control_at(mark.time, WIRE_SHUT, mark.id, (unsigned)how, 0);
}

/* ---- is it HTTP? -------------------------------------------------------------------------------- */

static void give_up(struct conn_id id, enum wire_opaque why)
{
	put_control(WIRE_OPAQUE, id, why, 0);
	conn_forget(id);
}

void stream_given_up(struct conn_id id, uint64_t now_ns)
{
	put_control_at(now_ns, WIRE_OPAQUE, id, WIRE_OPAQUE_HIDDEN, 0);
	conn_forget(id);
}

void stream_handed_over(struct conn_id id)
{
	if (conn_lives(id) && kind_of(id) != CONN_NEW)
		give_up(id, WIRE_OPAQUE_HIDDEN);
}

void stream_hidden(int fd)
{
	struct conn_id id = conn_of(fd);
	if (conn_lives(id))
		give_up(id, WIRE_OPAQUE_HIDDEN);
}

/* Decides by the first bytes of a connection; false if they are not to be recorded. */
static bool sort_out(struct conn_id id, const struct iovec *iov, size_t moved)
{
	if (first_bytes_are_http(iov, moved))
		return set_kind(id, CONN_HTTP);
	if (first_bytes_are_tls(iov, moved)) {
		set_kind(id, CONN_TLS);
		count_turn(id, false);
		tls_hello_read(id, iov, moved);
	} else {
		give_up(id, WIRE_OPAQUE_OTHER);
	}
	return false;
}

/* The server writes before it has read anything; false if that is not to be recorded. */
static bool speaks_first(struct conn_id id, const struct iovec *iov, size_t moved)
{
	if (first_bytes_are_settings(iov, moved))
		return set_kind(id, CONN_HTTP);
	give_up(id, WIRE_OPAQUE_OTHER);
	return false;
}

/* ---- bytes -------------------------------------------------------------------------------------- */

/* Errors after which nothing more moves in this direction; the others are the program's business. */
static void note_failure(struct conn_id id)
{
	int error = shim_real.errno_location ? *shim_real.errno_location() : 0;
	switch (error) {
	case EPIPE:
	case ECONNRESET:
	case ECONNABORTED:
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
		put_control(WIRE_FAIL, id, (unsigned)error,
			    conn_counted(&conn_slots[id.home].out_bytes));
	}
}

/* Whether all that came of it is the client's first words. */
static bool greets(struct conn_id id)
{
	return __atomic_load_n(&conn_slots[id.home].turns, __ATOMIC_RELAXED) == 1;
}

/* Bytes of a TLS connection whose plain text was not seen so far. */
static void ciphertext_moved(struct conn_id id, bool out)
{
	count_turn(id, out);
	if (out && has_answered(id, TURNS_HAVE_ANSWERED))
		give_up(id, WIRE_OPAQUE_TLS);
}

static void ciphertext_read(struct conn_id id, const struct iovec *iov, size_t moved)
{
	if (greets(id))
		tls_hello_read(id, iov, moved);
	ciphertext_moved(id, false);
}

/* How many bytes are missing, the next record of their direction tells. The server may answer before there
 * is one (a refusal, the last request of a connection): so the answer tells that there are some. */
static void lost_in(struct conn_id id)
{
	change_kind(id, 0, CONN_LOST_IN);
}

static void put_or_lose(struct conn_id id, struct ring_note *note, const struct iovec *iov,
			size_t moved)
{
	bool untold = kind_word(id) & CONN_LOST_IN;
	if (untold && note->type == WIRE_OUT)
		note->info |= WIRE_LOST_IN;
	bool all = ring_put_data(&boot_ring, note, iov, moved);
	if (all && untold)
		change_kind(id, CONN_LOST_IN, 0);
	else if (!all && note->type == WIRE_IN)
		lost_in(id);
}

static void put_data(enum wire_type type, struct stream_mark mark, const struct iovec *iov,
		     size_t moved, uint64_t *count)
{
	struct ring_note note = {
		.type = type,
		.info = kind_of(mark.id) == CONN_TLS_HTTP ? WIRE_TEXT_OF_TLS : 0,
		.fd = mark.id.home,
		.generation = mark.id.generation,
		.time = mark.time,
	};
	if (conn_count(count, mark.id, moved, &note.offset))
		put_or_lose(mark.id, &note, iov, moved);
}

void stream_after_read(struct stream_mark mark, const struct iovec *iov, ssize_t moved, bool asked,
		       int flags)
{
	if (!conn_lives(mark.id))
		return;
	if (flags & (MSG_OOB | MSG_ERRQUEUE)) /* not bytes of the stream */
		return;
	struct conn_slot *home = &conn_slots[mark.id.home];
	if (moved < 0) {
		note_failure(mark.id);
	} else if (moved == 0) {
		if (asked)
			put_control(WIRE_EOF, mark.id, 0, conn_counted(&home->in_bytes));
	} else if (flags & MSG_PEEK) {
		return; /* they will be read again */
	} else if (flags & MSG_TRUNC) {
		stream_read_unseen(mark, moved); /* tcp(7): thrown away unread */
	} else {
		mark.time = stamp_now();
		enum conn_kind kind = kind_of(mark.id);
		if (kind == CONN_HTTP ||
		    (kind == CONN_NEW && sort_out(mark.id, iov, (size_t)moved)))
			put_data(WIRE_IN, mark, iov, (size_t)moved, &home->in_bytes);
		else if (kind == CONN_TLS)
			ciphertext_read(mark.id, iov, (size_t)moved);
	}
}

void stream_after_write(struct stream_mark mark, const struct iovec *iov, ssize_t moved, int flags)
{
	if (!conn_lives(mark.id) || (flags & MSG_OOB))
		return;
	enum conn_kind kind = kind_of(mark.id);
	if (moved < 0)
		note_failure(mark.id);
	else if (moved > 0 && kind == CONN_NEW && !speaks_first(mark.id, iov, (size_t)moved))
		return;
	else if (moved > 0 && (kind == CONN_HTTP || kind == CONN_NEW))
		put_data(WIRE_OUT, mark, iov, (size_t)moved, &conn_slots[mark.id.home].out_bytes);
	else if (moved > 0 && kind == CONN_TLS)
		ciphertext_moved(mark.id, true);
}

/* ---- what most calls are: HTTP, one buffer, one record ------------------------------------------- */

/* Whether a call moved some of the `n` bytes that it was asked to: not 0, no error, no more than n. A
 * program may say SIZE_MAX, which is past every result as an unsigned number too. */
static inline bool some_moved(ssize_t moved, size_t n)
{
	return (size_t)(moved - 1) < (n & (SIZE_MAX >> 1));
}

/* And nothing is untold. */
static inline bool is_plain_http(struct conn_id id, const struct conn_slot *home)
{
	return (int32_t)__atomic_load_n(&home->holders, __ATOMIC_ACQUIRE) > 0 && id.generation &&
	       __atomic_load_n(&home->kind, __ATOMIC_RELAXED) ==
		       conn_kind_word(id.generation, CONN_HTTP);
}

static __attribute__((noinline, cold)) void put_in_pieces(enum wire_type type,
							  struct stream_mark mark, const void *buf,
							  size_t moved, uint64_t offset)
{
	struct iovec iov = {(void *)(uintptr_t)buf, moved};
	struct ring_note note = {
		.type = type,
		.fd = mark.id.home,
		.generation = mark.id.generation,
		.time = mark.time,
		.offset = offset,
	};
	put_or_lose(mark.id, &note, &iov, moved);
}

static inline __attribute__((always_inline)) void put_flat(enum wire_type type,
							   struct stream_mark mark, const void *buf,
							   size_t moved, uint64_t *count)
{
	struct ring_note note = {
		.type = type,
		.fd = mark.id.home,
		.generation = mark.id.generation,
		.time = mark.time,
	};
	if (!conn_count(count, mark.id, moved, &note.offset))
		return;
	if (!ring_put_at_once(&boot_ring, &note, buf, moved))
		put_in_pieces(type, mark, buf, moved, note.offset);
}

static __attribute__((noinline)) ssize_t read_otherwise(struct stream_mark mark, void *buf,
							size_t n, ssize_t moved, int flags)
{
	struct iovec iov = {buf, n};
	if (moved > 0 && (size_t)moved > n)
		flags |= MSG_TRUNC; /* whoever says so: there is no more than n to be copied */
	stream_after_read(mark, &iov, moved, n > 0, flags);
	return moved;
}

ssize_t stream_read_into(struct stream_mark mark, void *buf, size_t n, ssize_t moved, int flags)
{
	struct conn_slot *home = &conn_slots[mark.id.home];
	const int special = MSG_OOB | MSG_ERRQUEUE | MSG_PEEK | MSG_TRUNC;
	if (!some_moved(moved, n) || (flags & special) || !is_plain_http(mark.id, home))
		return read_otherwise(mark, buf, n, moved, flags);
	mark.time = stamp_now();
	put_flat(WIRE_IN, mark, buf, (size_t)moved, &home->in_bytes);
	return moved;
}

static __attribute__((noinline)) ssize_t written_otherwise(struct stream_mark mark, const void *buf,
							   size_t n, ssize_t moved, int flags)
{
	struct iovec iov = {(void *)(uintptr_t)buf, n};
	if (moved > 0 && (size_t)moved > n)
		stream_written_unseen(mark, moved);
	else
		stream_after_write(mark, &iov, moved, flags);
	return moved;
}

ssize_t stream_written_from(struct stream_mark mark, const void *buf, size_t n, ssize_t moved,
			    int flags)
{
	struct conn_slot *home = &conn_slots[mark.id.home];
	if (!some_moved(moved, n) || (flags & MSG_OOB) || !is_plain_http(mark.id, home))
		return written_otherwise(mark, buf, n, moved, flags);
	put_flat(WIRE_OUT, mark, buf, (size_t)moved, &home->out_bytes);
	return moved;
}

/* ---- plain text of TLS connections ---------------------------------------------------------------- */

/* Whether plain text of this connection is to be recorded. */
static bool plain_is_http(struct conn_id id, const struct iovec *iov, size_t moved, bool in)
{
	if (!conn_lives(id))
		return false;
	enum conn_kind kind = kind_of(id);
	if (kind != CONN_TLS)
		return kind == CONN_TLS_HTTP;
	if (in ? !first_bytes_are_http(iov, moved) : !first_bytes_are_settings(iov, moved)) {
		give_up(id, WIRE_OPAQUE_OTHER);
		return false;
	}
	return set_kind(id, CONN_TLS_HTTP);
}

void stream_plain_read(struct stream_mark mark, void *buf, size_t moved)
{
	struct iovec iov = {buf, moved};
	if (!conn_lives(mark.id)) /* for one, a child that was forked in the middle of the call */
		return;
	mark.time = stamp_now();
	if (plain_is_http(mark.id, &iov, moved, true))
		put_data(WIRE_IN, mark, &iov, moved, &conn_slots[mark.id.home].in_bytes);
}

void stream_plain_written(struct stream_mark mark, const void *buf, size_t moved)
{
	struct iovec iov = {(void *)(uintptr_t)buf, moved};
	if (plain_is_http(mark.id, &iov, moved, false))
		put_data(WIRE_OUT, mark, &iov, moved, &conn_slots[mark.id.home].out_bytes);
}

void stream_plain_eof(struct conn_id id)
{
	if (conn_lives(id) && kind_of(id) == CONN_TLS_HTTP)
		put_control(WIRE_EOF, id, 0, conn_counted(&conn_slots[id.home].in_bytes));
}

void stream_plain_shut(struct conn_id id)
{
	if (!conn_lives(id) || kind_of(id) != CONN_TLS_HTTP)
		return;
	struct conn_id home = conn_of((int)id.home);
	if (home.home == id.home && home.generation == id.generation)
		stream_before_farewell(id, (int)id.home);
	put_control(WIRE_SHUT, id, SHUT_WR, 0);
}

/* The next record's offset tells how many were missed. */
static void count_unseen(struct conn_id id, ssize_t moved, bool out)
{
	struct conn_slot *home = &conn_slots[id.home];
	enum conn_kind kind = kind_of(id);
	uint64_t offset;
	if (moved > 0 && kind == CONN_NEW)
		give_up(id, WIRE_OPAQUE_OTHER);
	else if (moved > 0 && kind == CONN_HTTP &&
		 conn_count(out ? &home->out_bytes : &home->in_bytes, id, (uint64_t)moved,
			    &offset) &&
		 !out)
		lost_in(id);
	else if (moved > 0 && kind == CONN_TLS)
		ciphertext_moved(id, out);
	else if (moved < 0)
		note_failure(id);
}

void stream_read_unseen(struct stream_mark mark, ssize_t moved)
{
	if (conn_lives(mark.id))
		count_unseen(mark.id, moved, false);
}

void stream_written_unseen(struct stream_mark mark, ssize_t moved)
{
	if (conn_lives(mark.id))
		count_unseen(mark.id, moved, true);
}
