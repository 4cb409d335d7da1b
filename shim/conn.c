/*
 * A descriptor's life, as the hooks see it:
 *
 *                accept                first bytes read: "GET ", "POS", ...
 *   UNWATCHED ------------> NEW -----------------------------------------> HTTP
 *       ^                    | TLS or anything else: OPAQUE is told           |
 *       |                    v                                                |
 *       +--------------------+------------------ close, or accept again ------+
 *
 * Two threads may work on one descriptor. A reader that was in the kernel while another thread
 * closed the descriptor finds another generation when it comes back and records nothing.
 */
#include "shim/conn.h"

#include "shim/boot.h"
#include "shim/real.h"
#include "shim/sys.h"
#include "shim/text.h"

#include <errno.h>
#include <sys/mman.h>

/* boot.c has the kernel wipe it in forked children. */
uint8_t conn_states[CONN_MAX] __attribute__((aligned(CONN_PAGE_BYTES)));

/* The streams of a descriptor's present connection. */
struct conn_slot {
	uint32_t generation;
	uint32_t reserved;
	uint64_t in_bytes; /* moved so far, recorded or not */
	uint64_t out_bytes;
};

/* CONN_MAX of them; only pages whose descriptors are in use exist. */
static struct conn_slot *conn_slots;

bool conn_prepare(void)
{
	if (conn_slots)
		return true;
	long at = sys6(SYS_mmap, 0, (long)(CONN_MAX * sizeof(struct conn_slot)),
		       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at < 0 && at > -4096)
		return false;
	__atomic_store_n(&conn_slots, (struct conn_slot *)at, __ATOMIC_RELEASE);
	return true;
}

static uint8_t state_of(uint32_t fd)
{
	/* Acquire pairs with set_state's release: a watched descriptor's slot is filled in. */
	return __atomic_load_n(&conn_states[fd], __ATOMIC_ACQUIRE);
}

static void set_state(uint32_t fd, enum conn_state state)
{
	__atomic_store_n(&conn_states[fd], (uint8_t)state, __ATOMIC_RELEASE);
}

static void put_control(enum wire_type type, struct conn_mark mark, unsigned info, uint64_t offset)
{
	struct ring_note note = {
		.type = type,
		.info = (uint16_t)info,
		.fd = mark.fd,
		.generation = mark.generation,
		.time_ns = mark.time_ns ? mark.time_ns : boot_now_ns(),
		.offset = offset,
	};
	ring_put_control(&boot_ring, &note);
}

/* Of a descriptor that is watched: that there is a ring and a table goes without asking, except on
 * kernels that cannot wipe the table in forked children. */
static struct conn_mark mark_of(int fd)
{
	struct conn_mark mark = {.fd = (uint32_t)fd};
	if (!boot_wipe_missing || boot_own_process())
		mark.generation =
			__atomic_load_n(&conn_slots[mark.fd].generation, __ATOMIC_RELAXED);
	return mark;
}

/* Whether the connection that the mark was taken of is still the descriptor's. */
static bool still_there(struct conn_mark mark)
{
	return mark.generation && state_of(mark.fd) &&
	       __atomic_load_n(&conn_slots[mark.fd].generation, __ATOMIC_RELAXED) ==
		       mark.generation;
}

/* ---- opening and closing ------------------------------------------------------------------------ */

void conn_accepted(int fd)
{
	boot_activate();
	if (!boot_has_ring())
		return;
	if ((uint32_t)fd >= CONN_MAX) {
		boot_count_unwatched();
		return;
	}
	struct conn_mark mark = mark_of(fd);
	struct conn_slot *slot = &conn_slots[mark.fd];
	if (state_of(mark.fd)) {
		/* The kernel gave out a descriptor that we take for open: it was closed behind our
		 * back (libuv, or a libc function that closes without the hooked name). */
		set_state(mark.fd, CONN_UNWATCHED);
		put_control(WIRE_CLOSE, mark, 0,
			    __atomic_load_n(&slot->out_bytes, __ATOMIC_RELAXED));
	}
	__atomic_store_n(&slot->in_bytes, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->out_bytes, 0, __ATOMIC_RELAXED);
	mark.generation = __atomic_add_fetch(&slot->generation, 1, __ATOMIC_RELAXED);
	put_control(WIRE_OPEN, mark, 0, 0);
	set_state(mark.fd, CONN_NEW);
}

void conn_shut(int fd, int how)
{
	struct conn_mark mark = mark_of(fd);
	if (mark.generation && boot_own_process())
		put_control(WIRE_SHUT, mark, (unsigned)how, 0);
}

