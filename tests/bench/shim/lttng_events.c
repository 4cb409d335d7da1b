/* lttng_events BYTES BATCHES EVENTS: emits them in batches as calls.c sends; prints the nanoseconds of
 * an event. Fails where the session does not trace it. */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "tests/bench/shim/lttng_event.h"

#include "tests/bench/shim/batches.h"

#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char buf[65536];
	if (argc < 4)
		return 2;
	size_t bytes = strtoul(argv[1], NULL, 10);
	long batches = strtol(argv[2], NULL, 10), events = strtol(argv[3], NULL, 10);
	for (int i = 0; i < 300 && !lttng_ust_tracepoint_enabled(bench, sent); i++)
		usleep(10000);
	if (!lttng_ust_tracepoint_enabled(bench, sent)) {
		fprintf(stderr, "lttng_events: no session traces bench:sent\n");
		return 1;
	}
	double *ns = calloc((size_t)batches + 1, sizeof(*ns));
	for (long b = 0; b < batches; b++) {
		double start = now_ns();
		for (long i = 0; i < events; i++)
			lttng_ust_tracepoint(bench, sent, buf, bytes);
		ns[b] = now_ns() - start;
	}
	printf("%.2f\n", batches_figure(ns, batches, events));
	free(ns);
	return 0;
}
