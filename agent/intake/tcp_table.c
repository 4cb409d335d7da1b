/*
 *    sl  local_address rem_address   st tx_queue:rx_queue tr:when retrnsmt  uid timeout inode ...
 *     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000 0 31337 1 ...
 *
 * Addresses have 8 digits, in tcp6 32. They are skipped: ports tell a process's connections apart.
 */
#include "agent/intake/tcp_table.h"

#include "agent/base/hex.h"

#include <errno.h>
#include <unistd.h>

#define FIELDS_BETWEEN 5 /* from the state to the inode */

/* The next word of a line; empty at its end. */
static struct span word(struct span *line)
{
	size_t n = 0;
	while (line->len && *line->at == ' ')
		span_skip(line, 1);
	while (n < line->len && line->at[n] != ' ')
		n++;
	return span_take(line, n);
}

static bool hex_number(struct span digits, uint32_t *to)
{
	uint32_t value = 0;
	if (!digits.len || digits.len > 8)
		return false;
	for (size_t i = 0; i < digits.len; i++) {
		int d = hex_digit(digits.at[i]);
		if (d < 0)
			return false;
		value = value << 4 | (uint32_t)d;
	}
	*to = value;
	return true;
}

static bool decimal_number(struct span digits, uint64_t *to)
{
	uint64_t value = 0;
	if (!digits.len || digits.len > 19)
		return false;
	for (size_t i = 0; i < digits.len; i++) {
		if (digits.at[i] < '0' || digits.at[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(digits.at[i] - '0');
	}
	*to = value;
	return true;
}

static bool port_of(struct span address, uint32_t *port)
{
	size_t digits = address.len >= 5 ? address.len - 5 : 0;
	if ((digits != 8 && digits != 32) || address.at[digits] != ':')
		return false;
	span_skip(&address, digits + 1);
	return hex_number(address, port);
}

bool tcp_table_row(struct span line, struct tcp_table_row *row)
{
	uint32_t port, peer_port, state;
	uint64_t inode;
	struct span number = word(&line);
	if (!span_ends(number, ":") || !port_of(word(&line), &port) ||
	    !port_of(word(&line), &peer_port) || !hex_number(word(&line), &state) || state > 0xff)
		return false;
	for (int i = 0; i < FIELDS_BETWEEN; i++)
		word(&line);
	/* What follows the inode shows that its digits are all there. */
	if (!decimal_number(word(&line), &inode) || !line.len)
		return false;
	*row = (struct tcp_table_row){(uint16_t)port, (uint8_t)state, inode};
	return true;
}

/* The whole lines of the chunk's first `len` bytes; what is left begins the next one. */
static void take_lines(struct tcp_table *t, size_t len,
		       void (*found)(void *user, const struct tcp_table_row *row), void *user)
{
	struct span rest = span_of(t->chunk, len);
	const uint8_t *end;
	while (rest.len && (end = memchr(rest.at, '\n', rest.len))) {
		struct tcp_table_row row;
		if (tcp_table_row(span_take(&rest, (size_t)(end - rest.at)), &row))
			found(user, &row);
		span_skip(&rest, 1);
	}
	t->kept = rest.len == sizeof(t->chunk) ? 0 : rest.len;
	memmove(t->chunk, rest.at, t->kept);
}

int tcp_table_read(struct tcp_table *t, size_t piece,
		   void (*found)(void *user, const struct tcp_table_row *row), void *user)
{
	for (size_t got = 0; got < piece;) {
		ssize_t n = read(t->fd, t->chunk + t->kept, sizeof(t->chunk) - t->kept);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		got += (size_t)n;
		t->bytes += (size_t)n;
		take_lines(t, t->kept + (size_t)n, found, user);
	}
	return 1;
}
