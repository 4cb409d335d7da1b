/*
 * gzip.h - a request compressed (RFC 1952).
 */
#ifndef EXPORT_GZIP_H
#define EXPORT_GZIP_H

#include "agent/base/span.h"

/* *at is for free(). 0 or -ENOMEM. */
int gzip_pack(struct span plain, uint8_t **at, size_t *len);

#endif
