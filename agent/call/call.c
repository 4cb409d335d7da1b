#include "agent/call/call.h"

#include <stddef.h>

const char *call_endpoint_name(enum call_endpoint e)
{
	static const char *const names[CALL_ENDPOINTS] = {
		[CALL_CHAT_COMPLETION] = "chat_completion",
		[CALL_COMPLETION] = "completion",
		[CALL_EMBEDDING] = "embedding",
		[CALL_RERANK] = "rerank",
		[CALL_RESPONSE] = "response",
		[CALL_MESSAGE] = "message",
		[CALL_TRANSCRIPTION] = "transcription",
	};
	return (size_t)e < CALL_ENDPOINTS ? names[e] : "";
}

const char *call_error_name(enum call_error e)
{
	static const char *const names[CALL_ERRORS] = {
		[CALL_OK] = "",
		[CALL_VALIDATION_ERROR] = "validation_error",
		[CALL_AUTHENTICATION_ERROR] = "authentication_error",
		[CALL_NOT_FOUND] = "not_found",
		[CALL_RATE_LIMITED] = "rate_limited",
		[CALL_TIMEOUT] = "timeout",
		[CALL_UNAVAILABLE] = "unavailable",
		[CALL_PROVIDER_ERROR] = "provider_error",
		[CALL_CLIENT_ERROR] = "client_error",
		[CALL_CLIENT_DISCONNECT] = "client_disconnect",
		[CALL_TRUNCATED] = "truncated",
		[CALL_SERVER_CRASH] = "server_crash",
	};
	return (size_t)e < CALL_ERRORS ? names[e] : "";
}

const char *call_token_source_name(enum call_token_source s)
{
	switch (s) {
	case CALL_TOKENS_USAGE:
		return "usage";
	case CALL_TOKENS_ENGINE:
		return "engine";
	case CALL_TOKENS_EVENTS:
		return "events";
	case CALL_TOKENS_NONE:
		break;
	}
	return "none";
}
