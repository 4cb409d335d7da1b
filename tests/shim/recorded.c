/*
 * Reads the ring that tests/shim/threads.c or ways.c left, and tells whether each message that it wrote is
 * there once and with the connection that it belongs to.
 * usage: recorded DIRECTORY NAME CONNECTIONS TOLD [UNSEEN SHUT]
 *
 * UNSEEN messages are gaps of their length, and SHUT connections were shut before they were closed.
 */
#include "agent/intake/ring_reader.h"

#include "shim/wire.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IDS	  100000u
#define KEYS	  (1u << 17)
#define MESSAGE	  14u
#define HEAD_MOST 64u

/* One accepted connection: a descriptor and a generation of it. */
struct stream {
	uint64_t key;
	unsigned id, messages; /* as its request says; id 0 = not read yet */
	uint64_t in, out;      /* bytes so far */
	char head[HEAD_MOST + 1];
	char part[MESSAGE]; /* of the message that is being written */
	uint64_t seen;	    /* messages */
	uint64_t sum;	    /* of their numbers + 1 */
	bool closed;
};

static struct stream streams[KEYS];
static bool id_seen[IDS];
static unsigned wrong, connections, told, unseen, shut;

static void complain(const struct ring_record *r, const char *what)
{
	if (wrong++ < 10)
		fprintf(stderr, "recorded: fd %u generation %u type %u offset %llu: %s\n", r->fd,
			r->generation, r->type, (unsigned long long)r->offset, what);
}

static struct stream *stream_of(const struct ring_record *r)
{
	uint64_t key = (uint64_t)r->generation << 32 | r->fd;
	for (uint32_t i = (uint32_t)(key * 0x9e3779b97f4a7c15u >> 40);; i++) {
		struct stream *s = &streams[i % KEYS];
		if (s->key == key || !s->key) {
			s->key = key;
			return s;
		}
	}
}

static void request(struct stream *s, const struct ring_record *r)
{
	if (r->offset != s->in || s->id || r->payload.len > HEAD_MOST - s->in) {
		complain(r, "not one request");
		return;
	}
	memcpy(s->head + s->in, r->payload.at, r->payload.len);
	s->in += r->payload.len;
	if (!strstr(s->head, "\r\n\r\n"))
		return;
	char *end = s->head;
	if (!strncmp(s->head, "GET /", 5)) {
		s->id = (unsigned)strtoul(s->head + 5, &end, 10);
		s->messages = (unsigned)strtoul(end + 1, &end, 10);
	}
	if (!s->id || s->id >= IDS || strcmp(end, " HTTP/1.1\r\n\r\n") != 0)
		complain(r, "no request of ours");
	else if (id_seen[s->id])
		complain(r, "a connection twice");
	else
		id_seen[s->id] = true;
}

/* Whole messages that moved unseen. */
static void gap(struct stream *s, const struct ring_record *r)
{
	if (r->offset < s->out || s->out % MESSAGE || r->offset % MESSAGE ||
	    r->offset - s->out > MESSAGE) {
		complain(r, "a gap");
		return;
	}
	for (; s->out < r->offset; s->out += MESSAGE, unseen++)
		s->sum += ++s->seen;
}

static void messages(struct stream *s, const struct ring_record *r)
{
	if (r->offset != s->out)
		gap(s, r);
	for (size_t i = 0; i < r->payload.len; i++) {
		s->part[s->out++ % MESSAGE] = (char)r->payload.at[i];
		if (s->out % MESSAGE)
			continue;
		char *end;
		if (strtoul(s->part, &end, 10) != s->id)
			complain(r, "another connection's message");
		unsigned long number = strtoul(end, &end, 10);
		if (number != s->seen)
			complain(r, "a message out of its turn");
		s->sum += number + 1;
		s->seen++;
	}
}

static void on_record(void *user, const struct ring_record *r)
{
	struct stream *s = stream_of(r);
	(void)user;
	if (s->closed)
		complain(r, "after its end");
	else if (r->type == WIRE_OPEN)
		connections++;
	else if (r->type == WIRE_IN)
		request(s, r);
	else if (r->type == WIRE_OUT)
		messages(s, r);
	else if (r->type == WIRE_CLOSE || (r->type == WIRE_OPAQUE && r->info == WIRE_OPAQUE_OTHER))
		s->closed =
			true; /* the latter: a child that was forked meanwhile may go on with it */
	else if (r->type == WIRE_SHUT && r->info == SHUT_WR)
		shut++;
	else
		complain(r, "an unexpected record");
}

static void judge(const struct stream *s)
{
	struct ring_record r = {.fd = (uint32_t)s->key, .generation = (uint32_t)(s->key >> 32)};
	uint64_t want = s->messages ? s->messages : told;
	if (!s->id)
		complain(&r, "no request");
	if (s->seen != want || s->sum != want * (want + 1) / 2 || s->out % MESSAGE)
		complain(&r, "not all of its messages, or one twice");
	if (!s->closed && s->messages)
		complain(&r, "no end");
}

int main(int argc, char **argv)
{
	struct ring_reader *reader;
	struct process process;
	if (argc != 5 && argc != 7)
		return 2;
	told = (unsigned)strtoul(argv[4], NULL, 10);
	int dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ring_reader_setup();
	if (dir < 0 || ring_reader_open(dir, argv[2], &reader, &process))
		return 3;
	uint64_t lost = 0;
	for (uint32_t lane = 0; lane < ring_reader_lanes(reader); lane++) {
		while (ring_reader_drain(reader, lane, SIZE_MAX, 1, false, on_record, NULL))
			;
		struct ring_loss loss = ring_reader_loss(reader, lane);
		lost += loss.records + loss.skipped;
	}
	for (uint32_t i = 0; i < KEYS; i++) {
		if (streams[i].key)
			judge(&streams[i]);
	}
	/* A number that is free while a duplicate still stands for its connection has no place for a new
	 * one: that is counted. */
	uint64_t unwatched = ring_reader_unwatched(reader);
	printf("%u connections recorded, %llu counted as not watched, %llu records lost, %u "
	       "wrong\n",
	       connections, (unsigned long long)unwatched, (unsigned long long)lost, wrong);
	ring_reader_close(reader);
	close(dir);
	bool others = unseen != (argc == 7 ? strtoul(argv[5], NULL, 10) : 0) ||
		      shut != (argc == 7 ? strtoul(argv[6], NULL, 10) : 0);
	if (others)
		printf("%u messages unseen, %u connections shut\n", unseen, shut);
	return wrong || lost || others || connections + unwatched != strtoul(argv[3], NULL, 10);
}
