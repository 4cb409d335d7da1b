/*
 * answer.h - what an answer of an OTLP receiver means.
 */
#ifndef EXPORT_ANSWER_H
#define EXPORT_ANSWER_H

#include "agent/export/post.h"

enum answer_verdict {
	ANSWER_ACCEPTED, /* all or part of it; final */
	ANSWER_REFUSED,	 /* will be refused again: dropped */
	ANSWER_LATER,	 /* may be accepted when sent again */
};

struct answer {
	enum answer_verdict verdict;
	uint64_t rejected_points; /* ACCEPTED: how many were not */
	int64_t delay_ms;	  /* LATER: what the receiver asked for; -1 = nothing */
	char message[160];	  /* one line of valid UTF-8; empty if there is nothing to say */
};

/* `now_s` is the time of day, against which a Retry-After that is a date is held. */
struct answer answer_read(const struct post_answer *in, int64_t now_s);

/* Milliseconds that a Retry-After value asks for, at most ANSWER_DELAY_MAX_MS; -1 = not understood. */
#define ANSWER_DELAY_MAX_MS 300000
int64_t answer_retry_after(const char *value, int64_t now_s);

#endif
