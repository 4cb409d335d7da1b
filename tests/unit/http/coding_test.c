/* Bodies compressed by the libraries themselves, undone in pieces of every size; and hostile ones. */
#include "tests/unit/pieces.h"

#include "agent/base/limits.h"
#include "agent/http/coding.h"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#define TEXT                                                                                       \
	"data: {\"choices\":[{\"delta\":{\"content\":\"one\"}}]}\n\n"                              \
	"data: {\"choices\":[{\"delta\":{\"content\":\"two\"}}]}\n\ndata: [DONE]\n\n"

static uint8_t packed[1u << 23];
static const char *codings;
static struct coding *coding;
static bool was_bad;

static struct span pack_zlib(struct span text, int bits)
{
	z_stream z = {0};
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)text.at;
	z.avail_in = (uInt)text.len;
	z.next_out = packed;
	z.avail_out = sizeof(packed);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	size_t n = sizeof(packed) - z.avail_out;
	deflateEnd(&z);
	return span_of(packed, n);
}

static struct span pack_brotli(struct span text, int window)
{
	size_t n = sizeof(packed);
	assert_true(
		BrotliEncoderCompress(5, window, BROTLI_MODE_TEXT, text.len, text.at, &n, packed));
	return span_of(packed, n);
}

static struct span pack_zstd(struct span text, int window)
{
	ZSTD_CCtx *z = ZSTD_createCCtx();
	ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, 3);
	if (window)
		ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, window);
	size_t n = ZSTD_compress2(z, packed, sizeof(packed), text.at, text.len);
	assert_false(ZSTD_isError(n));
	ZSTD_freeCCtx(z);
	return span_of(packed, n);
}

static void begin(struct trace *t)
{
	(void)t;
	coding = coding_new(span_str(codings));
	was_bad = false;
	assert_non_null(coding);
}

static void take(struct trace *t, struct span piece)
{
	struct span out;
	enum step step;
	while ((step = coding_next(coding, &piece, &out)) == STEP_EVENT) {
		assert_true(out.len > 0);
		trace_put(t, out);
	}
	if (step == STEP_BAD && !was_bad)
		trace_str(t, "!");
	was_bad = step == STEP_BAD;
	assert_true(was_bad || piece.len == 0);
}

static void end(struct trace *t)
{
	(void)t;
	coding_free(coding);
	assert_int_equal(coding_memory(), 0);
}

static const struct subject subject = {begin, take, end};

static void gives(const char *name, struct span body, const char *want)
{
	codings = name;
	pieces_give(&subject, body, want);
}

static void test_each_coding(void **state)
{
	(void)state;
	gives("gzip", pack_zlib(span_str(TEXT), 15 + 16), TEXT);
	gives("X-GZip", pack_zlib(span_str(TEXT), 15 + 16), TEXT);
	gives("deflate", pack_zlib(span_str(TEXT), 15), TEXT);
	gives("deflate", pack_zlib(span_str(TEXT), -15), TEXT);
	gives("br", pack_brotli(span_str(TEXT), 22), TEXT);
	gives("zstd", pack_zstd(span_str(TEXT), 0), TEXT);
	gives("gzip", pack_zlib(span_str(""), 15 + 16), "");
	gives("br", pack_brotli(span_str(""), 22), "");
	gives("zstd", pack_zstd(span_str(""), 0), "");
}

/* A piece of output is larger than a room. */
static void test_long_text(void **state)
{
	(void)state;
	static char text[20001];
	static struct trace t;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)('a' + i * i % 23);
	for (int i = 0; i < 4; i++) {
		struct span body = i == 0   ? pack_zlib(span_str(text), 15 + 16)
				   : i == 1 ? pack_zlib(span_str(text), -15)
				   : i == 2 ? pack_brotli(span_str(text), 10)
					    : pack_zstd(span_str(text), 10);
		codings = i == 0 ? "gzip" : i == 1 ? "deflate" : i == 2 ? "br" : "zstd";
		pieces_run(&subject, body, body.len, body.len, &t);
		assert_string_equal(t.text, text);
		pieces_run(&subject, body, 1, 7, &t);
		assert_string_equal(t.text, text);
	}
}

