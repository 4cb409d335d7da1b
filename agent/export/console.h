/*
 * console.h - a batch as text for people: OTEL_METRICS_EXPORTER=console.
 */
#ifndef EXPORT_CONSOLE_H
#define EXPORT_CONSOLE_H

#include "agent/export/exporter.h"

#include <stdio.h>

void console_write(const struct export_batch *b, FILE *to);

#endif
