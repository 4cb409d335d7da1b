/*
 * json_depth.h - what a document is to a reader that does not look below LIMIT_JSON_DEPTH levels.
 */
#ifndef TESTS_ORACLES_JSON_DEPTH_H
#define TESTS_ORACLES_JSON_DEPTH_H

#include "tests/oracles/chance.h"

#include "agent/base/limits.h"
#include "agent/base/span.h"

/* Behind the string that begins at the front. */
static inline void skip_string(struct span *doc)
{
	span_skip(doc, 1);
	while (doc->len && doc->at[0] != '"')
		span_skip(doc, doc->at[0] == '\\' && doc->len > 1 ? 2 : 1);
	span_skip(doc, doc->len != 0);
}

/* Puts the document with a 0 for each value that opens below the bound. False: none does. */
static inline bool put_shallow(struct text *to, struct span doc)
{
	size_t depth = 0;
	bool deep = false;
	while (doc.len) {
		struct span token = doc;
		if (doc.at[0] == '"')
			skip_string(&doc);
		else
			span_skip(&doc, 1);
		token.len -= doc.len;
		bool opens = token.at[0] == '[' || token.at[0] == '{',
		     closes = token.at[0] == ']' || token.at[0] == '}';
		depth += opens;
		if (depth <= LIMIT_JSON_DEPTH)
			put(to, token.at, token.len);
		else if (opens && depth == LIMIT_JSON_DEPTH + 1)
			say(to, "0");
		deep |= depth > LIMIT_JSON_DEPTH;
		depth -= closes && depth;
	}
	return deep;
}

#endif
