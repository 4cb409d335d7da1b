#include "tests/unit/test.h"
#include "agent/export/config.h"

static char warnings[2048];

static void on_warning(void *user, const char *line)
{
	(void)user;
	assert_null(strchr(line, '\n'));
	size_t n = strlen(warnings);
	snprintf(warnings + n, sizeof(warnings) - n, "%s\n", line);
}

static const char *const variables[] = {
	"OTEL_SDK_DISABLED",
	"OTEL_METRICS_EXPORTER",
	"OTEL_METRIC_EXPORT_INTERVAL",
	"OTEL_METRIC_EXPORT_TIMEOUT",
	"OTEL_EXPORTER_OTLP_ENDPOINT",
	"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
	"OTEL_EXPORTER_OTLP_PROTOCOL",
	"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
	"OTEL_EXPORTER_OTLP_HEADERS",
	"OTEL_EXPORTER_OTLP_METRICS_HEADERS",
	"OTEL_EXPORTER_OTLP_TIMEOUT",
	"OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
	"OTEL_EXPORTER_OTLP_COMPRESSION",
	"OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
	"OTEL_EXPORTER_OTLP_CERTIFICATE",
	"OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
	"OTEL_EXPORTER_OTLP_CLIENT_KEY",
	"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
	"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
	"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
	"OTEL_CONFIG_FILE",
	"INFERWIRE_CALL_LOG",
};

static int clear(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	warnings[0] = '\0';
	return 0;
}

static void set(const char *name, const char *value)
{
	setenv(name, value, 1);
}

static struct config good(void)
{
	struct config c;
	char error[256];
	int err = config_read(&c, error, sizeof(error), on_warning, NULL);
	if (err)
		fail_msg("%s", error);
	return c;
}

/* The one line of the error. */
static const char *bad(void)
{
	static char error[256];
	struct config c;
	assert_int_equal(config_read(&c, error, sizeof(error), on_warning, NULL), -EINVAL);
	assert_true(error[0] != '\0');
	assert_null(strchr(error, '\n'));
	return error;
}

static void test_defaults(void **state)
{
	(void)state;
	struct config c = good();
	assert_true(c.to_otlp && !c.to_console && !c.disabled && !c.gzip);
	assert_string_equal(c.metrics_url, "http://localhost:4318/v1/metrics");
	assert_int_equal(c.interval_ms, 60000);
	assert_int_equal(c.export_timeout_ms, 30000);
	assert_int_equal(c.request_timeout_ms, 10000);
	assert_int_equal(c.header_count, 0);
	assert_null(c.call_log);
	assert_string_equal(warnings, "");
	config_release(&c);
}

