/*
 * batch.h - what the exporter does with batches besides sending them. For exporter.c and its tests.
 */
#ifndef EXPORT_BATCH_H
#define EXPORT_BATCH_H

#include "agent/export/exporter.h"

/* How long a `last` process is sent again after it failed the first time: long enough for a receiver
 * to be restarted, and the agent does not end before (exporter_idle). */
#define BATCH_KEEP_NS (60ull * 1000 * 1000 * 1000)

size_t batch_points(const struct export_batch *b);
size_t batch_lasts(const struct export_batch *b);

/* After a failure: keeps only the `last` processes whose time is not over. How many of them were
 * dropped is returned. */
size_t batch_keep_lasts(struct export_batch *b, uint64_t now_ns);

/* Moves the `last` processes of `from` to `to`, which is newer, and frees `from`. How many were not
 * moved (no memory, or `to` has the process) is returned. */
size_t batch_take_lasts(struct export_batch *to, struct export_batch *from);

#endif
