/*
 * verify_receiver.h - an OTLP/HTTP receiver on 127.0.0.1, in a thread of its own.
 */
#ifndef TOOLS_VERIFY_RECEIVER_H
#define TOOLS_VERIFY_RECEIVER_H

#include "tools/otlp_tally.h"

#include <pthread.h>

struct receiver {
	int listener;
	int port;
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	struct otlp_tally tally;
	char complaint[160]; /* the first thing that was wrong with a request; empty: nothing */
};

/* 0 or a negative errno. */
int receiver_start(struct receiver *r);
/* A copy of what has arrived so far. */
void receiver_read(struct receiver *r, struct otlp_tally *tally, char *complaint, size_t room);
void receiver_stop(struct receiver *r);

#endif
