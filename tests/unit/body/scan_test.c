/*
 * The scanners without SSE2, against a loop over the bytes: every place of every byte that matters.
 */
#ifndef SCAN_AS_BUILT
#undef __SSE2__
#endif

#include "tests/unit/pieces.h"

#ifdef SCAN_AS_BUILT
#define SCAN_NAME "scan_as_built"
#else
#define SCAN_NAME "scan"
#endif

#include "agent/body/json_scan.h"
#include "agent/body/sse_scan.h"

static size_t json_model(struct span in)
{
	size_t n = 0;
	while (n < in.len && in.at[n] != '"' && in.at[n] != '\\' && in.at[n] >= 0x20)
		n++;
	return n;
}

static size_t sse_model(struct span in)
{
	size_t n = 0;
	while (n < in.len && in.at[n] != '\r' && in.at[n] != '\n')
		n++;
	return n;
}

static void one_byte_among_plain_ones(void **state)
{
	(void)state;
	uint8_t in[40];
	for (size_t len = 0; len <= sizeof(in); len++) {
		for (size_t at = 0; at < len; at++) {
			for (unsigned c = 0; c < 256; c++) {
				memset(in, "a\x80\xff"[c % 3], len);
				in[at] = (uint8_t)c;
				struct span s = piece_at_edge(span_of(in, len));
				assert_int_equal(json_plain_bytes(s), json_model(s));
				assert_int_equal(sse_line_bytes(s), sse_model(s));
			}
		}
	}
}

static void random_bytes(void **state)
{
	(void)state;
	uint64_t seed = 1;
	uint8_t in[64];
	for (unsigned i = 0; i < 100000; i++) {
		for (size_t n = 0; n < sizeof(in); n++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			/* Mostly plain, and the neighbours of what matters. */
			in[n] = (uint8_t)(seed >> 56 | (seed >> 48 & 0x3f ? 0x60 : 0));
		}
		struct span s = piece_at_edge(span_of(in, sizeof(in) - i % 17));
		assert_int_equal(json_plain_bytes(s), json_model(s));
		assert_int_equal(sse_line_bytes(s), sse_model(s));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_byte_among_plain_ones),
		cmocka_unit_test(random_bytes),
	};
	return cmocka_run_group_tests_name("body/" SCAN_NAME, tests, NULL, NULL);
}
