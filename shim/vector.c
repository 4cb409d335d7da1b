/*
 *   the program's memory      | iovec | iovec | iovec |        one of the buffers lies over the list:
 *                                         ^-----------------^  what the read puts there is no list
 */
#include "shim/vector.h"

#include "shim/boot.h"
#include "shim/handover.h"
#include "shim/sys.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>

/* The smallest of the architectures: of larger ones some are asked for twice. */
#define PAGE_BYTES 4096u
/* The kernel takes no longer list (UIO_MAXIOV), so that it does not move a byte. */
#define LIST_MOST     1024u
#define MESSAGES_MOST 8u

struct area {
	uintptr_t at, bytes;
};

static struct area area_of(const void *at, size_t bytes)
{
	return (struct area){(uintptr_t)at, bytes};
}

static bool touch(struct area a, struct area b)
{
	return a.bytes && b.bytes && (a.at < b.at ? b.at - a.at < a.bytes : a.at - b.at < b.bytes);
}

/* A wait for a word to change from what it is not (or, by chance, is), for no time: it returns at once, and
 * the kernel has read the word, or says that it cannot be read. */
static bool page_is_readable(uintptr_t at)
{
	static const int64_t no_time[2];
	uintptr_t word = at & ~(uintptr_t)3;
	return sys4(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, no_time) != -EFAULT;
}

static bool is_readable(struct area a)
{
	uintptr_t first = a.at / PAGE_BYTES, last = (a.at + a.bytes - 1) / PAGE_BYTES;
	uintptr_t ours = (uintptr_t)__builtin_frame_address(0) / PAGE_BYTES;
	if (!a.bytes)
		return true;
	if (last < first)
		return false;
	for (uintptr_t page = first; page <= last; page++) {
		if (page == ours)
			continue;
		if (!boot_may_call() || !page_is_readable(page == first ? a.at : page * PAGE_BYTES))
			return false;
	}
	return true;
}

static bool writes_over(const struct iovec *iov, size_t count, struct area what)
{
	for (size_t i = 0; i < count; i++) {
		if (touch(area_of(iov[i].iov_base, iov[i].iov_len), what))
			return true;
	}
	return false;
}

bool vector_stays(const struct iovec *iov, int count)
{
	if (count <= 0 || (unsigned)count > LIST_MOST)
		return true;
	struct area list = area_of(iov, (size_t)count * sizeof(*iov));
	return is_readable(list) && !writes_over(iov, (size_t)count, list);
}

static struct area list_of(const struct msghdr *msg)
{
	return area_of(msg->msg_iov, vector_count(msg) * sizeof(*msg->msg_iov));
}

static bool has_readable_list(const struct msghdr *msg)
{
	return vector_count(msg) <= LIST_MOST && is_readable(list_of(msg));
}

/* The kernel puts the peer's name and control data into the program's memory, too. */
static bool message_writes_over(const struct msghdr *msg, struct area what)
{
	return writes_over(msg->msg_iov, vector_count(msg), what) ||
	       (msg->msg_name && touch(area_of(msg->msg_name, msg->msg_namelen), what)) ||
	       (msg->msg_control && touch(area_of(msg->msg_control, handover_bytes(msg)), what));
}

bool vector_of_message_stays(const struct msghdr *msg)
{
	struct area header = area_of(msg, sizeof(*msg));
	return is_readable(header) && has_readable_list(msg) && !message_writes_over(msg, header) &&
	       !message_writes_over(msg, list_of(msg));
}

/* Any of them over any list, or over the headers. */
static bool messages_write_over(const struct mmsghdr *msgs, unsigned count, struct area headers)
{
	for (unsigned i = 0; i < count; i++) {
		if (message_writes_over(&msgs[i].msg_hdr, headers))
			return true;
		for (unsigned j = 0; j < count; j++) {
			if (message_writes_over(&msgs[i].msg_hdr, list_of(&msgs[j].msg_hdr)))
				return true;
		}
	}
	return false;
}

bool vector_of_messages_stays(const struct mmsghdr *msgs, unsigned count)
{
	struct area headers = area_of(msgs, count * sizeof(*msgs));
	if (count > MESSAGES_MOST || !is_readable(headers))
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (!has_readable_list(&msgs[i].msg_hdr))
			return false;
	}
	return !messages_write_over(msgs, count, headers);
}
