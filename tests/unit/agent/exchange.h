/*
 * exchange.h - a call and its answer, put into a ring.
 */
#ifndef TESTS_EXCHANGE_H
#define TESTS_EXCHANGE_H

#include "tests/unit/intake/made_ring.h"

static const char request_text[] =
	"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
	"Content-Type: application/json\r\nContent-Length: 54\r\n\r\n"
	"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":1}]}";
static const char response_text[] =
	"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 104\r\n\r\n"
	"{\"model\":\"m\",\"choices\":[{\"message\":{\"content\":\"hi\"}}],"
	"\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}";

static inline void put_request(struct made_ring *m, uint32_t fd)
{
	made_control(m, WIRE_OPEN, fd, 1, 0);
	made_put(m, WIRE_IN, fd, 1, 0, request_text, sizeof(request_text) - 1);
}

static inline void put_response(struct made_ring *m, uint32_t fd)
{
	made_put(m, WIRE_OUT, fd, 1, 0, response_text, sizeof(response_text) - 1);
	made_control(m, WIRE_CLOSE, fd, 1, sizeof(response_text) - 1);
}

#endif
