/*
 * frames.h - application/vnd.amazon.eventstream: the events of Bedrock's streams, in passing.
 *
 *     total length, headers' length, CRC: 4 bytes each, big-endian
 *     headers       name length, name, type, value
 *     payload       JSON
 *     CRC           4 bytes
 *
 * The payload of an event called "chunk" (invoke-with-response-stream) is {"bytes":"BASE64",...} around
 * the model's own JSON: that is what is given. CRCs are not looked at: TCP and TLS have theirs.
 */
#ifndef BODY_FRAMES_H
#define BODY_FRAMES_H

#include "agent/base/span.h"
#include "agent/base/step.h"

/* The service's limit for a frame is 16 MiB of payload; what claims more is none. */
#define FRAMES_MAX_BYTES (24u * 1024 * 1024)
/* Of one piece of decoded payload. */
#define FRAMES_ROOM 192u

enum frames_event_type { FRAMES_DATA, FRAMES_END };

struct frames_event {
	enum frames_event_type type;
	struct span data; /* FRAMES_DATA: a piece of the payload, not empty */
	bool failed;	  /* FRAMES_END: the frame is an exception or an error */
};

struct frames {
	uint8_t state;
	uint8_t header;	 /* which header's value is read */
	uint8_t got;	 /* bytes in `text` */
	uint8_t matched; /* of what stands before the base64 */
	bool failed, chunk;
	uint16_t want; /* bytes of the part of a header that is read */
	uint32_t headers_left, payload_left;
	uint32_t bits; /* of base64 */
	uint8_t bit_count;
	uint8_t text[16]; /* the prelude, the start of a header's name or value */
};

void frames_init(struct frames *p);

/* BAD at what cannot be a frame. `room` is the caller's, for what is decoded; data is borrowed from it or
 * from the input. */
enum step frames_next(struct frames *p, struct span *in, uint8_t room[FRAMES_ROOM],
		      struct frames_event *ev);

#endif
