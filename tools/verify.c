/*
 * inferwire verify: the whole way of a number, on this machine.
 *
 *   client (here) ---HTTP---> server (this program, started anew, with the library preloaded)
 *                               |  ring, in a private directory
 *                               v
 *   receiver (here) <--OTLP-- agent, which the library started
 *
 * The checks come in the order of the way; the first that fails says where it is broken, and those
 * after it are not tried.
 */
#include "tools/command.h"

#include "tools/places.h"
#include "tools/rings.h"
#include "tools/verify_client.h"
#include "tools/verify_endpoint.h"
#include "tools/verify_process.h"
#include "tools/verify_receiver.h"
#include "tools/verify_script.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP_MS	       20
#define AGENT_START_MS 3000
#define EXPORT_MS      5000
#define AGENT_END_MS   5000
/* What scheduling on a busy machine may add to a time that was scripted. */
#define SLACK_S 1.0
/* The server's clock and ours are the same; what is left is the time between two reads of it. */
#define CLOCK_S 0.005

struct verify {
	struct places places;
	char directory[PLACES_PATH_BYTES];
	struct receiver receiver;
	bool receiving;
	struct verify_process server;
	struct verify_answer stream, whole, error;
	struct otlp_tally tally;
	char text[2 * PLACES_PATH_BYTES]; /* what the check at hand has to say */
};

