/*
 * frames.h - one direction of an HTTP/2 connection, put together frame by frame; nghttp2 packs the fields.
 */
#ifndef TESTS_HTTP_FRAMES_H
#define TESTS_HTTP_FRAMES_H

#include "tests/unit/test.h"

#include "agent/base/span.h"
#include "agent/http/h2.h"

#include <nghttp2/nghttp2.h>

enum frame {
	DATA,
	HEADERS,
	PRIORITY,
	RST_STREAM,
	SETTINGS,
	PUSH_PROMISE,
	PING,
	GOAWAY,
	WINDOW_UPDATE,
	CONTINUATION
};
enum { END_STREAM = 1, END_HEADERS = 4, PADDED = 8, WITH_PRIORITY = 32 };

#define FRAMES_ROOM (1u << 22)

struct frames {
	nghttp2_hd_deflater *hpack;
	uint8_t *at;
	size_t len;
};

static inline void frames_end(struct frames *f)
{
	if (f->hpack)
		nghttp2_hd_deflate_del(f->hpack);
	free(f->at);
	*f = (struct frames){0};
}

static inline void frames_begin(struct frames *f)
{
	frames_end(f);
	f->at = malloc(FRAMES_ROOM);
	assert_non_null(f->at);
	assert_int_equal(nghttp2_hd_deflate_new(&f->hpack, 4096), 0);
}

static inline struct span frames_span(const struct frames *f)
{
	return span_of(f->at, f->len);
}

static inline void frames_put(struct frames *f, struct span s)
{
	assert_true(s.len <= FRAMES_ROOM - f->len);
	if (s.len)
		memcpy(f->at + f->len, s.at, s.len);
	f->len += s.len;
}

static inline void frames_number(struct frames *f, uint64_t n, unsigned bytes)
{
	uint8_t byte;
	while (bytes--) {
		byte = (uint8_t)(n >> 8 * bytes);
		frames_put(f, span_of(&byte, 1));
	}
}

static inline void frames_raw(struct frames *f, enum frame type, unsigned flags, uint32_t stream,
			      struct span payload)
{
	frames_number(f, payload.len, 3);
	frames_number(f, type, 1);
	frames_number(f, flags, 1);
	frames_number(f, stream, 4);
	frames_put(f, payload);
}

/* "name: value" lines, each ended by LF, packed. */
static inline struct span frames_fields(struct frames *f, const char *lines)
{
	static uint8_t room[1u << 20];
	nghttp2_nv nv[64];
	size_t n = 0;
	while (*lines) {
		const char *colon = strchr(lines + 1, ':'), *end = strchr(lines, '\n');
		assert_true(n < 64 && colon && end);
		nv[n++] =
			(nghttp2_nv){(uint8_t *)(uintptr_t)lines, (uint8_t *)(uintptr_t)(colon + 2),
				     (size_t)(colon - lines), (size_t)(end - colon - 2), 0};
		lines = end + 1;
	}
	ssize_t packed = nghttp2_hd_deflate_hd(f->hpack, room, sizeof(room), nv, n);
	assert_true(packed >= 0);
	return span_of(room, (size_t)packed);
}

static inline void frames_head(struct frames *f, uint32_t stream, unsigned flags, const char *lines)
{
	frames_raw(f, HEADERS, flags | END_HEADERS, stream, frames_fields(f, lines));
}

static inline void frames_data(struct frames *f, uint32_t stream, unsigned flags, const char *text)
{
	frames_raw(f, DATA, flags, stream, span_str(text));
}

#define FRAMES_POST                                                                                \
	":method: POST\n:scheme: http\n:authority: a\n:path: /v1/chat/completions\n"               \
	"content-type: application/json\n"

#endif
