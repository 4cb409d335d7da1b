/*
 * corpus.h - the recorded exchanges of openllmetry.jsonl.gz, for benchmarks.
 *
 * Found through INFERWIRE_CORPORA (default ../shared/corpora).
 */
#ifndef BENCH_CORPUS_H
#define BENCH_CORPUS_H

#include "agent/base/span.h"

struct corpus_exchange {
	char *method, *path, *content_type;
	int status;
	struct span request, response; /* bodies */
};

struct corpus {
	struct corpus_exchange *at;
	size_t count;
};

/* All chat and completion exchanges whose response is an uncoded text/event-stream. False, with a line on stderr, where the
 * corpus is absent or unreadable. Never freed: benchmarks end. */
bool corpus_streams(struct corpus *c);

#endif