static bool say(struct verify *v, bool holds, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool say(struct verify *v, bool holds, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(v->text, sizeof(v->text), format, args);
	va_end(args);
	return holds;
}

static bool check_library(struct verify *v)
{
	char error[sizeof(v->text)];
	if (places_check_library(&v->places, error, sizeof(error)) != 0)
		return say(v, false, "%s", error);
	return say(v, true, "%s", v->places.library);
}

static bool check_agent(struct verify *v)
{
	if (!v->places.agent[0])
		return say(v, false, "no inferwire-agent beside %s; install it there",
			   v->places.library);
	return say(v, true, "%s", v->places.agent);
}

/* Where the rings would be made, so that the same file system is tried. */
static bool check_directory(struct verify *v)
{
	char rings[PLACES_PATH_BYTES - 32];
	const char *told = getenv("INFERWIRE_DIR");
	rings_directory(rings, sizeof(rings));
	if (!told || !told[0])
		*strrchr(rings, '/') = '\0';
	snprintf(v->directory, sizeof(v->directory), "%s/inferwire-verify-XXXXXX", rings);
	if (!mkdtemp(v->directory)) {
		int error = errno;
		v->directory[0] = '\0';
		return say(v, false,
			   "cannot make a directory in %s: %s; set INFERWIRE_DIR to one of this "
			   "user's",
			   rings, strerror(error));
	}
	return say(v, true, "%s", v->directory);
}

static const char stream_body[] =
	"{\"model\":\"" SCRIPT_MODEL "\"," SCRIPT_STREAM_MARK
	",\"stream_options\":{\"include_usage\":true},\"messages\":[{\"role\":\"user\","
	"\"content\":\"Say token.\"}]}";
static const char whole_body[] =
	"{\"model\":\"" SCRIPT_MODEL "\",\"messages\":[{\"role\":\"user\",\"content\":\"Say "
	"token.\"}]}";
static const char error_body[] = "{\"model\":\"" SCRIPT_MODEL "\"," SCRIPT_ERROR_MARK "}";

/* Whether all three calls were answered as scripted. */
static bool make_calls(struct verify *v)
{
	static const struct {
		const char *name, *body, *ending;
		int status;
	} calls[] = {
		{"streamed", stream_body, "[DONE]\n\n\r\n0\r\n\r\n", 200},
		{"whole", whole_body, "}}", 200},
		{"refused", error_body, "}}", SCRIPT_ERROR_STATUS},
	};
	struct verify_answer *answers[] = {&v->stream, &v->whole, &v->error};
	for (size_t i = 0; i < 3; i++) {
		struct verify_answer *a = answers[i];
		int ret = verify_call(v->server.port, calls[i].body, a);
		if (ret < 0)
			return say(v, false, "the %s call failed: %s", calls[i].name,
				   strerror(-ret));
		size_t len = strlen(a->text), end = strlen(calls[i].ending);
		if (a->status != calls[i].status || len < end ||
		    strcmp(a->text + len - end, calls[i].ending) != 0)
			return say(v, false,
				   "the %s call was answered otherwise: status %d, %zu bytes",
				   calls[i].name, a->status, len);
	}
	return say(v, true, "a streamed, a whole and a refused answer, as the server meant them");
}

static bool start_server(struct verify *v, int collector_port)
{
	int ret = verify_process_start(&v->server, &v->places, v->directory, collector_port);
	if (ret < 0)
		return say(v, false, "the test server did not start: %s", strerror(-ret));
	if (!verify_process_has_loaded(&v->server, v->places.library))
		return say(v, false,
			   "the loader did not preload %s; is it readable, and on a file system "
			   "mounted without noexec?",
			   v->places.library);
	return true;
}

static bool check_inert(struct verify *v)
{
	struct rings rings;
	if (!start_server(v, 0) || !make_calls(v))
		return false;
	rings_count(v->directory, &rings);
	bool agent = rings_agent_runs(v->directory);
	verify_process_stop(&v->server);
	if (rings.living + rings.dead + rings.foreign > 0 || agent)
		return say(v, false, "the library was not enabled and yet made %s",
			   agent ? "an agent" : "a ring");
	return say(v, true, "loaded but not enabled: no ring, no agent, the same answers");
}

static bool check_ring(struct verify *v)
{
	struct rings rings;
	int ret = receiver_start(&v->receiver);
	if (ret < 0)
		return say(v, false, "cannot receive on 127.0.0.1: %s", strerror(-ret));
	v->receiving = true;
	if (!start_server(v, v->receiver.port))
		return false;
	rings_count(v->directory, &rings);
	if (rings.living != 1)
		return say(v, false,
			   "the server listens and has no ring in %s; is there space (df), and is "
			   "/proc mounted?",
			   v->directory);
	return say(v, true, "made when the server listened");
}

static bool check_agent_runs(struct verify *v)
{
	for (int ms = 0; ms < AGENT_START_MS; ms += STEP_MS) {
		if (rings_agent_runs(v->directory))
			return say(v, true, "started by the library, holds the directory");
		poll(NULL, 0, STEP_MS);
	}
	return say(v, false, "it does not run; try: INFERWIRE_DIR=%s %s", v->directory,
		   v->places.agent);
}

static bool check_calls(struct verify *v)
{
	return make_calls(v);
}

static double requests_received(struct verify *v, const char *status)
{
	double count, sum;
	otlp_tally_sum(&v->tally,
		       (struct tally_filter){"llama_stack.inference.requests_total", status, -1},
		       &count, &sum);
	return sum;
}

/* The server's end comes first: so the export at the end of a process is what is proved. */
static bool check_export(struct verify *v)
{
	char complaint[160];
	verify_process_stop(&v->server);
	for (int ms = 0;; ms += STEP_MS) {
		receiver_read(&v->receiver, &v->tally, complaint, sizeof(complaint));
		if (complaint[0])
			return say(v, false, "%s", complaint);
		if (requests_received(v, NULL) >= 3)
			break;
		if (ms >= EXPORT_MS)
			return say(v, false,
				   "%u OTLP requests came, with %.0f of 3 calls; see %s/agent.log",
				   v->tally.requests, requests_received(v, NULL), v->directory);
		poll(NULL, 0, STEP_MS);
	}
	return say(v, true, "%u OTLP requests came, %zu series", v->tally.requests, v->tally.count);
}

/* What the series of a metric must add up to. */
struct expectation {
	struct tally_filter of;
	size_t series;
	double count;
	double at_least, at_most; /* of the sum */
};

static bool check_expectation(struct verify *v, const struct expectation *e)
{
	double count, sum;
	size_t series = otlp_tally_sum(&v->tally, e->of, &count, &sum);
	if (series == e->series && count == e->count && sum >= e->at_least && sum <= e->at_most)
		return true;
	return say(v, false, "%s%s%s: %zu series, count %g, sum %g; not %zu, %g and %g to %g",
		   e->of.metric, e->of.status ? " " : "", e->of.status ? e->of.status : "", series,
		   count, sum, e->series, e->count, e->at_least, e->at_most);
}

#define METRIC(name) "llama_stack.inference." name

static bool check_numbers(struct verify *v)
{
	const double stream_s = SCRIPT_STREAM_INFERENCE_MS / 1e3,
		     whole_s = SCRIPT_WHOLE_PAUSE_MS / 1e3;
	const double first_s = SCRIPT_STREAM_FIRST_MS / 1e3;
	const double client_s = v->stream.whole_s + v->whole.whole_s;
	const double rate = SCRIPT_STREAM_TOKENS / stream_s + SCRIPT_WHOLE_TOKENS / whole_s;
	const double slow_rate = SCRIPT_STREAM_TOKENS / (v->stream.whole_s + CLOCK_S) +
				 SCRIPT_WHOLE_TOKENS / (v->whole.whole_s + CLOCK_S);
	const struct expectation expected[] = {
		{{METRIC("requests_total"), "success", 1}, 1, 1, 1, 1},
		{{METRIC("requests_total"), "success", 0}, 1, 1, 1, 1},
		{{METRIC("requests_total"), "error", 0}, 1, 1, 1, 1},
		{{METRIC("requests_total"), NULL, -1}, 3, 3, 3, 3},
		{{METRIC("request_duration_seconds"), NULL, -1},
		 3,
		 3,
		 stream_s + whole_s,
		 client_s + v->error.whole_s + SLACK_S},
		{{METRIC("inference_duration_seconds"), NULL, -1},
		 2,
		 2,
		 stream_s + whole_s,
		 client_s + CLOCK_S},
		{{METRIC("time_to_first_token_seconds"), NULL, -1},
		 1,
		 1,
		 first_s,
		 v->stream.first_token_s + CLOCK_S},
		{{METRIC("tokens_per_second"), NULL, -1}, 2, 2, slow_rate, rate},
	};
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		if (!check_expectation(v, &expected[i]))
			return false;
	}
	double open, sum;
	size_t series = otlp_tally_sum(
		&v->tally, (struct tally_filter){METRIC("concurrent_requests"), NULL, -1}, &open,
		&sum);
	if (series == 0 || sum != 0)
		return say(v, false, METRIC("concurrent_requests") ": %zu series, sum %g; not 0",
			   series, sum);
	return say(v, true, "all six metrics say what was sent; first token after %.0f ms",
		   v->stream.first_token_s * 1e3);
}

