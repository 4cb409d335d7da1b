/*
 * event.h - what an HTTP parser tells about one direction of one connection.
 *
 * A message gives, in this order:
 *   HTTP_BEGIN  its first byte was met (nothing else is known yet)
 *   HTTP_HEAD   start line and fields are complete
 *   HTTP_BODY   a piece of the body, transfer coding removed; any number, never empty
 *   HTTP_END    complete
 * A response with status 1xx (101 apart) gives BEGIN, HEAD and END and is followed by another
 * response to the same request. After HTTP_UPGRADE (101, or a 2xx to CONNECT) and HTTP_LOST nothing
 * of the message follows. HTTP_LOST also comes between messages: what was told as one was none (see
 * h1_gap).
 */
#ifndef HTTP_EVENT_H
#define HTTP_EVENT_H

#include "agent/base/span.h"

enum http_event_type {
	HTTP_BEGIN,
	HTTP_HEAD,
	HTTP_BODY,
	HTTP_END,
	HTTP_UPGRADE, /* the connection leaves HTTP in this direction; further bytes are not looked at */
	HTTP_LOST, /* the message cannot be followed further (bytes were lost); the next is hunted for */
};

enum http_method {
	HTTP_METHOD_OTHER,
	HTTP_GET,
	HTTP_HEAD_METHOD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_CONNECT,
	HTTP_OPTIONS,
	HTTP_DELETE,
	HTTP_PATCH,
};

/* Methods are case-sensitive (RFC 9110 9.1). */
enum http_method http_method_of(struct span text);

/*
 * Spans are borrowed: they die at the next call on the parser. Absent fields are empty spans; of a
 * field that comes more than once it is the first that says something. A folded value keeps its line ends.
 */
struct http_head {
	enum http_method method; /* of a request */
	struct span method_text;
	struct span path; /* request target, with its query */
	unsigned status;  /* of a response, 100 .. 999 */
	unsigned minor;	  /* HTTP/1.minor */
	struct span content_type;
	struct span content_encoding;
	struct span server; /* Server field */
	struct span fields; /* all field lines as on the wire: http_field finds one */
};

struct http_event {
	enum http_event_type type;
	struct http_head head; /* HTTP_HEAD, HTTP_UPGRADE */
	struct span body;      /* HTTP_BODY */
	bool closes;	       /* HTTP_END: the body's end was the end of the connection */
};

/* Value of the first field called `name` (case ignored) in `fields`; empty if absent. */
struct span http_field(struct span fields, const char *name);
/* The next field, taken from *fields; false at their end. */
bool http_next_field(struct span *fields, struct span *name, struct span *value);

#endif
