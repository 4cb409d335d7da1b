/*
 * pairs.h - the lists of OpenTelemetry's variables: `key=value,key=value`, percent-encoded, as in
 * W3C Baggage but without its properties.
 */
#ifndef EXPORT_PAIRS_H
#define EXPORT_PAIRS_H

#include "agent/base/span.h"

/*
 * Takes the next pair off *rest, spaces around key and value removed, not decoded. 1, or 0 at the end,
 * or -EINVAL for an element without `=` or without a key; it was taken, too. Empty elements are
 * skipped.
 */
int pairs_next(struct span *rest, struct span *key, struct span *value);

/*
 * The text that is percent-encoded in `raw`, for free(). 0, -EINVAL for what is no encoding (also
 * of a NUL), or -ENOMEM.
 */
int pairs_decode(struct span raw, char **text);

#endif
