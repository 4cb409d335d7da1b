/*
 * booked.h - a server with one session, whose calls are written into a book.
 */
#ifndef TESTS_CALL_BOOKED_H
#define TESTS_CALL_BOOKED_H

#include "tests/unit/call/book.h"

#include "agent/call/session.h"

static struct book book;
static struct call_sink sink;
static struct server *server;
static struct session *session;
static unsigned now_ms;

static inline int booked_set_up(void **state)
{
	(void)state;
	sink = book_sink(&book);
	server = server_new("vllm", span_of(NULL, 0), NULL, &sink);
	session = session_new(server);
	now_ms = 0;
	return server && session ? 0 : -1;
}

/* Every call that started has ended by then. */
static inline int booked_tear_down(void **state)
{
	(void)state;
	session_free(session);
	server_free(server);
	assert_int_equal(book.started, book.count);
	return 0;
}

static inline uint64_t now(void)
{
	return CASE_EPOCH + (uint64_t)now_ms * 1000000;
}

static inline void ended_as(size_t i, enum call_error error)
{
	assert_true(i < book.count);
	assert_false(book.was_lost[i]);
	assert_int_equal(book.calls[i].error, error);
}

#endif
