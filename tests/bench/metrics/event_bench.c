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
	double start = now_ns();
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < count; i++) {
			for (size_t k = 0; k < all[i].piece_count; k++) {
				memcpy(to, all[i].pieces[k].at, all[i].pieces[k].len);
				__asm__ volatile("" ::"r"(to) : "memory");
			}
		}
	}
	return (now_ns() - start) / ROUNDS / (double)events;
}

static double parsing(const struct exchange *all, size_t count, size_t events)
{
	double start = now_ns();
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < all[i].piece_count; k++) {
			struct span json = json_of(&all[i].pieces[k]);
			if (json.len)
				json_decref(json_loadb((const char *)json.at, json.len,
						       JSON_DISABLE_EOF_CHECK, NULL));
		}
	}
	return (now_ns() - start) / (double)events;
}

/* The best of the rounds, as ours; 0 without the library. */
static double on_demand(const char *program, const struct exchange *all, size_t count,
			size_t events)
{
	char path[1024];
	const char *slash = strrchr(program, '/');
	snprintf(path, sizeof(path), "%.*s/libon_demand.so", slash ? (int)(slash - program) : 1,
		 slash ? program : ".");
	void *library = dlopen(path, RTLD_NOW);
	void (*read)(const uint8_t *, size_t) = NULL;
	if (library)
		*(void **)&read = dlsym(library, "on_demand_read");
	if (!read)
		return 0;
	static uint8_t padded[1 << 20];
	double best = 1e18;
	for (int round = 0; round < ROUNDS; round++) {
		double spent = 0;
		for (size_t i = 0; i < count; i++) {
			for (size_t k = 0; k < all[i].piece_count; k++) {
				struct span json = json_of(&all[i].pieces[k]);
				if (!json.len || json.len > sizeof(padded) / 2)
					continue;
				/* Its padding is not its fault: not in the time. */
				memcpy(padded, json.at, json.len - 3);
				memset(padded + json.len - 3, 0, 64);
				double start = now_ns();
				read(padded, json.len - 3);
				spent += now_ns() - start;
			}
		}
		best = spent < best ? spent : best;
	}
	return best / (double)events;
}

static double ours(struct metrics *m, const struct exchange *all, size_t count, size_t events)
{
	struct call_sink sink = metered_sink(m);
	struct server *server = server_new("python3", span_of("", 0), "bench", &sink);
	double best = 1e18;
	for (int round = 0; round < ROUNDS; round++) {
		double start = now_ns();
		for (size_t i = 0; i < count; i++)
			replay(server, &all[i]);
		double ns = (now_ns() - start) / (double)events;
		best = ns < best ? ns : best;
	}
	server_free(server);
	return best;
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
	double http1 = ours(m, all, corpus.count, events),
	       http2 = ours(m, all2, corpus.count, events);
	double jansson = parsing(all, corpus.count, events);
	double simdjson = on_demand(argv[0], all, corpus.count, events);
	printf("agent: %zu events of %zu real streams, %zu bytes each: wire to histogram, ns an "
	       "event\n",
	       events, corpus.count, bytes / events);
	printf("  HTTP/1.1 %.0f, HTTP/2 %.0f (ratio %.2f, bar 1.3)\n", http1, http2, http2 / http1);
	printf("  memcpy %.0f, jansson %.0f (ratio %.3f, bar 0.05)\n",
	       copying(all, corpus.count, events), jansson, http1 / jansson);
	if (simdjson > 0)
		printf("  simdjson on demand, two fields, %.0f (ratio %.2f, bar 2.0)\n", simdjson,
		       http1 / simdjson);
	return 0;
}
