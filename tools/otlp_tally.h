/*
 * otlp_tally.h - what received OTLP metric requests say, reduced to the figures of a few series.
 *
 * Reads the protobuf wire format by itself, and not with the code that the exporter writes it with: a
 * mistake in that would cancel out.
 */
#ifndef TOOLS_OTLP_TALLY_H
#define TOOLS_OTLP_TALLY_H

#include "agent/base/span.h"

#define TALLY_SERIES 64

struct tally_series {
	char metric[96];
	char model[64];
	char status[16];
	int stream; /* 0, 1; -1 without the attribute */
	/* The newest point: a histogram's count and sum, or a number in both. */
	double count;
	double sum;
};

struct otlp_tally {
	struct tally_series series[TALLY_SERIES]; /* cumulative: a newer point replaces the older */
	size_t count;
	unsigned int requests;
	unsigned int bad; /* requests that are not an ExportMetricsServiceRequest */
};

/* Adds one request's body. */
void otlp_tally_add(struct otlp_tally *t, struct span body);

/* Which series are meant: NULL and -1 mean any. */
struct tally_filter {
	const char *metric;
	const char *status;
	int stream;
};

/* Sums over the series of SCRIPT_MODEL that fit. Returns how many there are. */
size_t otlp_tally_sum(const struct otlp_tally *t, struct tally_filter f, double *count,
		      double *sum);

#endif
