/*
 * post.h - one HTTP request with libcurl: what was sent, what came back, and nothing else.
 *
 * Used by one thread alone. It judges nothing and retries nothing: answer.h does.
 */
#ifndef EXPORT_POST_H
#define EXPORT_POST_H

#include "agent/base/buf.h"
#include "agent/export/config.h"

#include <stdatomic.h>

enum post_fault {
	POST_NO_FAULT,
	POST_TRANSPORT, /* no connection, broken off, too late: may go well later */
	POST_TLS,	/* certificates and their files: will not go well until somebody acts */
};

struct post_answer {
	long status;	       /* 0: none came */
	enum post_fault fault; /* also beside a status, if the body broke off */
	char content_type[64]; /* empty if none */
	char retry_after[64];
	struct buf body;
	char error[160]; /* libcurl's words for the fault */
};

struct post;

/*
 * `config` is borrowed. When the clock CLOCK_MONOTONIC passes *abort_at_ns, what is under way is
 * given up; it may be changed at any time. NULL without memory.
 */
struct post *post_new(const struct config *config, const _Atomic uint64_t *abort_at_ns);
void post_free(struct post *p);

/* Posts `body` (compressed already, where config asks for that). timeout_ms 0 = none. The answer is
 * valid until the next call. */
const struct post_answer *post_send(struct post *p, struct span body, uint64_t timeout_ms);

#endif
