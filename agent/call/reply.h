/*
 * reply.h - what the documents of a response say: content, token counts, model, error, finish reason.
 *
 * A response that does not stream is one document; each event of a stream is one.
 */
#ifndef CALL_REPLY_H
#define CALL_REPLY_H

#include "agent/base/limits.h"
#include "agent/base/span.h"
#include "agent/call/server.h"
#include "agent/call/tokens.h"

struct http_head;

struct reply_document;

/* What reads the documents of all replies of a server, one at a time. Only a document that the end of the
 * input cut keeps what it needs. */
struct reply_reader;
struct words;
struct reply_reader *reply_reader_new(struct words *words); /* of the server; NULL without memory */
void reply_reader_free(struct reply_reader *reader);

struct reply {
	struct server *server;
	struct reply_document *now; /* NULL: none is open */
	/* of the response so far */
	const char *model;	   /* words of the server */
	const char *finish_reason; /* the same */
	struct tally tally;
	uint32_t content_documents;
	uint8_t shape; /* where the last document's was (json_shape.h) */
	bool streams;
	bool any_failed;
	bool goes_on; /* a choice said that it is not finished */
	bool done;    /* [DONE] was there */
};

/* `streams`: there are many documents. */
void reply_init(struct reply *r, struct server *server, bool streams);
void reply_release(struct reply *r);

/* Counts that servers put into the response's fields. */
void reply_head(struct reply *r, const struct http_head *head);

/* Takes a document that is like an earlier one, if none is open and one lies whole at the front of `in`, with
 * nothing behind it or a line end. Returns its bytes, 0 if there is none. */
size_t reply_known(struct reply *r, struct span in);
/* Bytes of the present document. False without memory: it is not read. */
bool reply_bytes(struct reply *r, struct span bytes);
/* Whether the present document has its end. */
bool reply_document_is_whole(const struct reply *r);
/* The document is an error for what was around it: an event's name, a frame's header. */
void reply_failed(struct reply *r);
/* The document is complete; the next begins. Returns whether it carried a token: generated content,
 * or a finish with a non-zero usage where no content came before (an answer of special tokens alone). */
bool reply_end_document(struct reply *r);
/* The document is broken (bytes of it were lost); the next begins. */
void reply_drop_document(struct reply *r);

#endif
