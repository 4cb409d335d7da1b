#include "agent/status_file.h"

#include "agent/base/utf8.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#define STATUS_FILE_NEW "status.json.new"

static json_t *text(const char *from)
{
	char valid[256];
	utf8_copy(span_str(from), valid, sizeof(valid));
	return json_string(valid);
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *describe_connections(const struct watch_stats *s)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "connections",
			 number(s->flow.live), "connections_total", number(s->flow.opened), "http",
			 number(s->flow.http), "tls", number(s->flow.tls), "encrypted",
			 number(s->flow.encrypted), "opaque", number(s->flow.opaque), "unseen",
			 number(s->unseen.not_seen + s->flow.hidden), "unseen_io_uring",
			 number(s->unseen.io_uring), "unwatched", number(s->unwatched));
}

static json_t *describe_process(struct watch *w)
{
	const struct process *p = watch_process(w);
	struct watch_stats s = watch_stats(w);
	json_t *counts = describe_connections(&s);
	json_t *process = json_pack(
		"{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "pid", number(p->pid), "program",
		text(p->program), "service", text(p->service_name), "records",
		number(s.flow.records), "dropped", number(s.dropped_records + s.skipped),
		"dropped_bytes", number(s.dropped_bytes), "calls", number(s.calls_ended),
		"calls_started", number(s.calls_started), "calls_lost", number(s.calls_lost));
	json_object_update(process, counts);
	json_decref(counts);
	return process;
}

static json_t *describe_export(struct exporter *exporter)
{
	struct exporter_stats s = {0};
	if (exporter)
		exporter_stats(exporter, &s);
	return json_pack("{s:o,s:o,s:o,s:o,s:o}", "exported_points", number(s.exported_points),
			 "failed_points", number(s.failed_points), "requests", number(s.requests),
			 "retries", number(s.retries), "last_error", text(s.last_error));
}

static void replace(int dir_fd, const char *json)
{
	size_t n = strlen(json);
	int fd = openat(dir_fd, STATUS_FILE_NEW,
			O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	bool whole = write(fd, json, n) == (ssize_t)n;
	close(fd);
	if (!whole || renameat(dir_fd, STATUS_FILE_NEW, dir_fd, STATUS_FILE_NAME) != 0)
		unlinkat(dir_fd, STATUS_FILE_NEW, 0);
}

void status_file_write(int dir_fd, uint64_t uptime_ns, struct exporter *exporter,
		       struct watch *const *watches, size_t count)
{
	json_t *processes = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(processes, describe_process(watches[i]));
	json_t *status =
		json_pack("{s:{s:i,s:s,s:o},s:o,s:o}", "agent", "pid", (int)getpid(), "version",
			  INFERWIRE_VERSION, "uptime_seconds", number(uptime_ns / 1000000000u),
			  "export", describe_export(exporter), "processes", processes);
	char *json = status ? json_dumps(status, JSON_COMPACT) : NULL;
	if (json)
		replace(dir_fd, json);
	free(json);
	json_decref(status);
}
