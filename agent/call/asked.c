#include "agent/call/asked.h"

#include "agent/call/server.h"

/* What a body says that the path leaves open. */
static bool kind_of_body(const struct endpoint *e, const struct request *r,
			 enum call_endpoint *type)
{
	unsigned holds = r->holds;
	bool tei = strcmp(server_provider(r->server), "tei") == 0;
	if (holds & REQUEST_HOLDS_MESSAGES)
		*type = holds & REQUEST_HOLDS_ANTHROPIC ? CALL_MESSAGE : CALL_CHAT_COMPLETION;
	else if (holds & REQUEST_HOLDS_QUERY)
		*type = CALL_RERANK;
	else if (holds & REQUEST_HOLDS_PROMPT || (holds & REQUEST_HOLDS_INPUTS && !tei))
		*type = CALL_COMPLETION;
	else if (holds & REQUEST_HOLDS_INPUTS)
		*type = e->type;
	else if (holds & (REQUEST_HOLDS_INPUT | REQUEST_HOLDS_TEXTS))
		*type = CALL_EMBEDDING;
	else if (holds & REQUEST_HOLDS_INPUT_TEXT)
		*type = strstr(r->model, "embed") ? CALL_EMBEDDING : CALL_COMPLETION;
	else if (holds & REQUEST_HOLDS_MESSAGE && r->model[0])
		*type = CALL_CHAT_COMPLETION; /* any application's `message` names no model */
	else
		return false;
	return true;
}

bool asked_kind(const struct endpoint *e, const struct request *r, enum call_endpoint *type)
{
	*type = e->type;
	switch (e->rule) {
	case ENDPOINT_BY_BODY:
		return kind_of_body(e, r, type);
	case ENDPOINT_WITH_PROMPT:
		return r->holds & REQUEST_HOLDS_PROMPT || r->unread;
	case ENDPOINT_WITH_MESSAGES:
		return r->holds & REQUEST_HOLDS_MESSAGES || r->unread;
	case ENDPOINT_BY_PATH:
		return true;
	case ENDPOINT_NOT:
		break;
	}
	return false;
}

bool asked_stream(const struct endpoint *e, const struct request *r)
{
	switch (e->stream) {
	case ENDPOINT_STREAM_DEFAULT:
		return r->stream || !r->stream_told;
	case ENDPOINT_STREAM_ALWAYS:
		return true;
	case ENDPOINT_STREAM_ASKED:
		break;
	}
	return r->stream;
}
