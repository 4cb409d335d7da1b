#include "agent/intake/sockets.h"

#include "agent/base/limits.h"
#include "agent/base/span.h"
#include "agent/intake/tcp_table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- descriptors -------------------------------------------------------------------------------- */

static int put(struct sockets *s, struct sockets_entry entry)
{
	if (s->count == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		struct sockets_entry *at = realloc(s->at, room * sizeof(*at));
		if (!at)
			return -ENOMEM;
		s->at = at;
		s->room = room;
	}
	s->at[s->count++] = entry;
	return 0;
}

/* One name in /proc/PID/fd. A descriptor that is closed meanwhile is none. */
static int look_at(struct sockets *s, int dir_fd, const char *name)
{
	char target[64], *end;
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);
	if (n < 0)
		return errno == EACCES || errno == EPERM ? -EACCES : 0;
	target[n] = '\0';
	if (strcmp(target, "anon_inode:[io_uring]") == 0)
		s->has_io_uring = true;
	if (strncmp(target, "socket:[", 8) != 0)
		return 0;
	uint64_t inode = strtoull(target + 8, &end, 10);
	unsigned long fd = strtoul(name, NULL, 10);
	if (*end != ']' || !inode || fd > UINT32_MAX)
		return 0;
	return put(s, (struct sockets_entry){inode, (uint32_t)fd});
}

static int by_inode(const void *a, const void *b)
{
	const struct sockets_entry *x = a, *y = b;
	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return x->fd < y->fd ? -1 : x->fd > y->fd;
}

int sockets_read(struct sockets *s, uint32_t pid)
{
	char path[32];
	*s = (struct sockets){0};
	snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	DIR *dir = opendir(path);
	if (!dir)
		return -errno;
	struct dirent *entry;
	size_t descriptors = 0;
	int err = 0;
	while (!err && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		err = ++descriptors > LIMIT_LOOK_DESCRIPTORS
			      ? -E2BIG
			      : look_at(s, dirfd(dir), entry->d_name);
	}
	closedir(dir);
	if (!err && s->count)
		qsort(s->at, s->count, sizeof(*s->at), by_inode);
	return err;
}

void sockets_release(struct sockets *s)
{
	free(s->at);
	*s = (struct sockets){0};
}

/* ---- connections -------------------------------------------------------------------------------- */

#define PORTS 65536u

struct search {
	const struct sockets *own;
	const uint64_t *inodes;
	size_t count;
	bool listening[PORTS];
	uint16_t *port; /* of the inode's connection */
	bool *established;
};

static int compare_inodes(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static bool is_own(const struct sockets *s, uint64_t inode)
{
	size_t low = 0, high = s->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->at[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->count && s->at[low].inode == inode;
}

static void take_row(void *user, const struct tcp_table_row *row)
{
	struct search *q = user;
	if (!row->inode)
		return;
	if (row->state == TCP_TABLE_LISTEN && is_own(q->own, row->inode))
		q->listening[row->local_port] = true;
	if (row->state != TCP_TABLE_ESTABLISHED)
		return;
	const uint64_t *found =
		bsearch(&row->inode, q->inodes, q->count, sizeof(*q->inodes), compare_inodes);
	if (!found)
		return;
	q->established[found - q->inodes] = true;
	q->port[found - q->inodes] = row->local_port;
}

static int take_table(struct search *q, uint32_t pid, const char *name)
{
	char path[48];
	snprintf(path, sizeof(path), "/proc/%u/net/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int err = tcp_table_read(fd, LIMIT_LOOK_TABLE_BYTES, take_row, q);
	close(fd);
	return err;
}

static int search(struct search *q, uint32_t pid, bool *inbound)
{
	int err = take_table(q, pid, "tcp");
	if (err)
		return err;
	err = take_table(q, pid, "tcp6");
	if (err && err != -ENOENT) /* a kernel without IPv6 */
		return err;
	for (size_t i = 0; i < q->count; i++) {
		if (q->established[i] && q->listening[q->port[i]])
			inbound[i] = true;
	}
	return 0;
}

int sockets_find_inbound(const struct sockets *s, uint32_t pid, const uint64_t *inodes,
			 size_t count, bool *inbound)
{
	struct search *q = calloc(1, sizeof(*q));
	int err = -ENOMEM;
	if (q) {
		q->own = s;
		q->inodes = inodes;
		q->count = count;
		q->port = calloc(count, sizeof(*q->port));
		q->established = calloc(count, sizeof(*q->established));
		if (q->port && q->established)
			err = search(q, pid, inbound);
		free(q->port);
		free(q->established);
	}
	free(q);
	return err;
}
