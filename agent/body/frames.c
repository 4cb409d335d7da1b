/*
 *   PRELUDE -> NAME_LEN -> NAME -> TYPE -> LENGTH -> VALUE -+-> PAYLOAD -> CRC -> PRELUDE
 *                 ^                                         |   or BEFORE -> BASE64 -> BEHIND
 *                 +-----------------------------------------+
 */
#include "agent/body/frames.h"

enum frames_state {
	FRAMES_PRELUDE,
	FRAMES_NAME_LEN,
	FRAMES_NAME,
	FRAMES_TYPE,
	FRAMES_LENGTH,
	FRAMES_VALUE,
	FRAMES_PAYLOAD,
	FRAMES_BEFORE, /* of a chunk: what stands before the base64 */
	FRAMES_BASE64,
	FRAMES_BEHIND, /* the rest of the payload, of no interest */
	FRAMES_CRC,
	FRAMES_FAILED,
};

enum frames_header { FRAMES_OTHER_HEADER, FRAMES_MESSAGE_TYPE, FRAMES_EVENT_TYPE };

#define PRELUDE_BYTES 12u
#define CRC_BYTES     4u

static const char before[] = "{\"bytes\":\"";

void frames_init(struct frames *p)
{
	*p = (struct frames){.state = FRAMES_PRELUDE, .want = PRELUDE_BYTES};
}

