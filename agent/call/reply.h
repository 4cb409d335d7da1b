/*
 * reply.h - what the documents of a response say: content, tokens, model, error, finish reason.
 *
 * A response that does not stream is one document; each event of a stream is one.
 */
#ifndef CALL_REPLY_H
#define CALL_REPLY_H

#include "agent/base/limits.h"
#include "agent/base/span.h"
#include "agent/call/server.h"

struct json;

/* Token counts of one source; `known` where output is. */
struct reply_tokens {
	bool known, has_input, has_cached;
	uint64_t input, output, cached;
};

struct reply {
	struct server *server;
	struct json *scan;
	/* of the present document */
	bool content;		   /* generated material is in it */
	bool finished;		   /* a finish reason is in it */
	bool failed;		   /* an error is in it */
	struct reply_tokens found; /* its usage */
	/* of the response so far */
	char model[LIMIT_MODEL_BYTES];
	char finish_reason[LIMIT_FINISH_BYTES];
	struct reply_tokens usage;  /* the last that counts output, else the last; never the sum */
	struct reply_tokens engine; /* the engine's own fields */
	uint64_t content_documents;
	bool any_failed;
};

/* 0 or -ENOMEM. A zeroed struct is released. */
int reply_init(struct reply *r, struct server *server);
void reply_release(struct reply *r);

/* Bytes of the present document. */
void reply_bytes(struct reply *r, struct span bytes);
/* The document is complete; the next begins. Returns whether it carried a token: generated content,
 * or a finish with a non-zero usage where no content came before (an answer of special tokens alone). */
bool reply_end_document(struct reply *r);
/* Whether `usage` or `engine` of it is a count of the answer. */
bool reply_tokens_told(const struct reply *r, const struct reply_tokens *t);
/* The document is broken (bytes of it were lost); the next begins. */
void reply_drop_document(struct reply *r);

#endif
