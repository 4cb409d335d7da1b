/*
 * case.h - what happens on the connections of one server, read from a text file.
 *
 *	# a remark
 *	program llama-server                what the ring's header says: program, arguments, provider
 *	endpoints /x=completion             INFERWIRE_ENDPOINTS
 *	0 in                                at 0 ms the server read
 *		POST /v1/completions HTTP/1.1\r\n
 *		content-length: \L\r\n\r\n
 *		{"model":"m"}
 *	20 out                              wrote
 *	21 chunk                            wrote as one chunk of a chunked body
 *	22 eof | shut | fail EPIPE | close | died | lost | gap in 500 | gap out 500 | missing
 *	23 open                             a further connection; the first is there at the beginning
 *	lossless                            what it shows cannot be told when bytes are missing
 *	pipelines                           the client is not followed further after a loss
 *
 * The lines of a piece begin with a tab and are put together without a line end. Escapes: \r \n \t \\
 * \xHH, \L (the bytes behind the first blank line of the piece), \{N TEXT} (TEXT, N times).
 */
#ifndef TESTS_CALL_CASE_H
#define TESTS_CALL_CASE_H

#include "tests/unit/test.h"

#include "agent/call/session.h"

#define CASE_EVENTS 256
#define CASE_PIECE  (1u << 18)
#define CASE_EPOCH  1000000000ull /* 0 ms of a case, since 0 ns means "did not happen" */

enum case_kind {
	CASE_BYTES,
	CASE_GAP,
	CASE_MISSING, /* bytes that came in; of the ring's records, the next one that goes out says so */
	CASE_EOF,
	CASE_SHUT,
	CASE_FAIL,
	CASE_CLOSE, /* number: enum session_end */
	CASE_OPEN,
};

struct case_event {
	enum case_kind kind;
	enum session_direction direction;
	uint64_t time_ns;
	uint64_t number; /* bytes of a gap, errno */
	uint8_t *bytes;
	size_t len;
	size_t length_at; /* where \L stands, one more; 0 = nowhere */
	bool chunk;
};

struct call_case {
	char program[64], provider[64], arguments[256], endpoints[256];
	size_t arguments_len;
	bool lossless, pipelines;
	struct case_event events[CASE_EVENTS];
	size_t count;
};

/* Appends TEXT n times; `at` is behind "\{". Returns where the escape ends. */
static inline const char *case_repeat(struct case_event *e, const char *at)
{
	char *text;
	unsigned long n = strtoul(at, &text, 10);
	const char *end = strchr(text, '}');
	assert_true(*text == ' ' && end);
	size_t len = (size_t)(end - ++text);
	assert_true(e->len + n * len <= CASE_PIECE);
	for (; n; n--, e->len += len)
		memcpy(e->bytes + e->len, text, len);
	return end + 1;
}

static inline void case_put_line(struct case_event *e, const char *at)
{
	while (*at && *at != '\n') {
		char c = *at++;
		assert_true(e->len < CASE_PIECE);
		if (c != '\\') {
			e->bytes[e->len++] = (uint8_t)c;
			continue;
		}
		c = *at++;
		if (c == '{') {
			at = case_repeat(e, at);
			continue;
		}
		if (c == 'x') {
			char hex[3] = {at[0], at[1], 0};
			c = (char)strtoul(hex, NULL, 16);
			at += 2;
		} else {
			if (c == 'L')
				e->length_at = e->len + 1;
			c = c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c;
		}
		e->bytes[e->len++] = (uint8_t)c;
	}
}

static inline void case_replace(struct case_event *e, size_t at, size_t drop, const char *text)
{
	size_t n = strlen(text);
	assert_true(e->len + n <= CASE_PIECE);
	memmove(e->bytes + at + n, e->bytes + at + drop, e->len - at - drop);
	memcpy(e->bytes + at, text, n);
	e->len += n - drop;
}

