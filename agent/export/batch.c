#include "agent/export/batch.h"

#include <stdlib.h>
#include <string.h>

struct export_batch *export_batch_new(size_t processes)
{
	struct export_batch *b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->processes = calloc(processes ? processes : 1, sizeof(*b->processes));
	if (!b->processes) {
		free(b);
		return NULL;
	}
	b->process_count = processes;
	return b;
}

void export_batch_free(struct export_batch *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->process_count; i++)
		metrics_snapshot_free(b->processes[i].metrics);
	free(b->processes);
	free(b);
}

size_t batch_points(const struct export_batch *b)
{
	size_t points = 0;
	for (size_t i = 0; i < b->process_count; i++)
		for (unsigned id = 0; id < METRICS_COUNT && b->processes[i].metrics; id++)
			points += metrics_snapshot_count(b->processes[i].metrics,
							 (enum metrics_id)id);
	return points;
}

size_t batch_lasts(const struct export_batch *b)
{
	size_t lasts = 0;
	for (size_t i = 0; i < b->process_count; i++)
		lasts += b->processes[i].last;
	return lasts;
}

size_t batch_keep_lasts(struct export_batch *b, uint64_t now_ns)
{
	size_t kept = 0, dropped = 0;
	for (size_t i = 0; i < b->process_count; i++) {
		struct export_process *p = &b->processes[i];
		if (p->last && (!p->keep_until_ns || now_ns < p->keep_until_ns)) {
			if (!p->keep_until_ns)
				p->keep_until_ns = now_ns + BATCH_KEEP_NS;
			b->processes[kept++] = *p;
			continue;
		}
		dropped += p->last;
		metrics_snapshot_free(p->metrics);
	}
	b->process_count = kept;
	return dropped;
}

static bool has_instance(const struct export_batch *b, const char *instance_id)
{
	for (size_t i = 0; i < b->process_count; i++)
		if (strcmp(b->processes[i].instance_id, instance_id) == 0)
			return true;
	return false;
}

size_t batch_take_lasts(struct export_batch *to, struct export_batch *from)
{
	size_t lasts = batch_lasts(from), lost = lasts;
	struct export_process *grown =
		lasts ? realloc(to->processes, (to->process_count + lasts) * sizeof(*grown)) : NULL;
	if (grown) {
		to->processes = grown;
		for (size_t i = 0; i < from->process_count; i++) {
			struct export_process *p = &from->processes[i];
			if (!p->last || has_instance(to, p->instance_id))
				continue;
			grown[to->process_count++] = *p;
			p->metrics = NULL; /* it has moved */
			lost--;
		}
	}
	export_batch_free(from);
	return lost;
}