static bool check_end(struct verify *v)
{
	struct rings rings;
	for (int ms = 0; ms < AGENT_END_MS; ms += STEP_MS) {
		rings_count(v->directory, &rings);
		if (rings.dead + rings.living == 0 && !rings_agent_runs(v->directory))
			return say(v, true, "the agent ended by itself, no ring is left");
		poll(NULL, 0, STEP_MS);
	}
	return say(v, false,
		   "the server is gone; %u rings are left, the agent %s; see %s/agent.log",
		   rings.dead + rings.living,
		   rings_agent_runs(v->directory) ? "still runs" : "is gone", v->directory);
}

static bool check_endpoint(struct verify *v)
{
	return verify_endpoint(v->text, sizeof(v->text));
}

static const struct check {
	const char *name;
	bool (*holds)(struct verify *v);
} checks[] = {
	{"library", check_library}, {"agent", check_agent},	  {"directory", check_directory},
	{"inert", check_inert},	    {"ring", check_ring},	  {"start", check_agent_runs},
	{"calls", check_calls},	    {"export", check_export},	  {"numbers", check_numbers},
	{"end", check_end},	    {"endpoint", check_endpoint},
};

static void remove_directory(const char *path)
{
	DIR *d = opendir(path);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));)
		unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	rmdir(path);
}

static void print_help(void)
{
	puts("Usage: inferwire verify\n"
	     "\n"
	     "Proves that this installation works on this machine: watches a small server of its "
	     "own,\n"
	     "receives its metrics and compares them with what was sent. Takes at most 15 "
	     "seconds.\n"
	     "An endpoint named by OTEL_EXPORTER_OTLP_ENDPOINT is sent one request without "
	     "metrics.\n"
	     "\n"
	     "EXAMPLES\n"
	     "  inferwire verify\n"
	     "  OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 inferwire verify");
}

int command_verify(int argc, char **argv)
{
	static struct verify v;
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		print_help();
		return EXIT_SUCCESS;
	}
	if (argc > 1) {
		fprintf(stderr,
			"inferwire verify: unknown argument %s; see `inferwire verify --help`\n",
			argv[1]);
		return EXIT_USAGE;
	}
	places_find(&v.places);
	bool all_hold = true;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if (!all_hold) {
			printf("-     %-10s not tried\n", checks[i].name);
			continue;
		}
		all_hold = checks[i].holds(&v);
		printf("%-5s %-10s %s\n", all_hold ? "ok" : "FAIL", checks[i].name, v.text);
		fflush(stdout);
	}
	verify_process_stop(&v.server);
	if (v.receiving)
		receiver_stop(&v.receiver);
	/* Kept where it helps to find out. */
	if (v.directory[0] && all_hold)
		remove_directory(v.directory);
	return all_hold ? EXIT_SUCCESS : EXIT_FAILURE;
}
