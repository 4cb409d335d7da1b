/*
 *   bytes of a document ---> like an earlier one? ---> its shape's events --.
 *                                 '- no: json_next ----------- events ------+--> take --> struct document
 *
 * What was found waits for the document's end, which tells what it means (reply_fields.c).
 */
#include "agent/call/reply.h"

#include "agent/body/json.h"
#include "agent/body/json_shape.h"
#include "agent/call/reply_fields.h"
#include "agent/call/words.h"
#include "agent/http/event.h"

#include <stdlib.h>

enum reply_type { TYPE_NONE, TYPE_DELTA, TYPE_BLOCK, TYPE_OTHER };

/* What a document holds. */
struct found {
	bool content;  /* generated material, whatever the document is */
	bool loose;    /* the same, of a document without a `type` */
	bool delta;    /* the same, of one without, or whose type is a delta */
	bool whole;    /* an answer, or its tokens, of a choice that may have a delta or text */
	bool says;     /* it has text, if only empty */
	bool block;    /* the same, where a block begins */
	bool finished; /* a finish reason is in it */
	bool goes_on;  /* a choice in it is not finished */
	bool failed;   /* an error is in it */
	bool grows;   /* the engine's output counts what the answer holds so far: more is content */
	uint8_t type; /* enum reply_type */
	uint32_t index; /* of the choice or sequence it belongs to */
};

/* The present document. */
struct reply_document {
	struct json *scan;
	struct found found;
	bool begun;	/* bytes of it came */
	bool known;	/* it was read by a shape, as far as it came */
	bool bad;	/* a byte came that is no JSON */
	uint32_t bytes; /* before the first that is no JSON */
	struct token_counts counts;
};

/* What the events that documents of a shape have in common come to, so that each only tells the rest. */
struct note {
	bool made, unfit;
	struct found found;
	const char *model; /* a word that is held; NULL: none is in it */
};

struct reply_reader {
	struct reply_document *spare; /* NULL: it is lent */
	struct json_shapes *shapes;
};

static void document_free(struct reply_document *d)
{
	if (d)
		json_free(d->scan);
	free(d);
}

static struct reply_document *document_new(void)
{
	struct reply_document *d = calloc(1, sizeof(*d));
	if (d)
		d->scan = json_new(reply_fields());
	if (d && d->scan)
		return d;
	document_free(d);
	return NULL;
}

static void drop_note(void *user, void *note)
{
	const struct note *n = note;
	if (n->model)
		words_drop(user, n->model);
}

struct reply_reader *reply_reader_new(struct words *words)
{
	const struct json_shapes_notes notes = {sizeof(struct note), drop_note, words};
	struct reply_reader *reader = calloc(1, sizeof(*reader));
	const struct json_tree *fields = reply_fields();
	if (reader && fields) {
		reader->spare = document_new();
		reader->shapes = json_shapes_new(fields, WANT_FIRST_NAME, &notes);
	}
	if (reader && reader->spare && reader->shapes)
		return reader;
	reply_reader_free(reader);
	return NULL;
}

void reply_reader_free(struct reply_reader *reader)
{
	if (!reader)
		return;
	document_free(reader->spare);
	json_shapes_free(reader->shapes);
	free(reader);
}

/* False without memory. */
static bool open_document(struct reply *r)
{
	if (r->now)
		return true;
	struct reply_reader *reader = server_reader(r->server);
	r->now = reader->spare ? reader->spare : document_new();
	reader->spare = NULL;
	return r->now != NULL;
}

static void forget(struct reply_document *d)
{
	d->found = (struct found){0};
	d->begun = d->known = false;
	d->bytes = 0;
	d->bad = false;
	d->counts.has = 0;
}

static inline void close_document(struct reply *r)
{
	if (!r->now)
		return;
	struct reply_reader *reader = server_reader(r->server);
	if (reader->spare) {
		document_free(r->now);
	} else {
		forget(r->now);
		reader->spare = r->now;
	}
	r->now = NULL;
}

void reply_init(struct reply *r, struct server *server, bool streams)
{
	*r = (struct reply){.server = server, .model = "", .finish_reason = "", .streams = streams};
}

void reply_release(struct reply *r)
{
	close_document(r);
	words_set(server_words(r->server), &r->model, "");
	words_set(server_words(r->server), &r->finish_reason, "");
	tally_release(&r->tally);
}

/* ---- words -------------------------------------------------------------------------------------- */

/* Finish reasons that say the answer failed: vLLM and SGLang `abort` and `error`, LMDeploy
 * `parse_error`, LocalAI's done_reason `error`, Cohere `ERROR`. */
