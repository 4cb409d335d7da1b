#include "agent/call/request.h"

#include "agent/body/json.h"
#include "agent/call/server.h"

#include <errno.h>
#include <pthread.h>

enum request_want { REQUEST_MODEL = 1, REQUEST_STREAM, REQUEST_HELD };

/* The id of a key that is held is REQUEST_HELD and its bit's number. */
enum request_held { MESSAGES, PROMPT, INPUTS, INPUT, TEXTS, QUERY, ANTHROPIC };
#define HELD(bit) (REQUEST_HELD + (bit))

static const struct json_want wants[] = {
	{"model", REQUEST_MODEL},
	{"stream", REQUEST_STREAM},
	{"messages", HELD(MESSAGES)},
	{"prompt", HELD(PROMPT)},
	{"inputs", HELD(INPUTS)},
	{"inputText", HELD(PROMPT)}, /* Bedrock: Titan */
	{"input", HELD(INPUT)},
	{"texts", HELD(TEXTS)},
	{"documents", HELD(TEXTS)},
	{"query", HELD(QUERY)},
	{"anthropic_version", HELD(ANTHROPIC)},
	/* Vertex: llama-server v0.5.0, TGI, TEI, SGLang */
	{"instances[].messages", HELD(MESSAGES)},
	{"instances[].prompt", HELD(PROMPT)},
	{"instances[].text", HELD(PROMPT)},
	{"instances[].inputs", HELD(INPUTS)},
	{"instances[].input", HELD(INPUT)},
	{"instances[].query", HELD(QUERY)},
	{"instances[].model", REQUEST_MODEL},
};

static struct json_tree *tree;

static void make_tree(void)
{
	tree = json_tree_new(wants, sizeof(wants) / sizeof(wants[0]));
}

int request_init(struct request *r)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	*r = (struct request){0};
	pthread_once(&once, make_tree);
	r->scan = tree ? json_new(tree) : NULL;
	return r->scan ? 0 : -ENOMEM;
}

void request_release(struct request *r)
{
	json_free(r->scan);
	r->scan = NULL;
}

/* Of duplicate keys the last holds, as in the servers' own parsers. */
static void take(struct request *r, const struct json_event *ev)
{
	bool container = ev->type == JSON_OBJECT || ev->type == JSON_ARRAY;
	if (ev->id == REQUEST_MODEL) {
		if (ev->type == JSON_STRING && !ev->empty)
			server_model_label(ev->text, ev->cut, r->model, sizeof(r->model));
	} else if (ev->id == REQUEST_STREAM) {
		/* A string or a number is not true. */
		r->stream = ev->type == JSON_TRUE;
		r->stream_told = ev->type == JSON_TRUE || ev->type == JSON_FALSE;
	} else if (ev->type == JSON_STRING ? !ev->empty : container && ev->closes && !ev->empty) {
		r->holds |= 1u << (ev->id - REQUEST_HELD);
	}
}

void request_body(struct request *r, struct span bytes)
{
	struct json_event ev;
	while (r->scan && json_next(r->scan, &bytes, &ev) == STEP_EVENT)
		take(r, &ev);
}

void request_unreadable(struct request *r)
{
	/* Behind a hole a prompt's text may look like a member of the document. */
	request_release(r);
	r->unread = true;
}

void request_end(struct request *r)
{
	request_release(r);
}
