#include "agent/intake/modules.h"

#include "agent/intake/liveness.h"

#include <stdio.h>
#include <sys/param.h>

/* A line is the five fields, padded to a column, and a path in which a newline is written \012. */
#define LINE_BYTES (MAXPATHLEN + 128)
/* The kernel lets a process have 65,530 mappings (vm.max_map_count), and some have a million. */
#define LINES_MAX 65536u

#define FIELDS_BEFORE_PATH 5u

struct span modules_path(struct span line)
{
	for (unsigned field = 0; field < FIELDS_BEFORE_PATH; field++) {
		const uint8_t *space = memchr(line.at, ' ', line.len);
		if (!space)
			return span_of(NULL, 0);
		struct span value = span_take(&line, (size_t)(space - line.at));
		if (field == 1 && (value.len != 4 || value.at[2] != 'x'))
			return span_of(NULL, 0);
		while (line.len && line.at[0] == ' ')
			span_skip(&line, 1);
	}
	return span_starts(line, "/") ? line : span_of(NULL, 0);
}

void modules_each(const struct process *p, bool (*found)(void *user, struct span path), void *user)
{
	char path[32], line[LINE_BYTES];
	if (!liveness_is_visible(p) || !liveness_of(p))
		return;
	snprintf(path, sizeof(path), "/proc/%u/maps", p->pid);
	FILE *maps = fopen(path, "re");
	if (!maps)
		return;
	for (unsigned n = 0; n < LINES_MAX && fgets(line, sizeof(line), maps); n++) {
		struct span at = modules_path(span_of(line, strcspn(line, "\n")));
		if (at.len && !found(user, at))
			break;
	}
	fclose(maps);
}
