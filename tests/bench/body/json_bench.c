/*
 * What an event of a stream costs the parsers: the chat.completion.chunk of several servers, scanned
 * for the paths of a reply, beside jansson and memcpy on the same bytes in the same run. The parsers
 * take turns and the best turn of each counts; the ratios are what holds on another machine.
 */
#include "tests/bench/stopwatch.h"

#include "tests/unit/body/jansson_types.h"

#include "agent/body/sse.h"

#include <stdio.h>
#include <stdlib.h>

#define TURNS 15u
#define LOOPS 20000u

static const struct json_want wants[] = {
	{"id", 1},
	{"object", 2},
	{"model", 3},
	{"system_fingerprint", 4},
	{"error", 5},
	{"content", 6},
	{"stop_type", 7},
	{"tokens_evaluated", 8},
	{"tokens_predicted", 9},
	{"choices[].text", 10},
	{"choices[].finish_reason", 11},
	{"choices[].delta.content", 12},
	{"choices[].delta.refusal", 13},
	{"choices[].delta.reasoning", 14},
	{"choices[].delta.reasoning_content", 15},
	{"choices[].delta.tool_calls", 16},
	{"choices[].delta.function_call", 17},
	{"usage.prompt_tokens", 18},
	{"usage.completion_tokens", 19},
	{"usage.prompt_tokens_details.cached_tokens", 20},
	{"timings.predicted_n", 21},
	{"timings.prompt_n", 22},
	{"timings.cache_n", 23},
	{"message.content", 24},
	{"meta_info.completion_tokens", 25},
};

struct sample {
	const char *name;
	const char *text;
};

static const struct sample samples[] = {
	{"vLLM chunk", "{\"id\":\"chatcmpl-7f1c0e5ad39b4a5f8f0e1b6f2f3d4c5b\",\"object\":"
		       "\"chat.completion.chunk\",\"created\":1763900000,\"model\":"
		       "\"meta-llama/Llama-3.1-8B-Instruct\",\"choices\":[{\"index\":0,\"delta\":"
		       "{\"content\":\" the\"},\"logprobs\":null,\"finish_reason\":null,"
		       "\"token_ids\":null}]}"},
	{"OpenAI chunk", "{\"id\":\"chatcmpl-AjZQ3x1y2z3A4b5C6d7E8f9G0h1I2\",\"object\":"
			 "\"chat.completion.chunk\",\"created\":1735000000,\"model\":"
			 "\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\","
			 "\"system_fingerprint\":\"fp_0aa8d3e20b\",\"choices\":[{\"index\":0,"
			 "\"delta\":{\"content\":\" Hello\"},\"logprobs\":null,\"finish_reason\":"
			 "null}],\"usage\":null}"},
	{"llama.cpp last",
	 "{\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"delta\":{}}],"
	 "\"created\":1763900000,\"id\":\"chatcmpl-aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU"
	 "\",\"model\":\"qwen2.5-0.5b-instruct-q4_k_m.gguf\","
	 "\"system_fingerprint\":\"b4500-abcdef12\",\"object\":"
	 "\"chat.completion.chunk\",\"usage\":{\"completion_tokens\":128,"
	 "\"prompt_tokens\":42,\"total_tokens\":170},\"timings\":{\"prompt_n\":42,"
	 "\"prompt_ms\":31.284,\"prompt_per_token_ms\":0.744857,"
	 "\"prompt_per_second\":1342.539,\"predicted_n\":128,\"predicted_ms\":"
	 "1894.02,\"predicted_per_token_ms\":14.797,\"predicted_per_second\":"
	 "67.581}}"},
};

#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

static size_t sink; /* what keeps the work from being left out */

/* ---- what is measured: one event, LOOPS times ----------------------------------------------------- */

static struct json *scanner;

static void scan(struct span s)
{
	for (unsigned i = 0; i < LOOPS; i++) {
		struct span in = s;
		struct json_event ev;
		json_reset(scanner);
		while (json_next(scanner, &in, &ev) == STEP_EVENT)
			sink += ev.id;
		sink += json_done(scanner);
	}
}