static bool is_failure(struct span reason)
{
	return span_is_nocase(reason, "error") || span_is_nocase(reason, "abort") ||
	       span_is_nocase(reason, "parse_error");
}

static void take_finish(struct reply *r, struct span reason)
{
	if (!reason.len)
		return;
	r->now->found.finished = true;
	char label[LIMIT_FINISH_BYTES];
	server_text_label(reason, label, sizeof(label));
	words_set(server_words(r->server), &r->finish_reason, label);
	r->now->found.failed |= is_failure(reason);
}

/* Of Responses. `incomplete` has its reason in a field of its own, before or behind. */
static void take_status(struct reply *r, struct span status)
{
	if (span_is(status, "failed"))
		r->now->found.failed = true;
	else if (!span_is(status, "completed") && !span_is(status, "cancelled") &&
		 !span_is(status, "requires_action"))
		return;
	take_finish(r, status);
}

static void take_type(struct reply *r, struct span type)
{
	/* Also Cohere v1's text-generation, v2's content-delta and tool-call-start. */
	if (span_ends(type, "delta") || span_is(type, "tool-call-start") ||
	    span_is(type, "text-generation"))
		r->now->found.type = TYPE_DELTA;
	else
		r->now->found.type =
			span_is(type, "content_block_start") || span_is(type, "step.start")
				? TYPE_BLOCK
				: TYPE_OTHER;
	r->now->found.failed |= span_is(type, "error") || span_is(type, "response.failed");
}

/* What llama.cpp and watsonx say in each event but the last. */
static bool is_not_finished(struct span stop)
{
	return span_is(stop, "none") || span_is_nocase(stop, "not_finished");
}

/* Strings that are generated, or may be: of ids before WANT_FIRST_NAME. */
static inline void take_generated(struct found *f, const struct json_event *ev)
{
	switch (ev->id) {
	case WANT_PARTS:
		f->content |= !ev->empty;
		break;
	case WANT_WHOLE:
		f->whole |= !ev->empty;
		break;
	case WANT_TEXT:
		f->says = true;
		f->content |= !ev->empty;
		break;
	case WANT_LOOSE:
		f->loose |= !ev->empty;
		break;
	case WANT_DELTA:
		f->delta |= !ev->empty;
		break;
	case WANT_BLOCK:
		f->block |= !ev->empty;
		break;
	}
}

static void take_text(struct reply *r, const struct json_event *ev)
{
	struct reply_document *d = r->now;
	switch (ev->id) {
	case WANT_BLOCK_TYPE: /* the tool's name is generated: mcp_tool_use, function_call, .. */
		d->found.block |= span_ends(ev->text, "tool_use") || span_ends(ev->text, "_call");
		break;
	case WANT_TYPE:
		take_type(r, ev->text);
		break;
	case WANT_MODEL:
		/* The same on every event of a stream. */
		if (!ev->empty && !span_is(ev->text, r->model))
			server_keep_model(r->server, ev->text, ev->cut, &r->model);
		break;
	case WANT_FINISH:
	case WANT_CHOICE_FINISH:
		take_finish(r, ev->text);
		break;
	case WANT_STOP_TYPE:
		if (!is_not_finished(ev->text))
			take_finish(r, ev->text);
		break;
	case WANT_STATUS:
		take_status(r, ev->text);
		break;
	case WANT_FINGERPRINT:
		server_saw_fingerprint(r->server, ev->text);
		break;
	case WANT_ERROR:
		d->found.failed |= !ev->empty;
		break;
	case WANT_OBJECT:
		d->found.failed |= span_is(ev->text, "error");
		break;
	default:
		take_generated(&d->found, ev);
		break;
	}
}

/* What only one engine writes. */
static void take_mark(struct reply *r, unsigned id)
{
	switch (id) {
	case WANT_MARK_SGLANG:
	case WANT_GROWING_OUTPUT:
		server_saw_mark(r->server, "sglang");
		break;
	case WANT_MARK_TENSORRT:
		server_saw_mark(r->server, "tensorrt-llm");
		break;
	case WANT_MARK_MISTRALRS:
		server_saw_mark(r->server, "mistral.rs");
		break;
	case WANT_MARK_LLAMACPP:
		server_saw_mark(r->server, "llama.cpp");
		break;
	}
}

static void take_number(struct reply *r, const struct json_event *ev)
{
	struct reply_document *d = r->now;
	uint64_t n;
	if (!json_whole(ev->text, &n))
		return;
	if (ev->id >= WANT_COUNT) {
		token_counts_put(&d->counts, (enum token_count)(ev->id - WANT_COUNT), n);
	} else if (ev->id == WANT_GROWING_OUTPUT) {
		token_counts_put(&d->counts, TOKENS_ENGINE_OUTPUT, n);
		d->found.grows = true;
	} else if (ev->id == WANT_INDEX || ev->id == WANT_CHOICE_INDEX) {
		d->found.index = (uint32_t)n;
	}
}