/* What follows a member: another, or nothing that counts. */
static void test_members_and_frames(void **state)
{
	(void)state;
	static uint8_t two[1024];
	struct span one = pack_zlib(span_str("one "), 15 + 16);
	memcpy(two, one.at, one.len);
	size_t n = one.len;
	struct span other = pack_zlib(span_str("two"), 15 + 16);
	memcpy(two + n, other.at, other.len);
	n += other.len;
	gives("gzip", span_of(two, n), "one two");
	memset(two + n, 0, 9);
	gives("gzip", span_of(two, n + 9), "one two");
	one = pack_zstd(span_str("one "), 0);
	memcpy(two, one.at, one.len);
	n = one.len;
	other = pack_zstd(span_str("two"), 0);
	memcpy(two + n, other.at, other.len);
	gives("zstd", span_of(two, n + other.len), "one two");
	memmove(two + n + 12, two + n, other.len);
	memcpy(two + n, "\x5f\x2a\x4d\x18\4\0\0\0skip", 12);
	gives("zstd", span_of(two, n + 12 + other.len), "one two");
	gives("zstd", span_of(two + n, 12 + other.len), "two");
	other = pack_brotli(span_str("br"), 16);
	memcpy(two, other.at, other.len);
	memset(two + other.len, 'x', 5);
	gives("br", span_of(two, other.len + 5), "br");
	other = pack_zlib(span_str("de"), 15);
	memcpy(two, other.at, other.len);
	memset(two + other.len, 'x', 5);
	gives("deflate", span_of(two, other.len + 5), "de");
}

/* The last in the field was applied last. */
static void test_two_codings(void **state)
{
	(void)state;
	static uint8_t inner[1024];
	struct span once = pack_zlib(span_str(TEXT), 15 + 16);
	memcpy(inner, once.at, once.len);
	gives("gzip, br", pack_brotli(span_of(inner, once.len), 18), TEXT);
	once = pack_brotli(span_str(TEXT), 18);
	memcpy(inner, once.at, once.len);
	gives("br ,identity,\tzstd ", pack_zstd(span_of(inner, once.len), 0), TEXT);
}

static void test_unknown_codings(void **state)
{
	(void)state;
	static const char *const unknown[] = {"compress", "dcb", "gzip, gzip, gzip",
					      "gzip br",  "gz",	 ", ,identity"};
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_null(coding_new(span_str(unknown[i])));
	assert_true(coding_is_identity(span_of(NULL, 0)));
	assert_true(coding_is_identity(span_str("Identity")));
	assert_false(coding_is_identity(span_str("gzip")));
	coding_free(NULL);
}

/* All that was flushed is out before anything of the next write is there. */
static void test_what_was_flushed_comes_out(void **state)
{
	(void)state;
	static struct trace t;
	z_stream z = {0};
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	BrotliEncoderState *br = BrotliEncoderCreateInstance(NULL, NULL, NULL);
	ZSTD_CCtx *zs = ZSTD_createCCtx();
	for (int i = 0; i < 3; i++) {
		codings = i == 0 ? "gzip" : i == 1 ? "br" : "zstd";
		begin(&t);
		for (int event = 0; event < 5; event++) {
			char text[64];
			int len = snprintf(text, sizeof(text), "data: %d\n\n", event);
			size_t n = 0;
			if (i == 0) {
				z.next_in = (Bytef *)text;
				z.avail_in = (uInt)len;
				z.next_out = packed;
				z.avail_out = sizeof(packed);
				deflate(&z, Z_SYNC_FLUSH);
				n = sizeof(packed) - z.avail_out;
			} else if (i == 1) {
				size_t left = (size_t)len, room = sizeof(packed);
				const uint8_t *in = (const uint8_t *)text;
				uint8_t *out = packed;
				BrotliEncoderCompressStream(br, BROTLI_OPERATION_FLUSH, &left, &in,
							    &room, &out, NULL);
				n = sizeof(packed) - room;
			} else {
				ZSTD_inBuffer in = {text, (size_t)len, 0};
				ZSTD_outBuffer out = {packed, sizeof(packed), 0};
				assert_int_equal(ZSTD_compressStream2(zs, &out, &in, ZSTD_e_flush),
						 0);
				n = out.pos;
			}
			t.len = 0;
			take(&t, span_of(packed, n));
			assert_string_equal(t.text, text);
		}
		end(&t);
	}
	deflateEnd(&z);
	BrotliEncoderDestroyInstance(br);
	ZSTD_freeCCtx(zs);
}