/* As it comes: the data line of an event stream. */
static void scan_stream(struct span s)
{
	struct sse sse;
	static uint8_t line[4096];
	size_t len = s.len + 8;
	memcpy(line, "data: ", 6);
	memcpy(line + 6, s.at, s.len);
	memcpy(line + 6 + s.len, "\n\n", 2);
	sse_init(&sse);
	for (unsigned i = 0; i < LOOPS; i++) {
		struct span in = span_of(line, len);
		struct sse_event e;
		struct json_event ev;
		while (sse_next(&sse, &in, &e) == STEP_EVENT) {
			if (e.type == SSE_END) {
				sink += json_done(scanner);
				json_reset(scanner);
			} else {
				while (json_next(scanner, &e.data, &ev) == STEP_EVENT)
					sink += ev.id;
			}
		}
	}
}

static void load(struct span s)
{
	for (unsigned i = 0; i < LOOPS / 10; i++) {
		json_t *doc = json_loadb((const char *)s.at, s.len, JSON_DECODE_ANY, NULL);
		sink += doc != NULL;
		json_decref(doc);
	}
}

static void copy(struct span s)
{
	static uint8_t to[4096];
	for (unsigned i = 0; i < LOOPS; i++) {
		memcpy(to, s.at, s.len);
		__asm__ volatile("" : : "r"(to) : "memory");
	}
}

static const struct {
	const char *name;
	void (*run)(struct span s);
	unsigned loops;
} measured[] = {
	{"json", scan, LOOPS},
	{"sse+json", scan_stream, LOOPS},
	{"jansson", load, LOOPS / 10},
	{"memcpy", copy, LOOPS},
};

#define MEASURED (sizeof(measured) / sizeof(measured[0]))

static void measure(const struct sample *sample)
{
	struct span s = span_str(sample->text);
	double best[MEASURED];
	for (unsigned turn = 0; turn < TURNS; turn++) {
		for (size_t i = 0; i < MEASURED; i++) {
			double from = now_ns();
			measured[i].run(s);
			double ns = (now_ns() - from) / measured[i].loops;
			best[i] = turn == 0 || ns < best[i] ? ns : best[i];
		}
	}
	printf("body/json  %-15s %4zu bytes", sample->name, s.len);
	for (size_t i = 0; i < MEASURED; i++)
		printf("  %s %.0f ns", measured[i].name, best[i]);
	printf("  json/jansson %.3f  json/memcpy %.1f\n", best[0] / best[2], best[0] / best[3]);
}

/* A string of 16 MiB that nothing wants, as a picture in a request. */
static void measure_skipping(void)
{
	size_t len = 16u << 20;
	uint8_t *text = malloc(len), *to = malloc(len);
	if (!text || !to)
		exit(1);
	memset(text, 'A', len);
	memset(to, 0, len);
	memcpy(text, "{\"a\":\"", 6);
	memcpy(text + len - 2, "\"}", 2);
	double best = 1e18, best_copy = 1e18;
	for (unsigned turn = 0; turn < TURNS; turn++) {
		struct span in = span_of(text, len);
		struct json_event ev;
		json_reset(scanner);
		double from = now_ns();
		while (json_next(scanner, &in, &ev) == STEP_EVENT)
			sink++;
		double ns = now_ns() - from;
		best = ns < best ? ns : best;
		if (!json_done(scanner))
			exit(1);
		from = now_ns();
		memcpy(to, text, len);
		__asm__ volatile("" : : "r"(to) : "memory");
		ns = now_ns() - from;
		best_copy = ns < best_copy ? ns : best_copy;
	}
	printf("body/json  a string nobody wants  %.1f GB/s  memcpy %.1f GB/s\n",
	       (double)len / best, (double)len / best_copy);
	free(text);
	free(to);
}

int main(void)
{
	struct json_tree *tree = json_tree_new(wants, sizeof(wants) / sizeof(wants[0]));
	scanner = tree ? json_new(tree) : NULL;
	if (!scanner)
		return 1;
	for (size_t i = 0; i < SAMPLES; i++)
		measure(&samples[i]);
	measure_skipping();
	json_free(scanner);
	json_tree_free(tree);
	return sink == 0;
}