/* ---- events ------------------------------------------------------------------------------------- */

/* The engine's counts of the document so far. Text that grows is content where it did. */
static void end_engine(struct reply *r)
{
	struct reply_document *d = r->now;
	d->found.content |= tally_engine(&r->tally, &d->counts, d->found.index) && d->found.grows;
}

/* All counts of the document; returns the output that they tell. A call, so that a document without any
 * needs nothing for it. */
static __attribute__((noinline)) uint64_t end_counts(struct reply *r)
{
	const struct token_counts *counts = &r->now->counts;
	end_engine(r);
	uint64_t output = tally_usage(&r->tally, counts);
	return output ? output : token_counts_of(counts, TOKENS_ENGINE_OUTPUT);
}

/* An element of a document that is an array: each is an answer of its own, or a part of one. */
static void take_element(struct reply *r, const struct json_event *ev)
{
	uint32_t index = r->now->found.index;
	if (!ev->closes)
		return;
	end_engine(r);
	r->now->counts.has &= (1u << TOKENS_ENGINE_INPUT) - 1;
	r->now->found.index = index + 1;
}

static void take(struct reply *r, const struct json_event *ev)
{
	struct reply_document *d = r->now;
	bool full = ev->closes && !ev->empty;
	if (ev->id >= WANT_MARK_SGLANG && ev->id < WANT_COUNT)
		take_mark(r, ev->id);
	switch (ev->type) {
	case JSON_STRING:
		take_text(r, ev);
		break;
	case JSON_NUMBER:
		take_number(r, ev);
		break;
	case JSON_OBJECT:
	case JSON_ARRAY:
		d->found.content |= ev->id == WANT_PARTS && full;
		d->found.delta |= ev->id == WANT_DELTA_PARTS && full;
		d->found.whole |= ev->id == WANT_WHOLE && full;
		d->found.says |= ev->id == WANT_SAYS;
		d->found.failed |= ev->id == WANT_ERROR;
		if (ev->id == WANT_ELEMENT)
			take_element(r, ev);
		break;
	case JSON_NULL:
		d->found.goes_on |= ev->id == WANT_CHOICE_FINISH;
		break;
	default:
		break;
	}
}

/* ---- documents that are like others ------------------------------------------------------------- */

/* Whether what the event does is done by what is noted of it: in `found`, by the model, or once for the server.
 */
static bool is_foldable(const struct json_event *ev)
{
	if (ev->type != JSON_STRING && ev->type != JSON_NUMBER)
		return ev->id != WANT_ELEMENT;
	switch (ev->id) {
	case WANT_FINISH:
	case WANT_CHOICE_FINISH:
	case WANT_STATUS:
	case WANT_GROWING_OUTPUT:
		return false;
	case WANT_STOP_TYPE:
		return is_not_finished(ev->text);
	}
	return ev->id < WANT_COUNT;
}

/* Whether the document can be told in two parts: what is noted, and strings that are generated. */
static bool is_fit(const struct json_known *k)
{
	for (size_t n = 0; n < k->count; n++) {
		if (!is_foldable(&k->events[n]))
			return false;
	}
	for (size_t n = 0; n < k->open_count; n++) {
		if (k->events[k->open[n]].id >= WANT_FIRST_NAME)
			return false;
	}
	return true;
}

/* Numbers among them say nothing. */
static void take_open(struct reply *r, const struct json_known *k)
{
	for (size_t n = 0; n < k->open_count; n++) {
		const struct json_event *ev = &k->events[k->open[n]];
		if (ev->type == JSON_STRING)
			take_generated(&r->now->found, ev);
	}
}

/* Takes all but the open ones, and notes what they came to. */
static void make_note(struct reply *r, const struct json_known *k, struct note *note)
{
	bool model = false;
	for (size_t n = 0, open = 0; n < k->count; n++) {
		if (open < k->open_count && k->open[open] == n) {
			open++;
			continue;
		}
		take(r, &k->events[n]);
		model |= k->events[n].id == WANT_MODEL && !k->events[n].empty;
	}
	note->found = r->now->found;
	note->model = model ? words_hold(server_words(r->server), r->model) : NULL;
	note->made = !model || *note->model;
	note->unfit = !note->made;
}

static void take_noted(struct reply *r, const struct note *note)
{
	r->now->found = note->found;
	if (note->model && r->model != note->model)
		words_set(server_words(r->server), &r->model, note->model);
}

