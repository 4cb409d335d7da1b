/* The keys are documented in inferwire.1; a key that is there stays, with its meaning. */
#include "tools/check.h"

#include <string.h>

/* A path may hold any bytes but NUL; JSON is UTF-8. What is none is shown with its bad bytes as "?". */
json_t *check_text(const char *value)
{
	if (!value || !value[0])
		return json_null();
	json_t *string = json_string(value);
	if (string)
		return string;
	char copy[PLACES_PATH_BYTES];
	size_t n = strlen(value);
	n = n < sizeof(copy) ? n : sizeof(copy) - 1;
	for (size_t i = 0; i < n; i++)
		copy[i] = value[i] & 0x80 ? '?' : value[i];
	return json_stringn(copy, n);
}

static const char *reason(const struct observe *o)
{
	static const char *const names[] = {
		[OBSERVE_MACHINE] = "architecture", [OBSERVE_GO] = "go",
		[OBSERVE_STATIC] = "static",	    [OBSERVE_SECURE] = "secure-execution",
		[OBSERVE_LOST] = "interpreter",	    [OBSERVE_DAMAGED] = "damaged",
		[OBSERVE_UNKNOWN] = "not-elf",
	};
	return names[o->reason];
}

static json_t *libc(const struct check *c)
{
	static const char *const names[] = {
		[CHECK_LIBC_NONE] = "none",
		[CHECK_LIBC_GLIBC] = "glibc",
		[CHECK_LIBC_MUSL] = "musl",
		[CHECK_LIBC_OTHER] = "other",
	};
	return c->seen.is_elf ? check_text(names[check_libc(c)]) : json_null();
}

static json_t *hooks(const struct check *c)
{
	json_t *list = json_array();
	for (size_t i = 0; i < c->hook_count; i++) {
		if (c->hooks[i].binds)
			json_array_append_new(list, check_text(c->hooks[i].name));
	}
	return list;
}

static json_t *libraries(const struct check *c, bool found)
{
	json_t *list = json_array();
	for (size_t i = 1; i < c->needed.count; i++) {
		const struct needed_object *o = &c->needed.objects[i];
		if (found ? o->path != NULL : check_is_missing(c, o))
			json_array_append_new(list, check_text(found ? needed_path(o) : o->name));
	}
	return list;
}

static json_t *tls(const struct check *c)
{
	json_t *list = json_array();
	for (size_t i = 0; i < c->tls_count; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:o}", "implementation", c->tls[i].name,
						"file", check_text(c->tls[i].path)));
	return json_pack("{s:o, s:o}", "readable", check_text(check_shared_tls(c)), "unreadable",
			 list);
}

static json_t *warnings(const struct check *c)
{
	json_t *list = json_array();
	for (size_t i = 0; i < c->warning_count; i++)
		json_array_append_new(list, check_text(c->warnings[i]));
	return list;
}

static json_t *python(const struct check *c)
{
	if (!c->module[0])
		return json_null();
	return json_pack("{s:o, s:o}", "module", check_text(c->module), "path",
			 check_text(c->module_path));
}

json_t *check_json(const struct check *c)
{
	const struct observe *o = &c->seen;
	const char *glibc = c->needed.count ? c->needed.objects[0].link.glibc : NULL;
	const struct {
		const char *key;
		json_t *value;
	} members[] = {
		{"observable", json_boolean(o->reason == OBSERVE_FINE)},
		{"reason", check_text(reason(o))},
		{"obstacle", check_text(o->obstacle)},
		{"command", check_text(o->command)},
		{"script", check_text(o->script)},
		{"program", check_text(o->program)},
		{"python", python(c)},
		{"machine",
		 o->is_elf ? check_text(elf_machine_name(o->facts.machine)) : json_null()},
		{"bits", o->is_elf ? json_integer(o->facts.class * 32) : json_null()},
		{"libc", libc(c)},
		{"glibc_needed", check_text(glibc)},
		{"loader", check_text(o->facts.loader)},
		{"libraries", libraries(c, true)},
		{"libraries_missing", libraries(c, false)},
		{"hooks", hooks(c)},
		{"loads_more", json_boolean(c->loads_more)},
		{"tls", tls(c)},
		{"warnings", warnings(c)},
	};
	json_t *object = json_object();
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		json_object_set_new(object, members[i].key, members[i].value);
	return object;
}
