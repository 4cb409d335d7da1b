/*
 * The recorded streams as servers write them: a request, a head, and each event as one chunk or DATA frame
 * in a piece of its own.
 */
#include "tests/bench/corpus.c"
#include "tests/unit/http/frames.h"

struct piece {
	uint8_t *at;
	size_t len;
};

struct exchange {
	struct piece request;
	struct piece *pieces;
	size_t piece_count;
};

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
