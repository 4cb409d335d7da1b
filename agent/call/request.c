#include "agent/call/request.h"

#include "agent/body/json.h"
#include "agent/call/server.h"

#include <errno.h>
#include <pthread.h>

enum request_want { REQUEST_MODEL = 1, REQUEST_STREAM };

/* OpenAI chat and completions; llama-server's native completion. A string or null in `stream` is not
 * true. */
static const struct json_want wants[] = {
	{"model", REQUEST_MODEL},
	{"stream", REQUEST_STREAM},
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

void request_body(struct request *r, struct span bytes)
{
	struct json_event ev;
	while (r->scan && json_next(r->scan, &bytes, &ev) == STEP_EVENT) {
		if (ev.id == REQUEST_MODEL && ev.type == JSON_STRING)
			server_model_label(ev.text, ev.cut, r->model, sizeof(r->model));
		else if (ev.id == REQUEST_STREAM)
			r->stream = ev.type == JSON_TRUE;
	}
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
