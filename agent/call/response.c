#include "agent/call/response.h"

#include "agent/http/coding.h"

void response_init(struct response *r, struct server *server)
{
	*r = (struct response){0};
	reply_init(&r->reply, server, false);
}

void response_release(struct response *r)
{
	reply_release(&r->reply);
	coding_free(r->coding);
	r->coding = NULL;
}

/* ---- the head ----------------------------------------------------------------------------------- */

/* Media types are compared without parameters and case (RFC 9110 8.3.1). */
static bool is_media_type(struct span value, const char *type)
{
	size_t n = strlen(type);
	if (value.len < n || strncasecmp((const char *)value.at, type, n) != 0)
		return false;
	return value.len == n || value.at[n] == ';' || value.at[n] == ' ' || value.at[n] == '\t';
}

static enum response_kind kind_of(const struct http_head *head)
{
	static const char *const lines[] = {
		"application/x-ndjson", /* Ollama, SGLang's and LocalAI's fronts of its kind */
		"application/ndjson",
		"application/stream+json", /* Cohere v1 */
		"application/jsonl",
	};
	if (is_media_type(head->content_type, "text/event-stream"))
		return RESPONSE_EVENTS;
	for (size_t n = 0; n < sizeof(lines) / sizeof(lines[0]); n++) {
		if (is_media_type(head->content_type, lines[n]))
			return RESPONSE_LINES;
	}
	if (is_media_type(head->content_type, "application/vnd.amazon.eventstream"))
		return RESPONSE_FRAMES;
	return RESPONSE_WHOLE;
}

bool response_head(struct response *r, const struct http_head *head)
{
	struct server *server = r->reply.server;
	r->kind = kind_of(head);
	bool streams = r->kind != RESPONSE_WHOLE;
	reply_release(&r->reply);
	reply_init(&r->reply, server, streams);
	if (coding_open(&r->coding, head->content_encoding))
		reply_head(&r->reply, head);
	else
		r->kind = RESPONSE_UNREAD;
	if (r->kind == RESPONSE_FRAMES)
		frames_init(&r->frames);
	else
		sse_init(&r->sse);
	return streams;
}

/* ---- the body ----------------------------------------------------------------------------------- */

/* Who is told of tokens. */
struct listener {
	response_token *token;
	void *user;
};

static void end_document(struct response *r, struct listener to)
{
	if (reply_end_document(&r->reply))
		to.token(to.user);
}

static void cannot_be_read(struct response *r)
{
	if (r->kind != RESPONSE_UNREAD)
		reply_drop_document(&r->reply);
	r->kind = RESPONSE_UNREAD;
}

static void scan_document(struct response *r, struct span bytes)
{
	if (!reply_bytes(&r->reply, bytes))
		cannot_be_read(r);
}

static void read_document(struct response *r, struct span bytes)
{
	span_skip(&bytes, reply_known(&r->reply, bytes));
	if (bytes.len)
		scan_document(r, bytes);
}

/* A document that is known is not even searched for its line's end. */
static void read_events(struct response *r, struct span bytes, struct listener to)
{
	struct sse_event ev;
	while (bytes.len && r->kind == RESPONSE_EVENTS) {
		bool tried = sse_value(&r->sse, &bytes);
		size_t known = tried ? reply_known(&r->reply, bytes) : 0;
		span_skip(&bytes, known);
		if (known && sse_ends(&r->sse, &bytes)) {
			end_document(r, to);
			continue;
		}
		if (sse_next(&r->sse, &bytes, &ev) != STEP_EVENT)
			return;
		if (ev.type == SSE_DATA && tried) {
			scan_document(r, ev.data);
		} else if (ev.type == SSE_DATA) {
			read_document(r, ev.data);
		} else if (ev.type == SSE_END) {
			if (span_is(ev.name, "error"))
				reply_failed(&r->reply);
			end_document(r, to);
		}
	}
}

static void read_lines(struct response *r, struct span bytes, struct listener to)
{
	while (bytes.len && r->kind == RESPONSE_LINES) {
		const uint8_t *lf = memchr(bytes.at, '\n', bytes.len);
		struct span part = span_take(&bytes, lf ? (size_t)(lf - bytes.at) : bytes.len);
		r->lines_open |= part.len > 0;
		read_document(r, part);
		if (!lf)
			return;
		span_skip(&bytes, 1);
		if (r->lines_open)
			end_document(r, to);
		r->lines_open = false;
	}
}

static void read_frames(struct response *r, struct span bytes, struct listener to)
{
	uint8_t room[FRAMES_ROOM];
	struct frames_event ev;
	enum step step = STEP_MORE;
	while (r->kind == RESPONSE_FRAMES &&
	       (step = frames_next(&r->frames, &bytes, room, &ev)) == STEP_EVENT) {
		if (ev.type == FRAMES_DATA) {
			read_document(r, ev.data);
			continue;
		}
		if (ev.failed)
			reply_failed(&r->reply);
		end_document(r, to);
	}
	if (step == STEP_BAD)
		cannot_be_read(r);
}

static void read_body(struct response *r, struct span bytes, struct listener to)
{
	if (r->kind == RESPONSE_EVENTS)
		read_events(r, bytes, to);
	else if (r->kind == RESPONSE_LINES)
		read_lines(r, bytes, to);
	else if (r->kind == RESPONSE_FRAMES)
		read_frames(r, bytes, to);
	else if (r->kind == RESPONSE_WHOLE)
		scan_document(r, bytes);
}

/* Out of the way of the many that have no coding. */
static __attribute__((noinline)) void read_coded(struct response *r, struct span bytes,
						 struct listener to)
{
	struct span piece;
	enum step step;
	while ((step = coding_next(r->coding, &bytes, &piece)) == STEP_EVENT)
		read_body(r, piece, to);
	if (step == STEP_BAD)
		cannot_be_read(r);
}

void response_body(struct response *r, struct span bytes, response_token *token, void *user)
{
	const struct listener to = {token, user};
	if (r->coding)
		read_coded(r, bytes, to);
	else
		read_body(r, bytes, to);
}

void response_gap(struct response *r)
{
	if (r->kind == RESPONSE_UNREAD)
		return;
	if (r->coding || r->kind == RESPONSE_WHOLE || r->kind == RESPONSE_FRAMES) {
		cannot_be_read(r);
		return;
	}
	/* The event that is broken must not be taken for one: what is left of it up to the next
	 * line is some unknown field. */
	reply_drop_document(&r->reply);
	sse_init(&r->sse);
	r->lines_open = false;
}

/* ---- the end ------------------------------------------------------------------------------------ */

void response_end(struct response *r, response_token *token, void *user)
{
	const struct listener to = {token, user};
	if (r->kind == RESPONSE_WHOLE)
		reply_end_document(&r->reply); /* no event: it has no moment of its own */
	else if ((r->kind == RESPONSE_LINES && r->lines_open) ||
		 (r->kind == RESPONSE_EVENTS && sse_eof(&r->sse)))
		end_document(r, to);
}

bool response_says_whole(const struct response *r)
{
	const struct reply *reply = &r->reply;
	if (r->kind == RESPONSE_WHOLE)
		return reply_document_is_whole(reply);
	return (r->kind == RESPONSE_EVENTS || r->kind == RESPONSE_LINES) &&
	       (reply->done || reply->finish_reason[0]);
}

bool response_broke_off(const struct response *r)
{
	const struct reply *reply = &r->reply;
	return r->kind == RESPONSE_EVENTS && reply->goes_on && !reply->done &&
	       !reply->finish_reason[0];
}