static void test_damage(void **state)
{
	(void)state;
	gives("gzip", span_str("no gzip at all"), "!");
	gives("deflate", span_str("\xff\xff\xff\xff"), "!");
	gives("br", span_str("\xff\xff\xff\xff\xff\xff"), "!");
	gives("zstd", span_str("not zstd"), "!");
	gives("zstd", span_str("\x25\xb5\x2f\xfd\4Xb\x80"), "!"); /* older than the RFC */
	gives("zstd", span_str("\x50\x2a\x4d\x19"), "!");
	struct span body = pack_zlib(span_str(TEXT), 15 + 16);
	packed[body.len - 5] ^= 1; /* of the check sum */
	gives("gzip", body, TEXT "!");
}

static size_t feed(struct span body)
{
	struct span out;
	size_t made = 0;
	enum step step = STEP_EVENT;
	while (step == STEP_EVENT) {
		step = coding_next(coding, &body, &out);
		made += step == STEP_EVENT ? out.len : 0;
	}
	was_bad = step == STEP_BAD;
	return made;
}

/* 64 MiB of one letter are some KiB; whoever decodes all of it does an attacker's work. */
static void test_bomb(void **state)
{
	(void)state;
	size_t len = 64u << 20;
	char *text = malloc(len);
	memset(text, 'a', len);
	for (int i = 0; i < 3; i++) {
		codings = i == 0 ? "gzip" : i == 1 ? "br" : "zstd";
		struct span body = i == 0   ? pack_zlib(span_of(text, len), 31)
				   : i == 1 ? pack_brotli(span_of(text, len), 22)
					    : pack_zstd(span_of(text, len), 0);
		begin(NULL);
		assert_true(feed(body) <=
			    LIMIT_DECODED_FREE + (1u << 20) + LIMIT_DECODED_RATIO * body.len);
		assert_true(was_bad);
		assert_int_equal(coding_memory(), 0);
		end(NULL);
	}
	free(text);
}

static void test_windows(void **state)
{
	(void)state;
	size_t len = 9u << 20;
	uint8_t *text = malloc(len);
	uint32_t random = 1;
	for (size_t i = 0; i < len; i++)
		text[i] = (uint8_t)((random = random * 1664525 + 1013904223) >> 24 & 0x3f);
	codings = "zstd";
	begin(NULL);
	assert_int_equal(feed(pack_zstd(span_of(text, len), 23)), len);
	assert_false(was_bad);
	end(NULL);
	begin(NULL);
	feed(pack_zstd(span_of(text, len), 24)); /* past RFC 9659 */
	assert_true(was_bad);
	end(NULL);
	codings = "br";
	begin(NULL);
	assert_int_equal(feed(pack_brotli(span_of(text, len), 24)), len);
	assert_in_range(coding_memory(), 9u << 20, LIMIT_CODING_BYTES);
	/* Others may not take what all may hold. */
	struct span body = pack_brotli(span_of(text, len), 24);
	struct coding *first = coding, *more[64];
	size_t n = 0;
	do {
		assert_true(n < 64);
		begin(NULL);
		more[n++] = coding;
		feed(body);
	} while (!was_bad);
	assert_true(coding_memory() <= LIMIT_CODINGS_BYTES);
	while (n--)
		coding_free(more[n]);
	coding = first;
	end(NULL);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_coding),
		cmocka_unit_test(test_long_text),
		cmocka_unit_test(test_members_and_frames),
		cmocka_unit_test(test_two_codings),
		cmocka_unit_test(test_unknown_codings),
		cmocka_unit_test(test_what_was_flushed_comes_out),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_windows),
	};
	return cmocka_run_group_tests_name("http/coding", tests, NULL, NULL);
}
