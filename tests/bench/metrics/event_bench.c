/*
 * From the wire's bytes to the updated histogram: nanoseconds per real SSE event.
 *
 * The recorded streams are replayed over HTTP/1.1 and over HTTP/2. In the same run, over the same payloads:
 * memcpy, jansson parsing each event's JSON, and simdjson reading two fields of it on demand (by a library
 * beside this program: it is C++).
 */
#include "tests/bench/metrics/metered.h"
#include "tests/bench/stopwatch.h"

#include "agent/call/session.h"
#include "tests/bench/replayed.c"

#include <dlfcn.h>

#define ROUNDS 40

static void replay(struct server *server, const struct exchange *e)
{
	struct session *s = session_new(server);
	uint64_t t = 1000;
	session_bytes(s, SESSION_IN, span_of(e->request.at, e->request.len), t);
	for (size_t i = 0; i < e->piece_count; i++)
		session_bytes(s, SESSION_OUT, span_of(e->pieces[i].at, e->pieces[i].len),
			      t += 1000);
	session_close(s, SESSION_CLOSED, t);
	session_free(s);
}

/* The JSON of an event's piece; empty if it has none. */
static struct span json_of(const struct piece *p)
{
	const uint8_t *from = memchr(p->at, '{', p->len), *end = p->at + p->len;
	return from ? span_of(from, (size_t)(end - from)) : span_of(p->at, 0);
}

static double copying(const struct exchange *all, size_t count, size_t events)
{
	static uint8_t to[1 << 20];
	double start = cpu_ns();
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < count; i++) {
			for (size_t k = 0; k < all[i].piece_count; k++) {
				memcpy(to, all[i].pieces[k].at, all[i].pieces[k].len);
				__asm__ volatile("" ::"r"(to) : "memory");
			}
		}
	}
	return (cpu_ns() - start) / ROUNDS / (double)events;
}

static double parsing(const struct exchange *all, size_t count, size_t events)
{
	double start = cpu_ns();
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < all[i].piece_count; k++) {
			struct span json = json_of(&all[i].pieces[k]);
			if (json.len)
				json_decref(json_loadb((const char *)json.at, json.len,
						       JSON_DISABLE_EOF_CHECK, NULL));
		}
	}
	return (cpu_ns() - start) / (double)events;
}

/* simdjson reading the JSON of the events, and all of it, one behind the other with its padding. */
struct yardstick {
	void (*read)(const uint8_t *, size_t); /* NULL: the library is not there */
	struct piece *json;
	size_t count;
};

static struct yardstick yardstick_of(const char *program, const struct exchange *all, size_t count)
{
	char path[1024];
	struct yardstick y = {0};
	const char *slash = strrchr(program, '/');
	snprintf(path, sizeof(path), "%.*s/libon_demand.so", slash ? (int)(slash - program) : 1,
		 slash ? program : ".");
	void *library = dlopen(path, RTLD_NOW);
	if (library)
		*(void **)&y.read = dlsym(library, "on_demand_read");
	for (size_t i = 0; y.read && i < count; i++) {
		y.json = realloc(y.json, (y.count + all[i].piece_count) * sizeof(*y.json));
		for (size_t k = 0; y.json && k < all[i].piece_count; k++) {
			static const char padding[] = "                                "
						      "                                ";
			struct span json = json_of(&all[i].pieces[k]);
			if (json.len)
				y.json[y.count++] = piece_of("", json, padding);
		}
	}
	return y;
}

static double on_demand(const struct yardstick *y, size_t events)
{
	double start = cpu_ns();
	for (size_t i = 0; i < y->count; i++)
		y->read(y->json[i].at, y->json[i].len - 64);
	return (cpu_ns() - start) / (double)events;
}

static double ours(struct server *server, const struct exchange *all, size_t count, size_t events)
{
	double start = cpu_ns();
	for (size_t i = 0; i < count; i++)
		replay(server, &all[i]);
	return (cpu_ns() - start) / (double)events;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The lower quartile of costs: what else runs on the machine only adds to them. */
static double quartile(double costs[ROUNDS])
{
	qsort(costs, ROUNDS, sizeof(costs[0]), by_value);
	return costs[ROUNDS / 4];
}

int main(int argc, char **argv)
{
	struct corpus corpus;
	if (argc < 1 || !corpus_streams(&corpus))
		return 0;
	struct exchange *all = calloc(corpus.count, sizeof(*all));
	struct exchange *all2 = calloc(corpus.count, sizeof(*all2));
	size_t events = 0, bytes = 0;
	for (size_t i = 0; all && all2 && i < corpus.count; i++) {
		all[i] = over_http1(&corpus.at[i], &events);
		all2[i] = over_http2(&corpus.at[i]);
		bytes += corpus.at[i].response.len;
	}
	struct metrics *m = metrics_new();
	struct call_sink sink = metered_sink(m);
	struct server *server = server_new("python3", span_of("", 0), "bench", &sink);
	struct yardstick y = yardstick_of(argv[0], all, corpus.count);
	double http1[ROUNDS], http2[ROUNDS], simdjson[ROUNDS], jansson[ROUNDS];
	double over_simdjson[ROUNDS], over_jansson[ROUNDS];
	for (int round = 0; round < ROUNDS; round++) {
		jansson[round] = parsing(all, corpus.count, events);
		ours(server, all2, corpus.count, events); /* the caches are as in every round */
		simdjson[round] = on_demand(&y, events);
		http1[round] = ours(server, all, corpus.count, events);
		http2[round] = ours(server, all2, corpus.count, events);
		over_simdjson[round] = http1[round] / simdjson[round];
		over_jansson[round] = http1[round] / jansson[round];
	}
	qsort(over_simdjson, ROUNDS, sizeof(over_simdjson[0]), by_value);
	qsort(over_jansson, ROUNDS, sizeof(over_jansson[0]), by_value);
	double one = quartile(http1), two = quartile(http2);
	printf("agent: %zu events of %zu real streams, %zu bytes each: wire to histogram, ns an "
	       "event\n",
	       events, corpus.count, bytes / events);
	printf("  HTTP/1.1 %.0f, HTTP/2 %.0f (ratio %.2f, bar 1.3)\n", one, two, two / one);
	printf("  memcpy %.0f\n", copying(all, corpus.count, events));
	printf("  jansson %.0f (ratio %.3f, of the middle half of %d pairs %.3f to %.3f, bar "
	       "0.05)\n",
	       quartile(jansson), over_jansson[ROUNDS / 2], ROUNDS, over_jansson[ROUNDS / 4],
	       over_jansson[ROUNDS * 3 / 4]);
	if (y.count)
		printf("  simdjson on demand, two fields, %.0f (ratio %.2f, of the middle half of "
		       "%d pairs %.2f to %.2f, bar 2.0)\n",
		       quartile(simdjson), over_simdjson[ROUNDS / 2], ROUNDS,
		       over_simdjson[ROUNDS / 4], over_simdjson[ROUNDS * 3 / 4]);
	return 0;
}
