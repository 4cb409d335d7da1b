#include "agent/export/tree.h"

void *tree_take(struct tree *t, size_t bytes)
{
	void *at = arena_take(&t->arena, bytes);
	if (!at)
		t->no_memory = true;
	return at;
}

char *tree_text(struct tree *t, const char *text)
{
	char *copy = arena_text(&t->arena, text);
	if (!copy)
		t->no_memory = true;
	return copy;
}

static Otlp__AnyValue *add(struct tree *t, struct attributes *a, const char *key)
{
	struct {
		Otlp__KeyValue pair;
		Otlp__AnyValue value;
	} *at = tree_take(t, sizeof(*at));
	if (!at)
		return NULL;
	otlp__key_value__init(&at->pair);
	otlp__any_value__init(&at->value);
	at->pair.key = (char *)key; /* protobuf-c's structs are not const */
	at->pair.value = &at->value;
	a->list[a->count++] = &at->pair;
	return &at->value;
}

void attributes_add_text(struct tree *t, struct attributes *a, const char *key, const char *text)
{
	Otlp__AnyValue *v = add(t, a, key);
	if (!v)
		return;
	v->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	v->string_value = (char *)text;
}

void attributes_add_bool(struct tree *t, struct attributes *a, const char *key, bool value)
{
	Otlp__AnyValue *v = add(t, a, key);
	if (!v)
		return;
	v->value_case = OTLP__ANY_VALUE__VALUE_BOOL_VALUE;
	v->bool_value = value;
}

void attributes_add_number(struct tree *t, struct attributes *a, const char *key, int64_t value)
{
	Otlp__AnyValue *v = add(t, a, key);
	if (!v)
		return;
	v->value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
	v->int_value = value;
}