static void take_known(struct reply *r, const struct json_known *k)
{
	struct note *note = k->note;
	if (note && !note->made && !note->unfit)
		note->unfit = !is_fit(k);
	if (note && note->made) {
		take_noted(r, note);
		take_open(r, k);
	} else if (note && !note->unfit) {
		make_note(r, k, note);
		take_open(r, k);
	} else {
		for (size_t n = 0; n < k->count; n++)
			take(r, &k->events[n]);
	}
}

size_t reply_known(struct reply *r, struct span in)
{
	struct json_known k;
	if (!r->streams || r->now ||
	    !json_shapes_find(server_reader(r->server)->shapes, in, &r->shape, &k))
		return 0;
	if (k.len < in.len && in.at[k.len] != '\n' && in.at[k.len] != '\r')
		return 0;
	if (!open_document(r))
		return 0;
	take_known(r, &k);
	r->now->begun = r->now->known = true;
	r->now->bytes = (uint32_t)k.len;
	return k.len;
}

/* ---- documents ---------------------------------------------------------------------------------- */

static void scan(struct reply *r, struct span bytes)
{
	struct reply_document *d = r->now;
	struct json_event ev;
	size_t len = bytes.len;
	enum step step;
	while ((step = json_next(d->scan, &bytes, &ev)) == STEP_EVENT)
		take(r, &ev);
	d->bytes += (uint32_t)(len - bytes.len);
	/* [DONE] is an array as far as its bracket. */
	if (step == STEP_BAD && !d->bad)
		r->done |= d->bytes == 1 && bytes.len && bytes.at[0] == 'D';
	d->bad |= step == STEP_BAD;
}

bool reply_bytes(struct reply *r, struct span bytes)
{
	if (!open_document(r))
		return false;
	struct reply_document *d = r->now;
	bool first = r->streams && !d->begun;
	if (d->known)
		json_skip_document(d->scan);
	else if (!d->begun)
		json_reset(d->scan);
	d->begun = true;
	d->known = false;
	scan(r, bytes);
	if (first && json_done(d->scan))
		json_shapes_learn(server_reader(r->server)->shapes, bytes);
	return true;
}

bool reply_document_is_whole(const struct reply *r)
{
	return r->now && r->now->begun && (r->now->known || json_done(r->now->scan));
}

void reply_failed(struct reply *r)
{
	if (open_document(r))
		r->now->found.failed = true;
	else
		r->any_failed = true;
}

/* Whether generated material is in the document. */
static bool is_content(const struct found *d)
{
	switch ((enum reply_type)d->type) {
	case TYPE_NONE:
		return d->content || d->delta || (d->loose && !d->grows) || (d->whole && !d->says);
	case TYPE_DELTA:
		return d->content || d->delta || d->loose;
	case TYPE_BLOCK:
		return d->content || d->block;
	case TYPE_OTHER:
		break;
	}
	return d->content;
}

bool reply_end_document(struct reply *r)
{
	const struct reply_document *d = r->now;
	if (!d) /* nothing is in it */
		return false;
	uint64_t output = d->counts.has ? end_counts(r) : 0;
	bool content = is_content(&d->found);
	bool token = content ||
		     (d->found.finished && !d->found.failed && output && !r->content_documents);
	r->any_failed |= d->found.failed;
	r->goes_on |= d->found.goes_on;
	r->content_documents += content;
	close_document(r);
	return token;
}

void reply_drop_document(struct reply *r)
{
	close_document(r);
}

void reply_head(struct reply *r, const struct http_head *head)
{
	static const struct {
		const char *name;
		enum token_count what;
	} fields[] = {
		{"x-prompt-tokens", TOKENS_ENGINE_INPUT},     /* TGI, of what does not stream */
		{"x-generated-tokens", TOKENS_ENGINE_OUTPUT}, /* the same */
		{"x-compute-tokens", TOKENS_ENGINE_INPUT},    /* TEI */
		{"x-amzn-bedrock-input-token-count", TOKENS_ENGINE_INPUT},
		{"x-amzn-bedrock-output-token-count", TOKENS_ENGINE_OUTPUT},
	};
	struct token_counts counts = {0};
	struct span rest = head->fields, name, value;
	uint64_t n;
	while (http_next_field(&rest, &name, &value)) {
		if ((name.at[0] | 0x20) != 'x')
			continue;
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
			if (span_is_nocase(name, fields[i].name) && json_whole(value, &n))
				token_counts_put(&counts, fields[i].what, n);
		}
	}
	tally_engine(&r->tally, &counts, 0);
}