static void test_urls(void **state)
{
	static const struct {
		const char *base, *metrics, *want;
	} cases[] = {
		{"http://c:4318", NULL, "http://c:4318/v1/metrics"},
		{"http://c:4318/", NULL, "http://c:4318/v1/metrics"},
		{"http://c:4318//", NULL, "http://c:4318/v1/metrics"},
		{"http://c:4318/p", NULL, "http://c:4318/p/v1/metrics"},
		{"http://c:4318/p/", NULL, "http://c:4318/p/v1/metrics"},
		{"http://c:4318/a/../b", NULL, "http://c:4318/a/../b/v1/metrics"},
		{"https://c", NULL, "https://c/v1/metrics"},
		{"HTTP://c:4318", NULL, "http://c:4318/v1/metrics"},
		{"http://[::1]:4318", NULL, "http://[::1]:4318/v1/metrics"},
		{"http://u:p@c:4318", NULL, "http://u:p@c:4318/v1/metrics"},
		{"http://c:4318/p?token=x", NULL, "http://c:4318/p/v1/metrics?token=x"},
		{"http://c:4318/p#part", NULL, "http://c:4318/p/v1/metrics"},
		{"http://h:9090/api/v1/otlp", NULL, "http://h:9090/api/v1/otlp/v1/metrics"},
		{NULL, "http://c:4318", "http://c:4318/"},
		{NULL, "http://c:4318/", "http://c:4318/"},
		{NULL, "http://c:4318/v1/metrics", "http://c:4318/v1/metrics"},
		{NULL, "http://c:4318/p/", "http://c:4318/p/"},
		{"http://base:1", "http://own:2/x", "http://own:2/x"},
		{"no url at all", "http://own:2/x", "http://own:2/x"},
		{"http://base:1", "", "http://base:1/v1/metrics"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		clear(state);
		if (cases[i].base)
			set("OTEL_EXPORTER_OTLP_ENDPOINT", cases[i].base);
		if (cases[i].metrics)
			set("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", cases[i].metrics);
		struct config c = good();
		assert_string_equal(c.metrics_url, cases[i].want);
		config_release(&c);
	}
}

static void test_what_is_no_url(void **state)
{
	static const char *const cases[] = {
		"localhost:4318",
		"c",
		"//c:4318",
		"ftp://c",
		"grpc://c:4317",
		"http://",
		"http:///v1/metrics",
		"http://c:port",
		"http://c:99999",
		"http://a b/",
		":",
		"file:///etc/passwd",
		"unix:///run/otel.sock",
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		clear(state);
		set("OTEL_EXPORTER_OTLP_ENDPOINT", cases[i]);
		assert_non_null(strstr(bad(), "OTEL_EXPORTER_OTLP_ENDPOINT"));
		clear(state);
		set("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", cases[i]);
		assert_non_null(strstr(bad(), "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"));
	}
	clear(state);
	set("OTEL_EXPORTER_OTLP_ENDPOINT", "nohttp://user:secret@c");
	assert_null(strstr(bad(), "secret"));
}

static void test_exporters(void **state)
{
	static const struct {
		const char *value;
		bool otlp, console, disabled;
	} cases[] = {
		{"otlp", true, false, false},
		{"OTLP", true, false, false},
		{"console", false, true, false},
		{"otlp,console", true, true, false},
		{" otlp , console ", true, true, false},
		{"none", false, false, true},
		{"", true, false, false},
		{"none,otlp", true, false, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		clear(state);
		set("OTEL_METRICS_EXPORTER", cases[i].value);
		struct config c = good();
		assert_int_equal(c.to_otlp, cases[i].otlp);
		assert_int_equal(c.to_console, cases[i].console);
		assert_int_equal(c.disabled, cases[i].disabled);
		config_release(&c);
	}
	set("OTEL_METRICS_EXPORTER", "prometheus");
	assert_non_null(strstr(bad(), "OTEL_METRICS_EXPORTER=prometheus"));
	/* Nothing that only OTLP needs stands in the way of the console. */
	set("OTEL_METRICS_EXPORTER", "console");
	set("OTEL_EXPORTER_OTLP_ENDPOINT", "bad");
	struct config c = good();
	config_release(&c);
}

static void test_sdk_disabled(void **state)
{
	(void)state;
	set("OTEL_SDK_DISABLED", "True");
	struct config c = good();
	assert_true(c.disabled);
	config_release(&c);
	set("OTEL_SDK_DISABLED", "1"); /* only `true` is true */
	c = good();
	assert_false(c.disabled);
	assert_non_null(strstr(warnings, "OTEL_SDK_DISABLED=1"));
	config_release(&c);
}

static void test_protocols(void **state)
{
	(void)state;
	set("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
	assert_non_null(strstr(bad(), "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"));
	assert_non_null(strstr(bad(), "write http/protobuf"));
	set("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "HTTP/protobuf"); /* wins */
	struct config c = good();
	config_release(&c);
	set("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json");
	assert_non_null(strstr(bad(), "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/json"));
	set("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "smoke");
	assert_non_null(strstr(bad(), "unknown protocol"));
}

static void test_numbers(void **state)
{
	static const struct {
		const char *value;
		uint32_t want;
		bool warned;
	} cases[] = {
		{"200", 200, false},
		{" 200 ", 200, false},
		{"2147483647", 2147483647, false},
		{"2147483648", 60000, true},
		{"-1", 60000, true},
		{"1.5", 60000, true},
		{"10s", 60000, true},
		{"", 60000, false},
		{"99999999999999999999", 60000, true},
		{"0", 60000, true}, /* not an interval */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		clear(state);
		set("OTEL_METRIC_EXPORT_INTERVAL", cases[i].value);
		struct config c = good();
		assert_int_equal(c.interval_ms, cases[i].want);
		assert_int_equal(warnings[0] != '\0', cases[i].warned);
		config_release(&c);
	}
	clear(state);
	set("OTEL_METRIC_EXPORT_TIMEOUT", "0"); /* no limit */
	set("OTEL_EXPORTER_OTLP_TIMEOUT", "5000");
	struct config c = good();
	assert_int_equal(c.export_timeout_ms, 0);
	assert_int_equal(c.request_timeout_ms, 5000);
	config_release(&c);
	set("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "0");
	c = good();
	assert_int_equal(c.request_timeout_ms, 0);
	config_release(&c);
}

static const char *header(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->header_count; i++)
		if (strcmp(c->headers[i].name, name) == 0)
			return c->headers[i].value;
	return "(none)";
}

static void test_headers(void **state)
{
	(void)state;
	set("OTEL_EXPORTER_OTLP_HEADERS", " api-key = a%20b%3D , x-general=1,x-both=g,empty=");
	set("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "X-Both=m,x-own=2");
	struct config c = good();
	assert_int_equal(c.header_count, 5);
	assert_string_equal(header(&c, "api-key"), "a b=");
	assert_string_equal(header(&c, "x-general"), "1");
	assert_string_equal(header(&c, "X-Both"), "m");
	assert_string_equal(header(&c, "x-own"), "2");
	assert_string_equal(header(&c, "empty"), "");
	assert_string_equal(warnings, "");
	config_release(&c);
}

static void test_headers_that_cannot_be(void **state)
{
	static const char *const cases[] = {
		"hunter2",
		"=hunter2",
		"a=hunter2%",
		"a=hunter2%0d%0aHost:x",
		"a=hunter2%00",
		"a%20b=hunter2",
		"a:b=hunter2",
		"content-type=hunter2",
		"Content-Length=hunter2",
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char list[128];
		clear(state);
		snprintf(list, sizeof(list), "good=1,%s,better=2", cases[i]);
		set("OTEL_EXPORTER_OTLP_HEADERS", list);
		struct config c = good();
		assert_int_equal(c.header_count, 2);
		assert_string_equal(header(&c, "better"), "2");
		assert_non_null(strstr(warnings, "OTEL_EXPORTER_OTLP_HEADERS: pair 2"));
		assert_null(strstr(warnings, "hunter2"));
		config_release(&c);
	}
}

static void test_compression_and_files(void **state)
{
	(void)state;
	set("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
	set("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem");
	set("INFERWIRE_CALL_LOG", "/tmp/calls.jsonl");
	struct config c = good();
	assert_true(c.gzip);
	assert_string_equal(c.ca_file, "/ca.pem");
	assert_string_equal(c.call_log, "/tmp/calls.jsonl");
	config_release(&c);
	set("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "none");
	set("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "/own.pem");
	c = good();
	assert_false(c.gzip);
	assert_string_equal(c.ca_file, "/own.pem");
	config_release(&c);
	set("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "zstd");
	c = good();
	assert_non_null(strstr(warnings, "zstd"));
	config_release(&c);
	set("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem");
	assert_non_null(strstr(bad(), "CLIENT_CERTIFICATE"));
	set("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/cert.pem");
	c = good();
	assert_string_equal(c.client_key, "/key.pem");
	assert_string_equal(c.client_certificate, "/cert.pem");
	config_release(&c);
}

static void test_what_is_not_done_is_said(void **state)
{
	(void)state;
	set("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta");
	set("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
	    "base2_exponential_bucket_histogram");
	set("OTEL_CONFIG_FILE", "/etc/otel.yaml");
	struct config c = good();
	assert_non_null(strstr(warnings, "only cumulative"));
	assert_non_null(strstr(warnings, "only explicit_bucket_histogram"));
	assert_non_null(strstr(warnings, "OTEL_CONFIG_FILE"));
	config_release(&c);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, clear)
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_urls),
		TEST(test_what_is_no_url),
		TEST(test_exporters),
		TEST(test_sdk_disabled),
		TEST(test_protocols),
		TEST(test_numbers),
		TEST(test_headers),
		TEST(test_headers_that_cannot_be),
		TEST(test_compression_and_files),
		TEST(test_what_is_not_done_is_said),
	};
	return cmocka_run_group_tests_name("export/config", tests, NULL, NULL);
}
