/*
 * From the wire's bytes to the updated histogram: nanoseconds per real SSE event.
 *
 * The recorded streams are replayed over HTTP/1.1 and over HTTP/2: a request, a head, and each event as one
 * chunk or DATA frame in a piece of its own, as servers write them. In the same run, over the same payloads:
 * memcpy, jansson parsing each event's JSON, and simdjson reading two fields of it on demand (by a library
 * beside this program: it is C++).
 */
#include "agent/call/session.h"
#include "agent/metrics/metrics.h"
#include "tests/bench/corpus.c"
#include "tests/unit/http/frames.h"

#include <dlfcn.h>
#include <time.h>

#define ROUNDS 40

struct piece {
	uint8_t *at;
	size_t len;
};

struct exchange {
	struct piece request;
	struct piece *pieces;
	size_t piece_count;
};

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct piece piece_of(const char *head, struct span body, const char *tail)
{
	struct piece p = {.len = strlen(head) + body.len + strlen(tail)};
	p.at = malloc(p.len + 1);
	if (!p.at)
		abort();
	memcpy(p.at, head, strlen(head));
	memcpy(p.at + strlen(head), body.at, body.len);
	memcpy(p.at + strlen(head) + body.len, tail, strlen(tail));
	return p;
}

static void add(struct exchange *e, struct piece p)
{
	e->pieces = realloc(e->pieces, (e->piece_count + 1) * sizeof(p));
	if (!e->pieces)
		abort();
	e->pieces[e->piece_count++] = p;
}

/* Bytes up to and with the next blank line. */
static size_t event_bytes(struct span s)
{
	for (size_t i = 1; i < s.len; i++) {
		if (s.at[i] == '\n' &&
		    (s.at[i - 1] == '\n' || (i > 2 && s.at[i - 1] == '\r' && s.at[i - 2] == '\n')))
			return i + 1;
	}
	return s.len;
}

static struct piece taken(struct frames *f)
{
	struct piece p = piece_of("", frames_span(f), "");
	f->len = 0;
	return p;
}

static struct exchange over_http2(const struct corpus_exchange *c)
{
	static struct frames f, answers;
	char fields[1024];
	struct exchange e = {0};
	frames_begin(&f);
	frames_begin(&answers);
	frames_put(&f, span_str(H2_PREFACE));
	snprintf(fields, sizeof(fields), ":method: POST\n:scheme: http\n:path: %.500s\nhost: x\n",
		 c->path);
	frames_head(&f, 1, 0, fields);
	frames_raw(&f, DATA, END_STREAM, 1, c->request);
	e.request = taken(&f);
	frames_head(&answers, 1, 0, ":status: 200\ncontent-type: text/event-stream\n");
	add(&e, taken(&answers));
	for (struct span rest = c->response; rest.len;) {
		frames_raw(&answers, DATA, 0, 1, span_take(&rest, event_bytes(rest)));
		add(&e, taken(&answers));
	}
	frames_raw(&answers, DATA, END_STREAM, 1, span_of("", 0));
	add(&e, taken(&answers));
	frames_end(&f);
	frames_end(&answers);
	return e;
}

static struct exchange over_http1(const struct corpus_exchange *c, size_t *events)
{
	char head[1024];
	struct exchange e = {0};
	snprintf(head, sizeof(head),
		 "POST %.500s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", c->path,
		 c->request.len);
	e.request = piece_of(head, c->request, "");
	add(&e, piece_of("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
			 "chunked\r\n\r\n",
			 span_of("", 0), ""));
	for (struct span rest = c->response; rest.len;) {
		struct span event = span_take(&rest, event_bytes(rest));
		snprintf(head, sizeof(head), "%zx\r\n", event.len);
		add(&e, piece_of(head, event, "\r\n"));
		++*events;
	}
	add(&e, piece_of("0\r\n\r\n", span_of("", 0), ""));
	return e;
}

static void on_started(void *user, const struct call *c)
{
	metrics_call_started(user, c, 1);
}
static void on_first_token(void *user, const struct call *c)
{
	metrics_call_first_token(user, c, 1);
}
static void on_ended(void *user, const struct call *c)
{
	metrics_call_ended(user, c, 1);
}
static void on_lost(void *user, const struct call *c)
{
	metrics_call_lost(user, c, 1);
}

static void replay(struct server *server, const struct call_sink *sink, const struct exchange *e)
{
	struct session *s = session_new(server, sink);
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
	struct server *server = server_new("python3", span_of("", 0), "bench");
	struct call_sink sink = {on_started, on_first_token, on_ended, on_lost, m, NULL};
	double best = 1e18;
	for (int round = 0; round < ROUNDS; round++) {
		double start = now_ns();
		for (size_t i = 0; i < count; i++)
			replay(server, &sink, &all[i]);
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
