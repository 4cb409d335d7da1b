/*
 * response.h - a response's body: its coding undone, cut into its documents, each read (reply.h).
 *
 * How it is read is told by its Content-Type, never by the request: a stream that was asked for may be
 * refused with plain JSON.
 */
#ifndef CALL_RESPONSE_H
#define CALL_RESPONSE_H

#include "agent/body/frames.h"
#include "agent/body/sse.h"
#include "agent/call/reply.h"
#include "agent/http/event.h"

enum response_kind {
	RESPONSE_UNREAD, /* nothing that is understood, or in a coding that is not */
	RESPONSE_WHOLE,	 /* one JSON document */
	RESPONSE_EVENTS, /* server-sent events */
	RESPONSE_LINES,	 /* a JSON document a line */
	RESPONSE_FRAMES, /* Bedrock's events */
};

struct coding;

struct response {
	struct coding *coding; /* NULL: there is nothing to undo */
	struct reply reply;
	enum response_kind kind : 8;
	bool lines_open; /* RESPONSE_LINES: bytes of the present line were seen */
	union {
		struct sse sse;	      /* RESPONSE_EVENTS */
		struct frames frames; /* RESPONSE_FRAMES */
	};
};

/* A part of the body that carried a token (reply_end_document) was complete with the bytes that were given. */
typedef void response_token(void *user);

void response_init(struct response *r, struct server *server);
void response_release(struct response *r);

/* Returns whether it is a stream. */
bool response_head(struct response *r, const struct http_head *head);
void response_body(struct response *r, struct span bytes, response_token *token, void *user);
/* Bytes were lost and the rest goes on. */
void response_gap(struct response *r);
/* The body is whole: what is left of one that ends without its last line end. */
void response_end(struct response *r, response_token *token, void *user);

/* Whether it ends in the end of its document, or behind the event that is a stream's last. */
bool response_says_whole(const struct response *r);

/* A stream that says of its choices that they are not finished ends in a finish reason or, in some servers,
 * only in [DONE]. One that ends in neither broke off, though the message is whole: Ollama tells failures
 * in no other way. */
bool response_broke_off(const struct response *r);

#endif
