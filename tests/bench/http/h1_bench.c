/*
 * What HTTP costs: a request of an OpenAI client, and an event of a stream in its chunk, as the server
 * read and wrote them and a byte at a time; beside a memcpy of the same bytes. The best of several turns.
 */
#include "tests/bench/stopwatch.h"

#include "agent/http/h1.h"

#include <stdio.h>
#include <stdlib.h>

#define TURNS 15u
#define LOOPS 20000u

static const char request[] = "POST /v1/chat/completions HTTP/1.1\r\n"
			      "Host: 127.0.0.1:8000\r\n"
			      "Accept-Encoding: gzip, deflate\r\n"
			      "Connection: keep-alive\r\n"
			      "Accept: application/json\r\n"
			      "Content-Type: application/json\r\n"
			      "User-Agent: OpenAI/Python 1.99.9\r\n"
			      "X-Stainless-Lang: python\r\n"
			      "X-Stainless-Package-Version: 1.99.9\r\n"
			      "X-Stainless-OS: Linux\r\n"
			      "X-Stainless-Arch: x64\r\n"
			      "X-Stainless-Runtime: CPython\r\n"
			      "X-Stainless-Runtime-Version: 3.12.3\r\n"
			      "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n"
			      "X-Stainless-Async: false\r\n"
			      "x-stainless-retry-count: 0\r\n"
			      "x-stainless-read-timeout: 600\r\n"
			      "Content-Length: 16\r\n"
			      "\r\n"
			      "{\"stream\": true}";

static const char stream_head[] = "HTTP/1.1 200 OK\r\n"
				  "transfer-encoding: chunked\r\n"
				  "\r\n";

static const char event[] =
	"b7\r\n"
	"data: {\"id\":\"chatcmpl-7f1c0e5ad39b4a5f8f0e1b6f2f3d4c5b\",\"object\":"
	"\"chat.completion.chunk\",\"created\":1763900000,\"model\":\"llama\","
	"\"choices\":[{\"index\":0,\"delta\":{\"content\":\" the\"}}]}    \n\n"
	"\r\n";

/* The events of `in`, given in pieces of `step`. */
static size_t follow(struct h1 *h1, struct span in, size_t step)
{
	struct http_event ev;
	size_t events = 0;
	while (in.len) {
		struct span piece = span_take(&in, step < in.len ? step : in.len);
		enum step got;
		while ((got = h1_next(h1, &piece, &ev)) == STEP_EVENT)
			events++;
		if (got == STEP_BAD)
			abort();
	}
	return events;
}

static double best_of(enum h1_side side, struct span before, struct span in, size_t step,
		      size_t events)
{
	double best = 1e18;
	for (unsigned turn = 0; turn < TURNS; turn++) {
		struct h1 parser, *h1 = &parser;
		h1_init(h1, side);
		follow(h1, before, before.len);
		double start = now_ns();
		for (unsigned i = 0; i < LOOPS; i++) {
			if (follow(h1, in, step) != events)
				abort();
		}
		double ns = (now_ns() - start) / LOOPS;
		best = ns < best ? ns : best;
		h1_release(h1);
	}
	return best;
}

static double copying(struct span in)
{
	static uint8_t to[4096];
	double best = 1e18;
	for (unsigned turn = 0; turn < TURNS; turn++) {
		double start = now_ns();
		for (unsigned i = 0; i < LOOPS; i++) {
			memcpy(to, in.at, in.len);
			__asm__ volatile("" : : "r"(to) : "memory");
		}
		double ns = (now_ns() - start) / LOOPS;
		best = ns < best ? ns : best;
	}
	return best;
}

int main(void)
{
	struct span none = span_of(NULL, 0), head = span_str(stream_head);
	struct span asked = span_str(request), told = span_str(event);
	printf("%-34s %6s %9s %9s %9s\n", "http: ns", "bytes", "whole", "bytewise", "memcpy");
	/* BEGIN HEAD BODY END; a piece of body for each of its 16 bytes */
	printf("%-34s %6zu %9.0f %9.0f %9.1f\n", "request of an OpenAI client", asked.len,
	       best_of(H1_REQUESTS, none, asked, asked.len, 4),
	       best_of(H1_REQUESTS, none, asked, 1, 19), copying(asked));
	printf("%-34s %6zu %9.1f %9.0f %9.1f\n", "event of a stream, in its chunk", told.len,
	       best_of(H1_RESPONSES, head, told, told.len, 1),
	       best_of(H1_RESPONSES, head, told, 1, 0xb7), copying(told));
	return 0;
}
