#include "agent/intake/header.h"

#include <errno.h>

static bool is_power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

int header_check(const struct wire_header *h, size_t file_bytes)
{
	if (h->magic != WIRE_MAGIC)
		return -EINVAL;
	if (h->version != WIRE_VERSION)
		return -EPROTO;
	if (h->header_bytes != WIRE_HEADER_BYTES || !is_power_of_two(h->lanes) ||
	    h->lanes > WIRE_LANES_MAX)
		return -EINVAL;
	if (!is_power_of_two(h->lane_bytes) || h->lane_bytes < WIRE_LANE_BYTES_MIN ||
	    h->lane_bytes > WIRE_LANE_BYTES_MAX)
		return -EINVAL;
	return wire_file_bytes(h->lanes, h->lane_bytes) == file_bytes ? 0 : -EINVAL;
}

static void copy_text(char *to, const char *from, size_t room)
{
	memcpy(to, from, room);
	to[room - 1] = '\0';
}

/* Arguments end with a NUL each; the list ends with another, or with the room. */
static size_t arguments_len(const char *list, size_t room)
{
	size_t n = 0;
	while (n < room - 1 && list[n])
		n += strlen(list + n) + 1;
	return n < room ? n : room - 1;
}

void header_read(const struct wire_header *h, struct process *p)
{
	*p = (struct process){
		.pid = h->pid,
		.start_ticks = h->start_ticks,
		.pid_ns = h->pid_ns,
		.sequence = h->sequence,
		.made_mono_ns = h->made_mono_ns,
		.made_real_ns = h->made_real_ns,
	};
	copy_text(p->program, h->program, sizeof(p->program));
	copy_text(p->provider, h->provider, sizeof(p->provider));
	copy_text(p->endpoints, h->endpoints, sizeof(p->endpoints));
	copy_text(p->service_name, h->service_name, sizeof(p->service_name));
	copy_text(p->resource_attributes, h->resource_attributes, sizeof(p->resource_attributes));
	copy_text(p->command_line, h->command_line, sizeof(p->command_line));
	p->command_line_len = arguments_len(p->command_line, sizeof(p->command_line));
}
