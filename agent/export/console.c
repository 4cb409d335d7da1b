#include "agent/export/console.h"

#include "agent/base/utf8.h"
#include "agent/export/clock.h"

#include <inttypes.h>

/*
 *	2026-01-31T12:00:00.000Z vllm[4711]
 *	  llama_stack.inference.requests_total {request}
 *	    model=m provider=vllm endpoint_type=completion stream=true status=success  42
 *	  llama_stack.inference.request_duration_seconds s
 *	    model=m ...  count 42  sum 63.1  mean 1.50238  min 0.7  max 3.9
 */

/* Terminals act on control characters, and names are the clients' words. */
static void print_name(const char *text, FILE *to)
{
	char line[LIMIT_MODEL_BYTES];
	utf8_copy(span_str(text), line, sizeof(line));
	for (char *c = line; *c; c++)
		fputc((unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c, to);
}

static void print_labels(const struct metrics_instrument *in, const struct metrics_labels *l,
			 FILE *to)
{
	if (in->tally_end) {
		const struct metrics_tally_labels *c = &metrics_tally_labels[l->tally];
		fprintf(to, "kind=%s%s%s", c->kind, c->reason ? " reason=" : "",
			c->reason ? c->reason : "");
		return;
	}
	if (l->overflow) {
		fputs("otel.metric.overflow=true", to);
		return;
	}
	fputs("model=", to);
	print_name(l->call.model, to);
	fputs(" provider=", to);
	print_name(l->call.provider, to);
	fprintf(to, " endpoint_type=%s stream=%s", call_endpoint_name(l->call.endpoint),
		l->call.stream ? "true" : "false");
	if (in->has_status)
		fprintf(to, " status=%s", l->error == CALL_OK ? "success" : "error");
	if (in->has_status && l->error != CALL_OK)
		fprintf(to, " error_type=%s", call_error_name(l->error));
}

static void print_point(const struct metrics_instrument *in, const struct metrics_point *p,
			FILE *to)
{
	fputs("    ", to);
	if (!in->bare)
		print_labels(in, &p->labels, to);
	if (in->kind != METRICS_HISTOGRAM)
		fprintf(to, "  %" PRId64, p->value);
	else if (p->count)
		fprintf(to, "  count %" PRIu64 "  sum %g  mean %g  min %g  max %g", p->count,
			p->sum, p->sum / (double)p->count, p->min, p->max);
	else
		fputs("  count 0", to);
	fputc('\n', to);
}

static void print_time(uint64_t time_ns, FILE *to)
{
	struct timespec t = clock_timespec(time_ns);
	struct tm utc;
	char text[32] = "?";
	if (gmtime_r(&t.tv_sec, &utc))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	fprintf(to, "%s.%03ldZ", text, t.tv_nsec / 1000000);
}

static void print_process(const struct export_process *p, uint64_t time_ns, FILE *to)
{
	print_time(time_ns, to);
	fputc(' ', to);
	print_name(p->process.service_name[0] ? p->process.service_name : p->process.program, to);
	fprintf(to, "[%" PRIu32 "]%s\n", p->process.pid, p->last ? " ended" : "");
	for (unsigned i = 0; i < METRICS_COUNT; i++) {
		enum metrics_id id = (enum metrics_id)i;
		const struct metrics_instrument *in = &metrics_instruments[id];
		size_t count = metrics_snapshot_count(p->metrics, id);
		if (count)
			fprintf(to, "  %s%s%s\n", in->name, in->unit[0] ? " " : "", in->unit);
		for (size_t n = 0; n < count; n++) {
			struct metrics_point point = metrics_snapshot_point(p->metrics, id, n);
			print_point(in, &point, to);
		}
	}
}

void console_write(const struct export_batch *b, FILE *to)
{
	for (size_t i = 0; i < b->process_count; i++) {
		const struct export_process *p = &b->processes[i];
		if (p->metrics && !p->keep_until_ns) /* else it was printed in an earlier batch */
			print_process(p, b->time_ns, to);
	}
	fflush(to);
}
