/*
 * request.h - what an inference request asks for: the model, whether it streams, and what it holds.
 */
#ifndef CALL_REQUEST_H
#define CALL_REQUEST_H

#include "agent/base/limits.h"
#include "agent/base/span.h"

struct coding;
struct http_head;
struct json;
struct request_form;

/* What a body holds: bits. Empty strings and arrays are not there. */
enum request_holds {
	REQUEST_HOLDS_MESSAGES = 1,
	REQUEST_HOLDS_PROMPT = 2,
	REQUEST_HOLDS_INPUTS = 4, /* TGI: a prompt; TEI: what is to be embedded */
	REQUEST_HOLDS_INPUT = 8,  /* of embeddings and responses */
	REQUEST_HOLDS_TEXTS = 16, /* what is to be embedded or, with a query, ranked */
	REQUEST_HOLDS_QUERY = 32,
	REQUEST_HOLDS_ANTHROPIC =
		64, /* anthropic_version: messages as Bedrock and Vertex take them */
	REQUEST_HOLDS_MESSAGE = 128,	/* the last of them, of Cohere v1 */
	REQUEST_HOLDS_INPUT_TEXT = 256, /* of Titan: a prompt, or what is to be embedded */
};

struct server;

struct request {
	struct server *server;
	struct coding *coding;	   /* NULL: there is nothing to undo */
	struct json *scan;	   /* while the body is read */
	struct request_form *form; /* in its place, where the body is a form */
	const char *model;	   /* a word of the server: the path's, unless the body names one */
	uint16_t holds;		   /* bits of enum request_holds */
	bool stream;
	bool stream_told; /* else it is what the endpoint does by default */
	bool unread;	  /* part of it could not be read: what was not found may have been there */
};

/* By what its head says of the body; `model` is the path's. 0, or -ENOMEM: then it is released. */
int request_init(struct request *r, struct server *server, const struct http_head *head,
		 const char *model);
void request_release(struct request *r);
void request_body(struct request *r, struct span bytes);
/* What is left cannot be read: bytes are missing, or its coding is unknown. What was found stays. */
void request_unreadable(struct request *r);
/* The body is complete; gives the scanner's memory back. What was found stays. */
void request_end(struct request *r);

#endif
