#include "tests/unit/test.h"
#include "agent/export/resource.h"

#include <unistd.h>

static struct process process_of(const char *service_name, const char *attributes)
{
	struct process p = {.pid = 4711, .program = "vllm"};
	snprintf(p.service_name, sizeof(p.service_name), "%s", service_name);
	snprintf(p.resource_attributes, sizeof(p.resource_attributes), "%s", attributes);
	return p;
}

static const struct resource_attribute *find(const struct resource *r, const char *key)
{
	const struct resource_attribute *found = NULL;
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->attributes[i].key, key) == 0) {
			assert_null(found); /* no key twice */
			found = &r->attributes[i];
		}
	return found;
}

static const char *text_of(const struct resource *r, const char *key)
{
	const struct resource_attribute *a = find(r, key);
	return a && a->text ? a->text : "(none)";
}

static void test_what_is_detected(void **state)
{
	(void)state;
	struct process p = process_of("", "");
	struct resource r;
	char host[256] = "";
	gethostname(host, sizeof(host) - 1);
	assert_int_equal(resource_init(&r, &p, "id-1"), 0);
	assert_string_equal(text_of(&r, "service.name"), "unknown_service:vllm");
	assert_string_equal(text_of(&r, "service.instance.id"), "id-1");
	assert_string_equal(text_of(&r, "process.executable.name"), "vllm");
	assert_string_equal(text_of(&r, "host.name"), host);
	assert_string_equal(text_of(&r, "telemetry.sdk.name"), "inferwire");
	assert_string_equal(text_of(&r, "telemetry.sdk.language"), "c");
	assert_string_equal(text_of(&r, "telemetry.sdk.version"), INFERWIRE_VERSION);
	const struct resource_attribute *pid = find(&r, "process.pid");
	assert_non_null(pid);
	assert_null(pid->text);
	assert_int_equal(pid->number, 4711);
	assert_int_equal(r.count, 8);
	resource_release(&r);
}

static void test_who_wins(void **state)
{
	(void)state;
	static const struct {
		const char *service_name, *attributes, *key, *want;
	} cases[] = {
		{"", "service.name=listed", "service.name", "listed"},
		{"named", "service.name=listed", "service.name", "named"},
		{"named", "", "service.name", "named"},
		{"", "host.name=elsewhere", "host.name", "elsewhere"},
		{"", "service.instance.id=mine", "service.instance.id", "mine"},
		{"", "process.pid=one", "process.pid", "one"},
		{"", "team=a%20b%2Cc", "team", "a b,c"},
		{"", "te%61m=x", "team", "x"},
		{"", "team=x,team=y", "team", "y"},
		{"", " team = x , b=c", "team", "x"},
		{"", "team=", "team", ""},
		{"", "team=a\xff", "team", "a\xef\xbf\xbd"},
		{"bad\xff", "", "service.name", "bad\xef\xbf\xbd"},
		/* On any error all of it is discarded. */
		{"", "team=x,bad", "team", "(none)"},
		{"", "team=x,bad=%zz", "team", "(none)"},
		{"", "team=x,=y", "team", "(none)"},
		{"", "service.name=listed,bad", "service.name", "unknown_service:vllm"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct process p = process_of(cases[i].service_name, cases[i].attributes);
		struct resource r;
		assert_int_equal(resource_init(&r, &p, "id"), 0);
		assert_string_equal(text_of(&r, cases[i].key), cases[i].want);
		resource_release(&r);
	}
}

static void test_a_program_without_a_name(void **state)
{
	(void)state;
	struct process p = process_of("", "");
	struct resource r;
	p.program[0] = '\0';
	assert_int_equal(resource_init(&r, &p, "id"), 0);
	assert_string_equal(text_of(&r, "service.name"), "unknown_service");
	assert_null(find(&r, "process.executable.name"));
	resource_release(&r);
}

static void test_whether_the_list_is_readable_can_be_asked(void **state)
{
	(void)state;
	assert_true(resource_text_readable(""));
	assert_true(resource_text_readable("a=b,c=%20"));
	assert_false(resource_text_readable("a=b,c"));
	assert_false(resource_text_readable("a=%2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_detected),
		cmocka_unit_test(test_who_wins),
		cmocka_unit_test(test_a_program_without_a_name),
		cmocka_unit_test(test_whether_the_list_is_readable_can_be_asked),
	};
	return cmocka_run_group_tests_name("export/resource", tests, NULL, NULL);
}
