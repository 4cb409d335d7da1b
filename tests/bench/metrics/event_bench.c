/*
 * From the wire's bytes to the updated histogram: nanoseconds per real SSE event.
 *
 * The recorded streams are replayed as HTTP/1.1: a request, a head, and each event as one chunk in a
 * piece of its own, as servers write them. In the same run, over the same payloads: memcpy, and
 * jansson parsing each event's JSON.
 */
#include "agent/call/session.h"
#include "agent/metrics/metrics.h"
#include "tests/bench/corpus.c"

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

static struct exchange exchange_of(const struct corpus_exchange *c, size_t *events)
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

/* Per event: copying all bytes, and jansson over each event's JSON. */
static void floors(const struct exchange *all, size_t count, size_t events, double *copy_ns,
		   double *jansson_ns)
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
	*copy_ns = (now_ns() - start) / ROUNDS / (double)events;
	start = now_ns();
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < all[i].piece_count; k++) {
			const char *from = memchr(all[i].pieces[k].at, '{', all[i].pieces[k].len);
			const uint8_t *end = all[i].pieces[k].at + all[i].pieces[k].len;
			if (from)
				json_decref(json_loadb(from, (size_t)(end - (const uint8_t *)from),
						       JSON_DISABLE_EOF_CHECK, NULL));
		}
	}
	*jansson_ns = (now_ns() - start) / (double)events;
}

int main(void)
{
	struct corpus corpus;
	if (!corpus_streams(&corpus))
		return 0;
	struct exchange *all = calloc(corpus.count, sizeof(*all));
	size_t events = 0, bytes = 0;
	for (size_t i = 0; all && i < corpus.count; i++) {
		all[i] = exchange_of(&corpus.at[i], &events);
		bytes += corpus.at[i].response.len;
	}
	struct metrics *m = metrics_new();
	struct server *server = server_new("python3", span_of("", 0), "bench");
	struct call_sink sink = {on_started, on_first_token, on_ended, on_lost, m};
	double best = 1e18;
	for (int round = 0; round < ROUNDS; round++) {
		double start = now_ns();
		for (size_t i = 0; i < corpus.count; i++)
			replay(server, &sink, &all[i]);
		double ns = (now_ns() - start) / (double)events;
		best = ns < best ? ns : best;
	}
	double copy_ns, jansson_ns;
	floors(all, corpus.count, events, &copy_ns, &jansson_ns);
	printf("agent: %zu events of %zu real streams, %zu bytes each: wire to histogram %.0f ns "
	       "an event;"
	       " memcpy %.0f, jansson %.0f (ratio %.3f)\n",
	       events, corpus.count, bytes / events, best, copy_ns, jansson_ns, best / jansson_ns);
	return 0;
}
