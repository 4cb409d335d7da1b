/*
 * What an export of ten thousand series costs: the snapshot, which the draining thread takes, and the
 * encoding, which it does not wait for.
 */
#include "tests/unit/export/sample.h"
#include "agent/base/limits.h"
#include "agent/export/clock.h"
#include "agent/export/gzip.h"
#include "agent/export/otlp.h"

#include <stdlib.h>

#define ROUNDS 20
#define MODELS 1667u /* of six points each */

static double ms_since(uint64_t from_ns)
{
	return (double)(clock_mono_ns() - from_ns) / 1e6;
}

int main(void)
{
	struct metrics *m = metrics_new();
	struct export_batch *b = export_batch_new(1);
	double snapshot_ms = 0, encode_ms = 0, gzip_ms = 0;
	size_t bytes = 0, packed_bytes = 0, points = 0, requests = 0;
	if (!m || !b)
		return 1;
	sample_models(m, MODELS);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t from_ns = clock_mono_ns();
		b->processes[0].metrics = metrics_snapshot(m);
		snapshot_ms += ms_since(from_ns);
		struct otlp_cursor at = {0};
		struct otlp_request r;
		bytes = packed_bytes = points = requests = 0;
		for (;;) {
			uint8_t *packed;
			size_t len;
			from_ns = clock_mono_ns();
			if (otlp_next(b, &at, SAMPLE_NOW * 2, LIMIT_OTLP_REQUEST_BYTES, &r) != 1)
				break;
			encode_ms += ms_since(from_ns);
			from_ns = clock_mono_ns();
			if (gzip_pack(span_of(r.at, r.len), &packed, &len) != 0)
				return 1;
			gzip_ms += ms_since(from_ns);
			bytes += r.len;
			packed_bytes += len;
			points += r.points;
			requests++;
			free(packed);
			free(r.at);
		}
		metrics_snapshot_free(b->processes[0].metrics);
		b->processes[0].metrics = NULL;
	}
	printf("export/otlp  %zu series  snapshot %.2f ms  encode %.2f ms  gzip %.2f ms  "
	       "%zu requests  %zu bytes  %zu compressed\n",
	       points, snapshot_ms / ROUNDS, encode_ms / ROUNDS, gzip_ms / ROUNDS, requests, bytes,
	       packed_bytes);
	export_batch_free(b);
	metrics_free(m);
	return 0;
}
