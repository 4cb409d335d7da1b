/*
 * json_trace.h - the JSON scanner's events as text: the id of a path, and then
 *     "text"   a string, ~ behind it if it was cut        #12.5   a number
 *     t f n    a literal                                  { } [ ]  a container, }0 ]0 an empty one
 * and at the end of the input " whole", " part" or " bad".
 */
#ifndef TESTS_BODY_JSON_TRACE_H
#define TESTS_BODY_JSON_TRACE_H

#include "tests/unit/pieces.h"

#include "agent/body/json.h"

static struct json *json_traced; /* set by the test */
static bool json_traced_bad;

static void json_trace_begin(struct trace *t)
{
	(void)t;
	json_traced_bad = false;
	json_reset(json_traced);
}

static void json_trace_event(struct trace *t, const struct json_event *ev)
{
	char id[8];
	snprintf(id, sizeof(id), " %u", ev->id);
	trace_str(t, id);
	assert_true(ev->text.len <= LIMIT_JSON_TEXT_BYTES);
	switch (ev->type) {
	case JSON_STRING:
		assert_true(!ev->empty || !ev->text.len);
		trace_str(t, ev->empty ? "\"" : "\"'");
		trace_put(t, ev->text);
		trace_str(t, ev->cut ? "\"~" : "\"");
		return;
	case JSON_NUMBER:
		trace_str(t, "#");
		trace_put(t, ev->text);
		trace_str(t, ev->cut ? "~" : "");
		return;
	case JSON_TRUE:
		trace_str(t, "t");
		return;
	case JSON_FALSE:
		trace_str(t, "f");
		return;
	case JSON_NULL:
		trace_str(t, "n");
		return;
	case JSON_OBJECT:
		trace_str(t, ev->closes ? "}" : "{");
		break;
	case JSON_ARRAY:
		trace_str(t, ev->closes ? "]" : "[");
		break;
	}
	assert_true(!ev->empty || ev->closes);
	trace_str(t, ev->empty ? "0" : "");
}

static void json_trace_take(struct trace *t, struct span piece)
{
	struct json_event ev;
	enum step step;
	while ((step = json_next(json_traced, &piece, &ev)) == STEP_EVENT) {
		assert_false(json_traced_bad);
		json_trace_event(t, &ev);
	}
	assert_true(step == STEP_BAD || !piece.len);
	assert_true(!json_traced_bad || step == STEP_BAD);
	json_traced_bad = step == STEP_BAD;
}

static void json_trace_end(struct trace *t)
{
	bool done = json_done(json_traced);
	assert_false(done && json_traced_bad);
	trace_str(t, json_traced_bad ? " bad" : done ? " whole" : " part");
}

static const struct subject json_subject = {json_trace_begin, json_trace_take, json_trace_end};

#endif
