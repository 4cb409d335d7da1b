/*
 * A path is matched by its end, because servers are mounted under prefixes: /v1, /openai/v1,
 * /openai/deployments/NAME (Azure), llama-server's --api-prefix. What must not be counted is matched
 * first: paths below an inference path that infer nothing. The method must be POST or PUT: GET on the
 * same paths lists stored completions (llama-stack) or replays them (llama-server).
 */
#include "agent/call/endpoint.h"

#include "agent/base/hex.h"

/* Longer targets are matched by their last bytes. */
#define PATH_ROOM 256u

struct rule {
	const char *suffix; /* whole path segments */
	enum call_endpoint endpoint;
};

/* Ends of paths that look like a rule's without being one. */
static const char *const denied[] = {
	"/render",	 /* vLLM: /v1/chat/completions/render, the prompt as text */
	"/derender",	 /* vLLM */
	"/input_tokens", /* llama-server: /v1/chat/completions/input_tokens, counts only */
	"/count_tokens", /* llama-server, vLLM, SGLang: /v1/messages/count_tokens */
	"/tokenize",	 /* vLLM, llama-server, SGLang */
	"/detokenize",	 /* the same */
	"/control",	 /* llama-server: /v1/chat/completions/control */
	"/cancel",	 /* vLLM: /v1/responses/ID/cancel */
};

static const struct rule rules[] = {
	/* OpenAI; llama-server v0.5.0 also without /v1, Azure with a deployment before it */
	{"/chat/completions", CALL_CHAT_COMPLETION},
	/* OpenAI legacy; on llama-server /completions without /v1 is the native form */
	{"/completions", CALL_COMPLETION},
	/* llama-server v0.5.0, native */
	{"/completion", CALL_COMPLETION},
};

struct span endpoint_path(struct span target)
{
	for (size_t i = 0; i < target.len; i++) {
		if (target.at[i] == '?' || target.at[i] == '#')
			return span_of(target.at, i);
	}
	return target;
}

/* Undoes percent-encoding (RFC 3986 2.1), of the path's end if it is long. */
static struct span decoded(struct span path, uint8_t *room)
{
	size_t n = 0;
	if (path.len > PATH_ROOM)
		span_skip(&path, path.len - PATH_ROOM);
	for (size_t i = 0; i < path.len; i++) {
		int high = -1, low = -1;
		if (path.at[i] == '%' && path.len - i > 2) {
			high = hex_digit(path.at[i + 1]);
			low = hex_digit(path.at[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			room[n++] = (uint8_t)(high << 4 | low);
			i += 2;
		} else {
			room[n++] = path.at[i];
		}
	}
	return span_of(room, n);
}

bool endpoint_of(enum http_method method, struct span target, enum call_endpoint *endpoint)
{
	uint8_t room[PATH_ROOM];
	if (method != HTTP_POST && method != HTTP_PUT)
		return false;
	struct span path = decoded(endpoint_path(target), room);
	while (path.len && path.at[path.len - 1] == '/')
		path.len--;
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
		if (span_ends(path, denied[i]))
			return false;
	}
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (span_ends(path, rules[i].suffix)) {
			*endpoint = rules[i].endpoint;
			return true;
		}
	}
	return false;
}
