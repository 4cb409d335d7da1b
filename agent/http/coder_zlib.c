/*
 * gzip may be several members one after the other (RFC 1952 2.2). "deflate" is the zlib format (RFC 9110
 * 8.4.1.2), which some send without its header: its first two bytes tell (RFC 1950 2.2: CM is 8, and the
 * two are a multiple of 31).
 */
#include "agent/http/coder.h"

#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>

#define WINDOW_BITS 15
#define OF_GZIP	    16
#define GZIP_ID1    0x1f
/* zlib.h: 1 << (windowBits + 2) and about 7 KB for inflate. */
#define MEMORY (32u * 1024 + 7u * 1024)

struct state {
	z_stream z;
	bool begun;    /* bytes of the present member were taken */
	bool at_end;   /* it is whole */
	bool members;  /* gzip: there was one before */
	bool over;     /* what comes is dropped */
	bool settled;  /* "deflate": the format is known */
	bool has_held; /* "deflate": its first byte, which does not tell it alone */
	uint8_t held;
};

static void *open_with(int bits)
{
	struct state *s = calloc(1, sizeof(*s));
	if (!s || inflateInit2(&s->z, bits) == Z_OK)
		return s;
	free(s);
	return NULL;
}

static void *open_gzip(void)
{
	return open_with(WINDOW_BITS + OF_GZIP);
}

static void *open_deflate(void)
{
	return open_with(WINDOW_BITS);
}

static void close_state(void *state)
{
	struct state *s = state;
	inflateEnd(&s->z);
	free(s);
}

static size_t memory(const void *state)
{
	(void)state;
	return sizeof(struct state) + MEMORY;
}

/* Also with no input: what did not fit into the room before comes out. */
static enum step run_zlib(struct state *s, struct span *in, uint8_t *out, size_t room, size_t *made)
{
	uInt given = (uInt)(in->len < UINT32_MAX ? in->len : UINT32_MAX);
	s->z.next_in = (Bytef *)(uintptr_t)in->at;
	s->z.avail_in = given;
	s->z.next_out = out;
	s->z.avail_out = (uInt)room;
	int status = inflate(&s->z, Z_SYNC_FLUSH);
	span_skip(in, given - s->z.avail_in);
	*made = room - s->z.avail_out;
	s->begun = given > 0 || s->begun;
	s->at_end = status == Z_STREAM_END;
	if (!s->at_end && status != Z_OK && status != Z_BUF_ERROR)
		return *made ? STEP_EVENT : STEP_BAD; /* zlib says it again */
	return *made ? STEP_EVENT : STEP_MORE;
}

static enum step run_gzip(void *state, struct span *in, uint8_t *out, size_t room, size_t *made)
{
	struct state *s = state;
	enum step step = STEP_MORE;
	*made = 0;
	do {
		/* Some pad behind the last member. */
		if (s->members && !s->begun && in->len && in->at[0] != GZIP_ID1)
			s->over = true;
		if (s->over)
			span_skip(in, in->len);
		if (s->over || (!s->begun && !in->len))
			return STEP_MORE;
		step = run_zlib(s, in, out, room, made);
		if (s->at_end) {
			s->members = true;
			s->begun = false;
			s->over = inflateReset(&s->z) != Z_OK;
		}
	} while (step == STEP_MORE && in->len);
	return step;
}

/* False: a second byte is needed. */
static bool settle_format(struct state *s, struct span *in)
{
	if (!s->has_held && in->len) {
		s->held = span_take(in, 1).at[0];
		s->has_held = true;
	}
	if (!in->len)
		return false;
	unsigned header = (unsigned)s->held << 8 | in->at[0];
	if ((s->held & 0x0f) != 8 || header % 31 != 0)
		inflateReset2(&s->z, -WINDOW_BITS);
	s->settled = true;
	return true;
}

static enum step run_deflate(void *state, struct span *in, uint8_t *out, size_t room, size_t *made)
{
	struct state *s = state;
	*made = 0;
	if (!s->settled) {
		if (!settle_format(s, in))
			return STEP_MORE;
		struct span held = span_of(&s->held, 1);
		enum step step = run_zlib(s, &held, out, room, made);
		if (step != STEP_MORE)
			return step;
	}
	enum step step = s->at_end ? STEP_MORE : run_zlib(s, in, out, room, made);
	if (s->at_end)
		span_skip(in, in->len);
	return step;
}

const struct coder coder_gzip = {"gzip", "x-gzip", open_gzip, close_state, run_gzip, memory};
const struct coder coder_deflate = {"deflate",	 NULL,	      open_deflate,
				    close_state, run_deflate, memory};