void conn_closing(int fd)
{
	struct conn_mark mark = mark_of(fd);
	if (!mark.generation || !boot_own_process())
		return;
	/* Before the real close: once the kernel has the number back, another thread's accept may
	 * get it, and what we cleared then would be its entry. */
	uint64_t out = __atomic_load_n(&conn_slots[mark.fd].out_bytes, __ATOMIC_RELAXED);
	set_state(mark.fd, CONN_UNWATCHED);
	put_control(WIRE_CLOSE, mark, 0, out);
}

/* ---- bytes -------------------------------------------------------------------------------------- */

struct conn_mark conn_before_read(int fd)
{
	return mark_of(fd);
}

struct conn_mark conn_before_write(int fd)
{
	struct conn_mark mark = mark_of(fd);
	mark.time_ns = boot_now_ns();
	return mark;
}

/* The first byte that moved in, wherever the iovec list has it. */
static uint8_t byte_at(const struct iovec *iov, size_t n)
{
	while (n >= iov->iov_len) {
		n -= iov->iov_len;
		iov++;
	}
	return ((const uint8_t *)iov->iov_base)[n];
}

/* RFC 9110 9.1: a method is a token; all in use are capital letters, '-' and a space after them. */
static bool begins_like_http(const struct iovec *iov, size_t moved)
{
	for (size_t i = 0; i < moved && i < 16; i++) {
		uint8_t c = byte_at(iov, i);
		if (c == ' ')
			return i > 0;
		if ((c < 'A' || c > 'Z') && c != '-')
			return false;
	}
	return moved < 16;
}

/* Decides by the first bytes of a connection; false if it is not to be watched any longer. */
static bool sort_out(struct conn_mark mark, const struct iovec *iov, size_t moved)
{
	if (begins_like_http(iov, moved)) {
		set_state(mark.fd, CONN_HTTP);
		return true;
	}
	bool tls = byte_at(iov, 0) == 0x16 && (moved < 2 || byte_at(iov, 1) == 0x03);
	set_state(mark.fd, CONN_UNWATCHED);
	put_control(WIRE_OPAQUE, mark, tls ? WIRE_OPAQUE_TLS : WIRE_OPAQUE_OTHER, 0);
	return false;
}

/* Errors after which nothing more moves in this direction; the others are the program's business. */
static void note_failure(struct conn_mark mark)
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
		mark.time_ns = boot_now_ns();
		put_control(WIRE_FAIL, mark, (unsigned)error, 0);
	}
}

static void put_data(enum wire_type type, struct conn_mark mark, const struct iovec *iov,
		     size_t moved, uint64_t *stream)
{
	struct ring_note note = {
		.type = type,
		.fd = mark.fd,
		.generation = mark.generation,
		.time_ns = mark.time_ns,
		.offset = __atomic_fetch_add(stream, moved, __ATOMIC_RELAXED),
	};
	ring_put_data(&boot_ring, &note, iov, moved);
}

void conn_after_read(struct conn_mark mark, const struct iovec *iov, ssize_t moved, bool asked,
		     int flags)
{
	if (!still_there(mark))
		return;
	if (flags & (MSG_OOB | MSG_ERRQUEUE)) /* not bytes of the stream */
		return;
	struct conn_slot *slot = &conn_slots[mark.fd];
	if (moved < 0) {
		note_failure(mark);
	} else if (moved == 0) {
		if (asked)
			put_control(WIRE_EOF, mark, 0,
				    __atomic_load_n(&slot->in_bytes, __ATOMIC_RELAXED));
	} else if (flags & MSG_PEEK) {
		return; /* they will be read again */
	} else if (flags & MSG_TRUNC) {
		/* tcp(7): thrown away unread. They moved all the same: a gap. */
		__atomic_fetch_add(&slot->in_bytes, (uint64_t)moved, __ATOMIC_RELAXED);
	} else {
		mark.time_ns = boot_now_ns();
		if (state_of(mark.fd) != CONN_NEW || sort_out(mark, iov, (size_t)moved))
			put_data(WIRE_IN, mark, iov, (size_t)moved, &slot->in_bytes);
	}
}

void conn_after_write(struct conn_mark mark, const struct iovec *iov, ssize_t moved, int flags)
{
	if (!still_there(mark) || (flags & MSG_OOB))
		return;
	if (moved < 0) {
		note_failure(mark);
	} else if (moved > 0) {
		if (state_of(mark.fd) == CONN_NEW) {
			/* HTTP servers do not speak first. */
			set_state(mark.fd, CONN_UNWATCHED);
			put_control(WIRE_OPAQUE, mark, WIRE_OPAQUE_OTHER, 0);
			return;
		}
		put_data(WIRE_OUT, mark, iov, (size_t)moved, &conn_slots[mark.fd].out_bytes);
	}
}
