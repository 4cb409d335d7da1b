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

/* What a piece is, so that the rings do not wait: some milliseconds where /proc is slow. */
#define DESCRIPTORS_A_PIECE 256u
#define TABLE_BYTES_A_PIECE (32u * 1024)

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
	return put(s, (struct sockets_entry){.inode = inode, .fd = (uint32_t)fd});
}

static int by_inode(const void *a, const void *b)
{
	const struct sockets_entry *x = a, *y = b;
	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return x->fd < y->fd ? -1 : x->fd > y->fd;
}

int sockets_open(struct sockets *s, uint32_t pid)
{
	char path[32];
	*s = (struct sockets){0};
	snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	s->dir = opendir(path);
	return s->dir ? 0 : -errno;
}

int sockets_read(struct sockets *s)
{
	int err = 0;
	for (unsigned n = 0; n < DESCRIPTORS_A_PIECE; n++) {
		struct dirent *entry = readdir(s->dir);
		if (!entry) {
			if (s->count)
				qsort(s->at, s->count, sizeof(*s->at), by_inode);
			return 0;
		}
		if (entry->d_name[0] == '.')
			continue;
		if (++s->descriptors > LIMIT_LOOK_DESCRIPTORS)
			return -E2BIG;
		if ((err = look_at(s, dirfd(s->dir), entry->d_name)) != 0)
			return err;
	}
	return 1;
}

void sockets_release(struct sockets *s)
{
	if (s->dir)
		closedir(s->dir);
	free(s->at);
	*s = (struct sockets){0};
}

/* ---- connections -------------------------------------------------------------------------------- */

#define PORTS 65536u

static const char *const tables[] = {"tcp", "tcp6"};
#define TABLES (sizeof(tables) / sizeof(tables[0]))

struct inbound {
	const struct sockets *own;
	uint32_t pid;
	const uint64_t *inodes;
	size_t count;
	size_t table;		/* the one that is read */
	struct tcp_table input; /* its file; -1 = not opened yet */
	bool listening[PORTS];
	struct {
		uint16_t port;
		bool established;
	} of[]; /* by inode */
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
	struct inbound *q = user;
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
	q->of[found - q->inodes].established = true;
	q->of[found - q->inodes].port = row->local_port;
}

struct inbound *inbound_new(const struct sockets *s, uint32_t pid, const uint64_t *inodes,
			    size_t count)
{
	struct inbound *q = calloc(1, sizeof(*q) + count * sizeof(q->of[0]));
	if (!q)
		return NULL;
	q->own = s;
	q->pid = pid;
	q->inodes = inodes;
	q->count = count;
	q->input.fd = -1;
	return q;
}

void inbound_free(struct inbound *q)
{
	if (q && q->input.fd >= 0)
		close(q->input.fd);
	free(q);
}

static int open_table(struct inbound *q)
{
	char path[48];
	snprintf(path, sizeof(path), "/proc/%u/net/%s", q->pid, tables[q->table]);
	q->input = (struct tcp_table){.fd = open(path, O_RDONLY | O_CLOEXEC)};
	return q->input.fd >= 0 ? 1 : -errno;
}

/* 1: there is one more. */
static int next_table(struct inbound *q)
{
	if (q->input.fd >= 0)
		close(q->input.fd);
	q->input.fd = -1;
	return ++q->table < TABLES;
}

int inbound_read(struct inbound *q)
{
	if (q->input.fd < 0) {
		int err = open_table(q);
		bool no_ipv6 = err == -ENOENT && q->table > 0; /* a kernel without it */
		return no_ipv6 ? next_table(q) : err;
	}
	int more = tcp_table_read(&q->input, TABLE_BYTES_A_PIECE, take_row, q);
	if (q->input.bytes > LIMIT_LOOK_TABLE_BYTES)
		return -E2BIG;
	return more ? more : next_table(q);
}

bool inbound_is(const struct inbound *q, size_t n)
{
	return q->of[n].established && q->listening[q->of[n].port];
}
