/*
 * limits.h - every cap on what an outsider can make grow, with its reason and what happens there.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* http: a head (start line and fields) longer than this makes the message unreadable. Servers
 * themselves stop at 8 to 64 KiB (uvicorn's h11 64 KiB, llama.cpp's cpp-httplib 8 KiB a line). */
#define LIMIT_HEAD_BYTES (64u * 1024)
/* http: requests on one connection that wait for their response (pipelining). More: the connection
 * is given up, its calls end as lost. */
#define LIMIT_PIPELINE 64u

/* intake: descriptors of a process in one look for connections that were not seen, and bytes of one of
 * the kernel's tables of connections (200,000 of them): some tens of milliseconds. More: the look
 * is given up, nothing is told of such connections. */
#define LIMIT_LOOK_DESCRIPTORS 32768u
#define LIMIT_LOOK_TABLE_BYTES (32u * 1024 * 1024)
/* http: the table of fields of one direction of an HTTP/2 connection. An encoder that wants a larger one
 * makes the direction unreadable. Servers keep 4 KiB, the default, browsers offer 64 KiB. */
#define LIMIT_HPACK_TABLE_BYTES (64u * 1024)
/* http: a compressed body. Its decoder's memory: brotli's window may be 16 MiB, zstd's 8 MiB. That of all
 * of them together. What comes out of it, in all, and for each byte that went in once it is not small.
 * Past one of them the body is not read any further. */
#define LIMIT_CODING_BYTES  (20u * 1024 * 1024)
#define LIMIT_CODINGS_BYTES (256u * 1024 * 1024)
#define LIMIT_DECODED_BYTES (256u * 1024 * 1024)
#define LIMIT_DECODED_FREE  (4u * 1024 * 1024)
#define LIMIT_DECODED_RATIO 200u
/* call: calls under way at once on one HTTP/2 connection. Servers allow 100 to 256 streams. More: the
 * connection is given up, its calls end as lost. */
#define LIMIT_STREAMS 4096u

/* body: a value that is wanted from a JSON document (a model's name, an error's type). Longer: cut. */
#define LIMIT_JSON_TEXT_BYTES 256u
/* body: nesting that is checked bracket by bracket; deeper levels are only counted. */
#define LIMIT_JSON_DEPTH 1024u

/* call: names kept of one call. Longer ones are cut at a UTF-8 boundary. */
#define LIMIT_MODEL_BYTES    128u
#define LIMIT_PROVIDER_BYTES 48u
#define LIMIT_PATH_BYTES     128u
#define LIMIT_FINISH_BYTES   32u
/* call: distinct models that nobody ever got a 2xx for, before errors are labelled `unknown`. */
#define LIMIT_UNPROVEN_MODELS 100u

/* metrics: attribute sets of one metric of one process; OpenTelemetry's default. One more point,
 * otel.metric.overflow = true, takes the rest. */
#define LIMIT_SERIES 2000u

/* export: one OTLP request; more points go into further requests. Receivers take 4 MiB (gRPC
 * servers) to 32 MiB (Prometheus). */
#define LIMIT_OTLP_REQUEST_BYTES (3u * 1024 * 1024)
/* export: an answer longer than this is not read further. */
#define LIMIT_OTLP_RESPONSE_BYTES (4u * 1024 * 1024)
/* export: finished calls waiting for the call log's writer. More: counted as lost lines. */
#define LIMIT_CALL_LOG_QUEUE 8192u

#endif
