/*
 * node.h - a node that reads made-up inputs by the batch and says what they are to it.
 *
 *	static struct node_reader node = {.script = "node/x.js", .put_input = put_input};
 *	node_start(&node);
 *	struct span said = node_said(&node, seed);
 *
 * Seeds are asked for in their order: while the answers of one batch are compared, node reads the next.
 * batches.js has the other side. Who says nothing for a minute, or ends, ends the program.
 */
#ifndef TESTS_ORACLES_NODE_H
#define TESTS_ORACLES_NODE_H

#include "agent/base/span.h"
#include "tests/oracles/chance.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <unistd.h>

#define NODE_BATCH	256u
#define NODE_SILENCE_MS (60 * 1000)

struct node_reader {
	const char *script;   /* in ORACLES_AT */
	const char *argument; /* of the script, behind the folder of the packages; may be NULL */
	/* Appends the input of a seed. */
	void (*put_input)(uint64_t seed, struct text *to);

	int to, from;
	struct text asked; /* the batch that node reads, and how much of it was sent */
	size_t sent;
	uint64_t asked_first;
	bool asking;
	struct text said; /* what came of its answers */

	struct text answers; /* those of the batch that begins with seed `first` */
	struct span each[NODE_BATCH];
	uint64_t first;
	bool there;
};

extern char **environ;

static inline void node_failed(const char *what)
{
	fprintf(stderr, "node: %s\n", what);
	exit(2);
}

static inline void put_u32(struct text *t, size_t n)
{
	uint8_t bytes[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
	put(t, bytes, sizeof(bytes));
}

static inline uint32_t u32_at(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

/* Sets the length that stands before what was put since; `at` is where it stands. */
static inline void set_length(struct text *t, size_t at)
{
	size_t n = t->len - at - 4;
	for (unsigned i = 0; i < 4; i++, n >>= 8)
		t->at[at + i] = (uint8_t)n;
}

/* What stands behind its length, which is dropped with it. */
static inline struct span take_measured(struct span *s)
{
	if (s->len < 4 || s->len - 4 < u32_at(s->at))
		node_failed("said what nobody can read");
	uint32_t len = u32_at(s->at);
	span_skip(s, 4);
	return span_take(s, len);
}

static inline void node_pipe(int ends[2], int ours)
{
	if (pipe2(ends, O_CLOEXEC))
		node_failed("no pipe");
	fcntl(ends[0], F_SETPIPE_SZ, 1 << 20); /* as much as there may be of a batch */
	fcntl(ends[ours], F_SETFL, O_NONBLOCK);
}

static inline void node_start(struct node_reader *n)
{
	int in[2], out[2];
	char script[512];
	pid_t pid;
	char *const args[] = {"node", script, NODE_PACKAGES, (char *)n->argument, NULL};
	posix_spawn_file_actions_t actions;

	snprintf(script, sizeof(script), "%s/%s", ORACLES_AT, n->script);
	signal(SIGPIPE, SIG_IGN);
	node_pipe(in, 1);
	node_pipe(out, 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	if (posix_spawnp(&pid, "node", &actions, NULL, args, environ))
		node_failed("is not there: sh tools/deps.sh check");
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	n->to = in[1];
	n->from = out[0];
}

static inline void node_send(struct node_reader *n)
{
	while (n->sent < n->asked.len) {
		ssize_t done = write(n->to, n->asked.at + n->sent, n->asked.len - n->sent);
		if (done < 0 && errno == EAGAIN)
			return;
		if (done < 0)
			node_failed("ended");
		n->sent += (size_t)done;
	}
}

static inline void node_ask(struct node_reader *n, uint64_t first)
{
	n->asked.len = n->sent = 0;
	put_u32(&n->asked, 0);
	for (unsigned i = 0; i < NODE_BATCH; i++) {
		size_t at = n->asked.len;
		put_u32(&n->asked, 0);
		n->put_input(first + i, &n->asked);
		set_length(&n->asked, at);
	}
	set_length(&n->asked, 0);
	n->asked_first = first;
	n->asking = true;
	node_send(n);
}

static inline bool node_said_all(const struct node_reader *n)
{
	return n->said.len >= 4 && n->said.len - 4 >= u32_at(n->said.at);
}

static inline void node_receive(struct node_reader *n)
{
	static uint8_t buffer[1 << 16];
	struct pollfd fds[2] = {{.fd = n->from, .events = POLLIN},
				{.fd = n->sent < n->asked.len ? n->to : -1, .events = POLLOUT}};
	if (poll(fds, 2, NODE_SILENCE_MS) == 0)
		node_failed("said nothing for a minute");
	node_send(n);
	ssize_t len = read(n->from, buffer, sizeof(buffer));
	if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
		node_failed("ended");
	if (len > 0)
		put(&n->said, buffer, (size_t)len);
}

/* The answers of the batch that was asked for. */
static inline void node_await(struct node_reader *n)
{
	n->said.len = 0;
	while (!node_said_all(n))
		node_receive(n);
	struct text last = n->answers;
	n->answers = n->said;
	n->said = last;
	struct span all = span_of(n->answers.at, n->answers.len), rest = take_measured(&all);
	for (unsigned i = 0; i < NODE_BATCH; i++)
		n->each[i] = take_measured(&rest);
	if (rest.len || all.len)
		node_failed("said more than it was asked for");
	n->first = n->asked_first;
	n->there = true;
	n->asking = false;
}

/* What node says of this seed's input. Borrowed: dies at the next call. */
static inline struct span node_said(struct node_reader *n, uint64_t seed)
{
	if (!n->there || seed - n->first >= NODE_BATCH) {
		if (n->asking)
			node_await(n);
		if (!n->there || seed - n->first >= NODE_BATCH) {
			node_ask(n, seed);
			node_await(n);
		}
		node_ask(n, n->first + NODE_BATCH);
	}
	return n->each[seed - n->first];
}

#endif
