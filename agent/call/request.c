#include "agent/call/request.h"

#include "agent/body/json.h"
#include "agent/body/multipart.h"
#include "agent/call/server.h"
#include "agent/call/words.h"
#include "agent/http/coding.h"
#include "agent/http/event.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum request_want { REQUEST_MODEL = 1, REQUEST_STREAM, REQUEST_HELD };

/* The id of a key that is held is REQUEST_HELD and its bit's number. */
enum request_held {
	MESSAGES,
	PROMPT,
	INPUTS,
	INPUT,
	TEXTS,
	QUERY,
	ANTHROPIC,
	MESSAGE,
	INPUT_TEXT,
};
#define HELD(bit) (REQUEST_HELD + (bit))

static const struct json_want wants[] = {
	{"model", REQUEST_MODEL},
	{"model_id", REQUEST_MODEL}, /* llama-stack to 0.2, watsonx */
	{"stream", REQUEST_STREAM},
	{"messages", HELD(MESSAGES)},
	{"prompt", HELD(PROMPT)},
	{"inputs", HELD(INPUTS)},
	{"inputText", HELD(INPUT_TEXT)}, /* Bedrock: Titan */
	{"message", HELD(MESSAGE)},	 /* Cohere v1, as Bedrock and SageMaker take it */
	{"input", HELD(INPUT)},
	{"texts", HELD(TEXTS)},
	{"documents", HELD(TEXTS)},
	{"query", HELD(QUERY)},
	{"anthropic_version", HELD(ANTHROPIC)},
	/* Vertex: llama-server v0.5.0, TGI, TEI, SGLang */
	{"instances[].messages", HELD(MESSAGES)},
	{"instances[].prompt", HELD(PROMPT)},
	{"instances[].text", HELD(PROMPT)},
	{"instances[].content", HELD(TEXTS)}, /* Vertex: its own embedding models */
	{"instances[].inputs", HELD(INPUTS)},
	{"instances[].input", HELD(INPUT)},
	{"instances[].query", HELD(QUERY)},
	{"instances[].model", REQUEST_MODEL},
};

/* Audio comes as a form; of its fields `model` and `stream` are wanted. */
struct request_form {
	struct multipart parts;
	uint8_t field; /* enum request_want of the part; 0 = of no interest */
	bool cut;
	uint16_t len;
	char value[LIMIT_JSON_TEXT_BYTES];
};

static struct json_tree *tree;

static void make_tree(void)
{
	tree = json_tree_new(wants, sizeof(wants) / sizeof(wants[0]));
}

/* What the body was read with. */
static void end_reading(struct request *r)
{
	coding_free(r->coding);
	json_free(r->scan);
	free(r->form);
	r->coding = NULL;
	r->scan = NULL;
	r->form = NULL;
}

/* SGLang has a field of its own for requests. */
static struct span coding_of(const struct http_head *head)
{
	struct span own = http_field(head->fields, "x-body-compressed");
	return coding_is_identity(head->content_encoding) ? own : head->content_encoding;
}

int request_init(struct request *r, struct server *server, const struct http_head *head,
		 const char *model)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct multipart parts;
	*r = (struct request){.server = server, .model = words_hold(server_words(server), model)};
	if (multipart_init(&parts, head->content_type)) {
		r->form = calloc(1, sizeof(*r->form));
		if (r->form)
			r->form->parts = parts;
	} else {
		pthread_once(&once, make_tree);
		r->scan = tree ? json_new(tree) : NULL;
	}
	if (!r->form && !r->scan) {
		request_release(r);
		return -ENOMEM;
	}
	if (!coding_open(&r->coding, coding_of(head)))
		request_unreadable(r);
	return 0;
}

void request_release(struct request *r)
{
	end_reading(r);
	words_set(server_words(r->server), &r->model, "");
}

/* Of duplicate keys the last holds, as in the servers' own parsers. */
static void take(struct request *r, const struct json_event *ev)
{
	bool container = ev->type == JSON_OBJECT || ev->type == JSON_ARRAY;
	if (ev->id == REQUEST_MODEL) {
		if (ev->type == JSON_STRING && !ev->empty)
			server_keep_model(r->server, ev->text, ev->cut, &r->model);
	} else if (ev->id == REQUEST_STREAM) {
		/* A string or a number is not true. */
		r->stream = ev->type == JSON_TRUE;
		r->stream_told = ev->type == JSON_TRUE || ev->type == JSON_FALSE;
	} else if (ev->type == JSON_STRING ? !ev->empty : container && ev->closes && !ev->empty) {
		r->holds |= (uint16_t)(1u << (ev->id - REQUEST_HELD));
	}
}

/* ---- a form ---------------------------------------------------------------------------------------- */

static void begin_field(struct request_form *f, const struct multipart_event *ev)
{
	f->field = 0;
	f->len = 0;
	f->cut = false;
	if (ev->file)
		return;
	if (span_is(ev->name, "model"))
		f->field = REQUEST_MODEL;
	else if (span_is(ev->name, "stream"))
		f->field = REQUEST_STREAM;
}

static void end_field(struct request *r)
{
	const struct request_form *f = r->form;
	struct span value = span_of(f->value, f->len);
	if (f->field == REQUEST_MODEL && f->len) {
		server_keep_model(r->server, value, f->cut, &r->model);
	} else if (f->field == REQUEST_STREAM) {
		/* As pydantic reads it. */
		r->stream = span_is_nocase(value, "true") || span_is(value, "1") ||
			    span_is_nocase(value, "on") || span_is_nocase(value, "yes");
		r->stream_told = true;
	}
}

static void form_body(struct request *r, struct span bytes)
{
	struct request_form *f = r->form;
	struct multipart_event ev;
	while (multipart_next(&f->parts, &bytes, &ev) == STEP_EVENT) {
		if (ev.type == MULTIPART_PART) {
			begin_field(f, &ev);
		} else if (ev.type == MULTIPART_END) {
			end_field(r);
		} else if (f->field) {
			size_t room = sizeof(f->value) - f->len;
			size_t n = ev.data.len < room ? ev.data.len : room;
			memcpy(f->value + f->len, ev.data.at, n);
			f->len = (uint16_t)(f->len + n);
			f->cut |= n < ev.data.len;
		}
	}
}

/* ---- any body --------------------------------------------------------------------------------------- */

static void read_body(struct request *r, struct span bytes)
{
	struct json_event ev;
	if (r->form)
		form_body(r, bytes);
	while (r->scan && json_next(r->scan, &bytes, &ev) == STEP_EVENT)
		take(r, &ev);
}

void request_body(struct request *r, struct span bytes)
{
	struct span piece;
	enum step step;
	if (!r->coding) {
		read_body(r, bytes);
		return;
	}
	while ((step = coding_next(r->coding, &bytes, &piece)) == STEP_EVENT)
		read_body(r, piece);
	if (step == STEP_BAD)
		request_unreadable(r);
}

void request_unreadable(struct request *r)
{
	/* Behind a hole a prompt's text may look like a member of the document. */
	end_reading(r);
	r->unread = true;
}

void request_end(struct request *r)
{
	end_reading(r);
}