/* The piece is whole: its length is filled in, its chunk framed. */
static inline void case_finish_piece(struct case_event *e)
{
	char text[32];
	if (e->length_at) {
		uint8_t *blank = memmem(e->bytes, e->len, "\r\n\r\n", 4);
		assert_non_null(blank);
		snprintf(text, sizeof(text), "%zu", e->len - (size_t)(blank + 4 - e->bytes));
		case_replace(e, e->length_at - 1, 1, text);
	}
	if (e->chunk) {
		snprintf(text, sizeof(text), "%zx\r\n", e->len);
		case_replace(e, 0, 0, text);
		case_replace(e, e->len, 0, "\r\n");
	}
}

static inline enum session_direction case_direction(const char *word)
{
	assert_true(strcmp(word, "in") == 0 || strcmp(word, "out") == 0);
	return word[0] == 'i' ? SESSION_IN : SESSION_OUT;
}

/* "TIME WHAT [WORD [WORD]]" */
static inline void case_add_event(struct call_case *c, const char *line)
{
	static const char *const ends[] = {"close", "died", "lost"}; /* enum session_end */
	char what[16], a[16] = "", b[16] = "";
	unsigned long ms;
	assert_true(sscanf(line, "%lu %15s %15s %15s", &ms, what, a, b) >= 2);
	assert_true(c->count < CASE_EVENTS);
	struct case_event *e = &c->events[c->count++];
	*e = (struct case_event){.time_ns = CASE_EPOCH + ms * 1000000, .kind = CASE_BYTES};
	e->chunk = strcmp(what, "chunk") == 0;
	if (e->chunk || strcmp(what, "in") == 0 || strcmp(what, "out") == 0) {
		e->direction = e->chunk ? SESSION_OUT : case_direction(what);
		e->bytes = malloc(CASE_PIECE);
		assert_non_null(e->bytes);
	} else if (strcmp(what, "gap") == 0) {
		e->kind = CASE_GAP;
		e->direction = case_direction(a);
		e->number = strtoull(b, NULL, 10);
	} else if (strcmp(what, "fail") == 0) {
		e->kind = CASE_FAIL;
		e->number = strcmp(a, "EPIPE") == 0 ? EPIPE : ECONNRESET;
	} else if (strcmp(what, "missing") == 0) {
		e->kind = CASE_MISSING;
	} else if (strcmp(what, "eof") == 0) {
		e->kind = CASE_EOF;
	} else if (strcmp(what, "shut") == 0) {
		e->kind = CASE_SHUT;
	} else if (strcmp(what, "open") == 0) {
		e->kind = CASE_OPEN;
	} else {
		e->kind = CASE_CLOSE;
		while (e->number < 3 && strcmp(what, ends[e->number]) != 0)
			e->number++;
		assert_true(e->number < 3);
	}
}

static inline void case_take_line(struct call_case *c, const char *line)
{
	struct case_event *last = c->count ? &c->events[c->count - 1] : NULL;
	if (line[0] == '\t') {
		assert_true(last && last->kind == CASE_BYTES);
		case_put_line(last, line + 1);
	} else if (line[0] >= '0' && line[0] <= '9') {
		case_add_event(c, line);
	} else if (sscanf(line, "arguments %255[^\n]", c->arguments) == 1) {
		c->arguments_len = strlen(c->arguments) + 1;
		for (char *p = c->arguments; *p; p++)
			*p = *p == ' ' ? '\0' : *p;
	} else if (strcmp(line, "lossless\n") == 0) {
		c->lossless = true;
	} else if (strcmp(line, "pipelines\n") == 0) {
		c->pipelines = true;
	} else {
		assert_true(line[0] == '#' || line[0] == '\n' ||
			    sscanf(line, "program %63s", c->program) == 1 ||
			    sscanf(line, "provider %63s", c->provider) == 1 ||
			    sscanf(line, "endpoints %255[^\n]", c->endpoints) == 1);
	}
}

static inline void case_read(struct call_case *c, const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t room = 0;
	assert_non_null(f);
	*c = (struct call_case){0};
	while (getline(&line, &room, f) > 0)
		case_take_line(c, line);
	for (size_t i = 0; i < c->count; i++) {
		if (c->events[i].kind == CASE_BYTES)
			case_finish_piece(&c->events[i]);
	}
	free(line);
	fclose(f);
}

static inline void case_release(struct call_case *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->events[i].bytes);
}

#endif
