/*
 *   control data     cmsghdr | descriptor descriptor ... | padding | cmsghdr | ...
 *
 * What is sent away:
 *   nothing was read from it yet     stays as it is. Who closes it now says so, who goes on serves it
 *   bytes of it have moved           nobody here can say who will read the rest: told once, left alone
 */
#include "shim/handover.h"

#include "shim/boot.h"
#include "shim/conn.h"
#include "shim/stream.h"
#include "shim/sys.h"
#include "shim/text.h"

#include <stdbool.h>

static int option_of(int fd, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);
	long result = sys6(SYS_getsockopt, fd, SOL_SOCKET, name, (long)&value, (long)&len, 0);
	return result < 0 ? -1 : value;
}

/* Of a connection that a server accepted: a unix socket has its listener's name then, and none where
 * it is one of a pair. */
static bool is_connection(int fd)
{
	if (option_of(fd, SO_TYPE) != SOCK_STREAM || option_of(fd, SO_ACCEPTCONN) != 0)
		return false;
	struct sockaddr_storage name = {0};
	socklen_t len = sizeof(name);
	if (sys3(SYS_getsockname, fd, &name, &len) < 0)
		return false;
	bool inet = name.ss_family == AF_INET || name.ss_family == AF_INET6;
	bool named = name.ss_family == AF_UNIX && len > sizeof(sa_family_t);
	len = sizeof(name);
	return (inet || named) && sys3(SYS_getpeername, fd, &name, &len) == 0;
}

static void arrived(int fd)
{
	if (boot_may_call() && is_connection(fd))
		conn_accepted(fd);
	else if (conn_watched(fd))
		conn_closing(fd);
}

static void sent(int fd)
{
	if (conn_watched(fd))
		stream_handed_over(conn_of(fd));
}

/* CMSG_NXTHDR is a libc's function. */
static void each_descriptor(const struct msghdr *msg, void (*take)(int fd))
{
	const uint8_t *at = msg->msg_control;
	size_t left = handover_bytes(msg);
	while (left > sizeof(struct cmsghdr)) {
		struct cmsghdr c;
		text_bytes(&c, at, sizeof(c));
		size_t len = (uint32_t)c.cmsg_len;
		if (len < sizeof(c) || len > left)
			return;
		bool rights = c.cmsg_level == SOL_SOCKET && c.cmsg_type == SCM_RIGHTS;
		for (size_t n = CMSG_LEN(0); rights && n + sizeof(int) <= len; n += sizeof(int)) {
			int fd;
			text_bytes(&fd, at + n, sizeof(fd));
			take(fd);
		}
		if (CMSG_ALIGN(len) >= left)
			return;
		at += CMSG_ALIGN(len);
		left -= CMSG_ALIGN(len);
	}
}

void handover_received(const struct msghdr *msg)
{
	each_descriptor(msg, arrived);
}

void handover_sent(const struct msghdr *msg)
{
	each_descriptor(msg, sent);
}