static uint32_t big_endian(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void begin(struct frames *p, enum frames_state state, uint16_t want)
{
	p->state = (uint8_t)state;
	p->want = want;
	p->got = 0;
}

/* Behind the headers, or one of them. */
static void next_header(struct frames *p)
{
	if (p->headers_left)
		begin(p, FRAMES_NAME_LEN, 1);
	else if (!p->payload_left)
		begin(p, FRAMES_CRC, CRC_BYTES);
	else
		begin(p, p->chunk ? FRAMES_BEFORE : FRAMES_PAYLOAD, 0);
}

static bool prelude(struct frames *p)
{
	uint32_t total = big_endian(p->text), headers = big_endian(p->text + 4);
	if (total > FRAMES_MAX_BYTES || total < PRELUDE_BYTES + CRC_BYTES ||
	    headers > total - PRELUDE_BYTES - CRC_BYTES)
		return false;
	p->headers_left = headers;
	p->payload_left = total - headers - PRELUDE_BYTES - CRC_BYTES;
	p->failed = p->chunk = false;
	p->matched = p->bit_count = 0;
	p->bits = 0;
	next_header(p);
	return true;
}

/* The bytes of a value by its type; 0 for those that are led by their length. */
static bool value_bytes(uint8_t type, uint16_t *bytes)
{
	static const uint16_t fixed[] = {0, 0, 1, 2, 4, 8, 0, 0, 8, 16};
	if (type >= sizeof(fixed) / sizeof(fixed[0]))
		return false;
	*bytes = fixed[type];
	return true;
}

static void name_known(struct frames *p)
{
	struct span name = span_of(p->text, p->got);
	p->header = span_is(name, ":message-type") ? FRAMES_MESSAGE_TYPE
		    : span_is(name, ":event-type") ? FRAMES_EVENT_TYPE
						   : FRAMES_OTHER_HEADER;
}

static void value_known(struct frames *p)
{
	struct span value = span_of(p->text, p->got);
	if (p->header == FRAMES_MESSAGE_TYPE)
		p->failed = span_is(value, "exception") || span_is(value, "error");
	else if (p->header == FRAMES_EVENT_TYPE)
		p->chunk = span_is(value, "chunk");
}

/* A part of the frame's head is complete: what comes next. */
static bool part_known(struct frames *p)
{
	uint8_t type = p->text[0];
	uint16_t bytes;
	switch ((enum frames_state)p->state) {
	case FRAMES_PRELUDE:
		return prelude(p);
	case FRAMES_NAME_LEN:
		begin(p, FRAMES_NAME, p->text[0]);
		return true;
	case FRAMES_NAME:
		name_known(p);
		begin(p, FRAMES_TYPE, 1);
		return true;
	case FRAMES_TYPE:
		if (!value_bytes(type, &bytes))
			return false;
		/* 6: bytes, 7: a string */
		begin(p, type == 6 || type == 7 ? FRAMES_LENGTH : FRAMES_VALUE,
		      type == 6 || type == 7 ? 2 : bytes);
		return true;
	case FRAMES_LENGTH:
		begin(p, FRAMES_VALUE, (uint16_t)(p->text[0] << 8 | p->text[1]));
		return true;
	default: /* VALUE */
		value_known(p);
		next_header(p);
		return true;
	}
}

/* Gathers a part of the head. False: it cannot be one. */
static bool in_head(struct frames *p, struct span *in)
{
	while (p->state <= FRAMES_VALUE) {
		size_t n = in->len < p->want ? in->len : p->want;
		if (p->state != FRAMES_PRELUDE) {
			if (n > p->headers_left || p->want > p->headers_left)
				return false;
			p->headers_left -= (uint32_t)n;
		}
		size_t room = sizeof(p->text) - p->got, keep = n < room ? n : room;
		memcpy(p->text + p->got, in->at, keep);
		p->got = (uint8_t)(p->got + keep);
		p->want = (uint16_t)(p->want - n);
		span_skip(in, n);
		if (p->want)
			return true;
		if (!part_known(p))
			return false;
		if (p->state <= FRAMES_VALUE && !in->len && p->want)
			return true;
	}
	return true;
}

/* ---- the payload ------------------------------------------------------------------------------------ */

static int digit(uint8_t c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+'	      ? 62
	       : c == '/'	      ? 63
				      : -1;
}

/* The base64 up to its quote; what is decoded of it lies in `room`. */
static struct span decode(struct frames *p, struct span *in, uint8_t room[FRAMES_ROOM])
{
	size_t n = 0;
	while (in->len && n < FRAMES_ROOM) {
		int d = digit(in->at[0]);
		if (in->at[0] == '"') {
			p->state = FRAMES_BEHIND;
			break;
		}
		span_skip(in, 1);
		if (d < 0) /* padding, and what stands for nothing */
			continue;
		p->bits = p->bits << 6 | (uint32_t)d;
		p->bit_count = (uint8_t)(p->bit_count + 6);
		if (p->bit_count >= 8) {
			p->bit_count = (uint8_t)(p->bit_count - 8);
			room[n++] = (uint8_t)(p->bits >> p->bit_count);
		}
	}
	return span_of(room, n);
}

/* What stands before the base64; empty, or what was taken for it and is none. */
static struct span match(struct frames *p, struct span *in)
{
	while (in->len && p->matched < sizeof(before) - 1) {
		if (in->at[0] != (uint8_t)before[p->matched]) {
			p->state = FRAMES_PAYLOAD;
			return span_of(before, p->matched);
		}
		p->matched++;
		span_skip(in, 1);
	}
	if (p->matched == sizeof(before) - 1)
		p->state = FRAMES_BASE64;
	return span_of(NULL, 0);
}

/* A piece of the payload; empty if the input has none that is of interest. */
static struct span in_payload(struct frames *p, struct span *in, uint8_t room[FRAMES_ROOM])
{
	struct span part = span_of(in->at, in->len < p->payload_left ? in->len : p->payload_left);
	struct span data = span_of(NULL, 0);
	size_t len = part.len;
	if (p->state == FRAMES_BEFORE)
		data = match(p, &part);
	else if (p->state == FRAMES_BASE64)
		data = decode(p, &part, room);
	else if (p->state == FRAMES_PAYLOAD)
		data = span_take(&part, part.len);
	else
		span_skip(&part, part.len);
	p->payload_left -= (uint32_t)(len - part.len);
	span_skip(in, len - part.len);
	if (!p->payload_left)
		begin(p, FRAMES_CRC, CRC_BYTES);
	return data;
}

enum step frames_next(struct frames *p, struct span *in, uint8_t room[FRAMES_ROOM],
		      struct frames_event *ev)
{
	while (in->len && p->state != FRAMES_FAILED) {
		if (p->state <= FRAMES_VALUE) {
			if (!in_head(p, in))
				p->state = FRAMES_FAILED;
		} else if (p->state == FRAMES_CRC) {
			size_t n = in->len < p->want ? in->len : p->want;
			span_skip(in, n);
			p->want = (uint16_t)(p->want - n);
			if (p->want)
				break;
			begin(p, FRAMES_PRELUDE, PRELUDE_BYTES);
			*ev = (struct frames_event){.type = FRAMES_END, .failed = p->failed};
			return STEP_EVENT;
		} else {
			struct span data = in_payload(p, in, room);
			*ev = (struct frames_event){.type = FRAMES_DATA, .data = data};
			if (data.len)
				return STEP_EVENT;
		}
	}
	return p->state == FRAMES_FAILED ? STEP_BAD : STEP_MORE;
}
