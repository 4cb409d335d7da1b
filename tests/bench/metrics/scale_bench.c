/*
 * How cost and memory grow: bytes of memory for live streams and series, nanoseconds an event with one stream
 * and with thousands in turns, nanoseconds a byte of bodies of any length. Flat is what they should be.
 */
#include "tests/bench/metrics/metered.h"
#include "tests/bench/stopwatch.h"

#include "agent/call/session.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EVENTS 400000u

static struct metrics *metrics;
static struct server *server;
static struct call_sink sink;

static double resident_mib(void)
{
	long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (!f || fscanf(f, "%ld %ld", &size, &resident) != 2)
		exit(1);
	fclose(f);
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

static void begin(void)
{
	metrics = metrics_new();
	server = server_new("python3", span_of("", 0), "bench", &sink);
	sink = metered_sink(metrics);
	if (!metrics || !server)
		exit(1);
}

static void end(void)
{
	metrics_free(metrics);
	server_free(server);
	malloc_trim(0);
}

static void event(struct session *s, unsigned stream, unsigned n)
{
	char text[512], chunk[600];
	int len = snprintf(
		text, sizeof(text),
		"data: {\"id\":\"chatcmpl-%08x\",\"object\":\"chat.completion.chunk\","
		"\"created\":1700%06u,\"model\":\"meta-llama/Llama-3.1-8B-Instruct\","
		"\"system_fingerprint\":null,\"choices\":[{\"index\":0,\"delta\":"
		"{\"content\":\" token%u\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n",
		stream, stream % 1000000, n);
	len = snprintf(chunk, sizeof(chunk), "%x\r\n%s\r\n", (unsigned)len, text);
	session_bytes(s, SESSION_OUT, span_of(chunk, (size_t)len), 3000 + n);
}

static struct session *open_stream(unsigned model)
{
	char request[256], body[128];
	struct session *s = session_new(server);
	if (!s)
		exit(1);
	int len = snprintf(body, sizeof(body),
			   "{\"model\":\"meta-llama/Llama-3.1-8B-Instruct-%u\",\"stream\":true}",
			   model);
	snprintf(request, sizeof(request),
		 "POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s", len, body);
	session_bytes(s, SESSION_IN, span_str(request), 1000);
	session_bytes(s, SESSION_OUT,
		      span_str("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
			       "transfer-encoding: chunked\r\n\r\n"),
		      2000);
	event(s, 0, 0);
	return s;
}

static void close_all(struct session **all, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		session_free(all[i]);
	free(all);
}

/* A series in every metric that a call has, for each of `models`. */
static void make_series(unsigned models)
{
	for (unsigned i = 0; i < models; i++) {
		struct session *s = open_stream(i);
		session_bytes(s, SESSION_OUT, span_str("0\r\n\r\n"), 5000);
		session_free(s);
	}
}

/* `models` have less than LIMIT_SERIES in each metric, and six series or more each. */
static void memory(unsigned count, unsigned models, const char *bar)
{
	double before = resident_mib();
	begin();
	make_series(models);
	struct session **all = calloc(count, sizeof(*all));
	for (unsigned i = 0; all && i < count; i++)
		all[i] = open_stream(i % models);
	double mib = resident_mib() - before;
	printf("memory: %5u live streams, %4u models: %5.1f MiB, %4.0f bytes a stream (%s MiB)\n",
	       count, models, mib, mib * 1048576 / count, bar);
	close_all(all, count);
	end();
}

/* Without what it costs to make them: the same bytes are made once more and not told. */
static void in_turns(unsigned count)
{
	begin();
	struct session **all = calloc(count, sizeof(*all));
	for (unsigned i = 0; all && i < count; i++)
		all[i] = open_stream(0);
	double best = 1e18;
	for (unsigned round = 0; all && round < 5; round++) {
		double start = now_ns();
		for (unsigned n = 0; n < EVENTS; n++)
			event(all[n % count], n % count, n);
		double told = now_ns() - start;
		struct session *none = session_new(server);
		session_fail(none, 0, 1);
		start = now_ns();
		for (unsigned n = 0; n < EVENTS; n++)
			event(none, n % count, n);
		double ns = (told - (now_ns() - start)) / EVENTS;
		session_free(none);
		best = ns < best ? ns : best;
	}
	printf("streams in turns: %5u: %4.0f ns an event\n", count, best);
	close_all(all, count);
	end();
}

static void body(size_t len)
{
	static const char head[] = "{\"model\":\"m\",\"prompt\":\"";
	static const size_t piece_len = 1u << 16;
	char request[128], *piece = malloc(piece_len);
	if (!piece)
		exit(1);
	memset(piece, 'x', piece_len);
	begin();
	size_t bodies = len < 1000000 ? 10000000 / len : 1;
	double start = now_ns();
	for (size_t i = 0; i < bodies; i++) {
		struct session *s = session_new(server);
		size_t left = len - strlen(head) - 2;
		snprintf(request, sizeof(request),
			 "POST /v1/completions HTTP/1.1\r\ncontent-length: %zu\r\n\r\n%s", len,
			 head);
		session_bytes(s, SESSION_IN, span_str(request), 1000);
		for (size_t n; left; left -= n) {
			n = left < piece_len ? left : piece_len;
			session_bytes(s, SESSION_IN, span_of(piece, n), 1000);
		}
		session_bytes(s, SESSION_IN, span_str("\"}"), 1000);
		session_free(s);
	}
	double ns = (now_ns() - start) / (double)bodies;
	printf("bodies: %9zu bytes: %10.0f ns, %6.3f a byte\n", len, ns, ns / (double)len);
	free(piece);
	end();
}

int main(void)
{
	memory(10000, 1, "bar 16");
	memory(10000, 1700, "bar 16");
	memory(50000, 1, "aim 32");
	in_turns(1);
	in_turns(100);
	in_turns(10000);
	for (size_t len = 100; len <= 100000000; len *= 10)
		body(len);
	return 0;
}
