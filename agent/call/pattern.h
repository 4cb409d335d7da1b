/*
 * pattern.h - path patterns of the endpoint table and of INFERWIRE_ENDPOINTS.
 *
 * A pattern is whole segments that a path ends in:
 *     /chat/completions                 /v1/chat/completions and /openai/v1/chat/completions
 *     ^/predict                         the whole path
 *     /models/{}:generateContent        "{}" is the model: any bytes, not none, with '/' among them
 * A segment "*" is any one segment that is not empty.
 */
#ifndef CALL_PATTERN_H
#define CALL_PATTERN_H

#include "agent/base/span.h"

/* `path` has no query and no trailing '/'. Of a match *model is what "{}" stands for, borrowed from
 * `path`; empty without one. */
bool pattern_matches(struct span pattern, struct span path, struct span *model);

/* Whether `pattern` may be one of a user: it begins with '/' or "^/", its segments are literal or "*",
 * and it says more than "*". */
bool pattern_is_plain(struct span pattern);

#endif
