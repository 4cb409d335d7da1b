/*
 * call.h - one inference call, from its first request byte to its end.
 *
 * This is what the call stage gives to metrics and to the call log: names and numbers, never a byte
 * of a prompt or of an answer.
 */
#ifndef CALL_CALL_H
#define CALL_CALL_H

#include "agent/base/limits.h"

#include <stdbool.h>
#include <stdint.h>

enum call_endpoint {
	CALL_CHAT_COMPLETION,
	CALL_COMPLETION,
	CALL_EMBEDDING,
	CALL_RERANK,
	CALL_RESPONSE,
	CALL_MESSAGE,
	CALL_TRANSCRIPTION,
	CALL_ENDPOINTS, /* how many there are */
};

enum call_error {
	CALL_OK,
	CALL_VALIDATION_ERROR,	   /* 400, 413, 422 */
	CALL_AUTHENTICATION_ERROR, /* 401, 403 */
	CALL_NOT_FOUND,		   /* 404 */
	CALL_RATE_LIMITED,	   /* 429 */
	CALL_TIMEOUT,		   /* 408, 504 */
	CALL_UNAVAILABLE,	   /* 503 */
	CALL_PROVIDER_ERROR,	   /* other 5xx, errors inside a 200 */
	CALL_CLIENT_ERROR,	   /* other 4xx */
	CALL_CLIENT_DISCONNECT,
	CALL_TRUNCATED,
	CALL_SERVER_CRASH,
	CALL_ERRORS, /* how many there are */
};

enum call_token_source {
	CALL_TOKENS_NONE,
	CALL_TOKENS_USAGE,
	CALL_TOKENS_ENGINE,
	CALL_TOKENS_EVENTS
};

/* Protocols over which calls are seen to begin, and not read. */
enum call_unmeasured {
	CALL_UNMEASURED_WEBSOCKET,
	CALL_UNMEASURED_GRPC,
	CALL_UNMEASURED_COUNT,
};

/* Words of metrics.md and of the call log for each value: "chat_completion", "validation_error"
 * (CALL_OK: ""), "usage". */
const char *call_endpoint_name(enum call_endpoint e);
const char *call_error_name(enum call_error e);
const char *call_token_source_name(enum call_token_source s);

/* The attributes that tell series apart, status apart. */
struct call_labels {
	char model[LIMIT_MODEL_BYTES];
	char provider[LIMIT_PROVIDER_BYTES];
	enum call_endpoint endpoint;
	bool stream;
};

/* Times are CLOCK_MONOTONIC nanoseconds of the server's own calls; 0 = did not happen (yet). */
struct call {
	struct call_labels labels; /* final ones; complete at `ended` */
	struct call_labels
		started;      /* those of concurrent_requests: fixed when the call is recognised */
	uint64_t arrived_ns;  /* first byte of the request read */
	uint64_t received_ns; /* last byte of the request read */
	uint64_t first_token_ns; /* streams only */
	uint64_t last_token_ns;
	uint64_t ended_ns;
	enum call_error error; /* CALL_OK = success */
	unsigned http_status;  /* 0 = no response was seen */
	enum call_token_source token_source;
	bool has_input_tokens, has_output_tokens, has_cached_tokens, has_reasoning_tokens;
	uint64_t input_tokens;
	uint64_t output_tokens;
	uint64_t cached_tokens;	   /* of the input */
	uint64_t reasoning_tokens; /* of the output */
	uint64_t request_bytes;	   /* of the body, transfer coding removed */
	uint64_t response_bytes;   /* the same */
	uint64_t events;	   /* SSE events or NDJSON lines that carried generated content */
	bool incomplete;	   /* records of its connection were lost: no token metrics */
	char method[12];
	char path[LIMIT_PATH_BYTES]; /* without the query, cut */
	char finish_reason[LIMIT_FINISH_BYTES];
};

/*
 * Where calls are told. started, then at most once first_token (streams), then ended, for every call:
 * also for those whose connection or process died. The struct is borrowed during the call. A call
 * that was lost track of (its end was not seen) is given to `lost` in place of `ended`.
 */
struct call_sink {
	void (*started)(void *user, const struct call *c);
	void (*first_token)(void *user, const struct call *c);
	void (*ended)(void *user, const struct call *c);
	void (*lost)(void *user, const struct call *c);
	void *user;
	/* One of those calls has begun; nothing more is told of it. NULL: nobody wants to know. */
	void (*unmeasured)(void *user, enum call_unmeasured how);
};

#endif
