/*
 * header.h - the first page of a ring file: whether it can be one, and who made it.
 */
#ifndef INTAKE_HEADER_H
#define INTAKE_HEADER_H

#include "agent/intake/process.h"

/* 0; -EPROTO it is of another version; -EINVAL it is no header of a ring file of that many bytes. */
int header_check(const struct wire_header *h, size_t file_bytes);

/* What a checked header says of its process. */
void header_read(const struct wire_header *h, struct process *p);

#endif
