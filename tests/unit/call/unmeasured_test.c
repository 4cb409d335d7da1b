/* Inference that is seen and not measured: gRPC and WebSocket. */
#include "tests/unit/call/streams.h"

static unsigned unmeasured[CALL_UNMEASURED_COUNT];

static void count_unmeasured(void *user, enum call_unmeasured how)
{
	(void)user;
	unmeasured[how]++;
}

static void grpc(uint32_t stream, const char *method, const char *path, const char *type)
{
	char fields[256];
	snprintf(fields, sizeof(fields), ":method: %s\n:path: %s\ncontent-type: %s\n", method, path,
		 type);
	frames_head(&in, stream, 0, fields);
	send(&in, SESSION_IN);
}

static void test_grpc_is_seen_and_not_measured(void **state)
{
	(void)state;
	sink.unmeasured = count_unmeasured;
	memset(unmeasured, 0, sizeof(unmeasured));
	grpc(1, "POST", "/inference.GRPCInferenceService/ModelInfer", "application/grpc");
	grpc(3, "POST", "/inference.GRPCInferenceService/ModelStreamInfer",
	     "application/grpc+proto");
	grpc(5, "POST", "/inference.GRPCInferenceService/ServerLive", "application/grpc");
	grpc(7, "POST", "/inference.GRPCInferenceService/ModelInfer", "application/json");
	grpc(9, "GET", "/inference.GRPCInferenceService/ModelInfer", "application/grpc");
	assert_int_equal(unmeasured[CALL_UNMEASURED_GRPC], 2);
	assert_int_equal(book.started, 0);
}

static void websocket(const char *path, const char *upgrade)
{
	session_free(session);
	session = session_new(server);
	text(SESSION_IN, "GET ");
	text(SESSION_IN, path);
	text(SESSION_IN, " HTTP/1.1\r\nupgrade: websocket\r\n\r\n");
	text(SESSION_OUT, "HTTP/1.1 101 Switching\r\nupgrade: ");
	text(SESSION_OUT, upgrade);
	text(SESSION_OUT, "\r\n\r\n\x81\x02hi");
}

static void test_websocket_is_seen_and_not_measured(void **state)
{
	(void)state;
	sink.unmeasured = count_unmeasured;
	memset(unmeasured, 0, sizeof(unmeasured));
	websocket("/v1/realtime?model=m", "WebSocket");
	assert_int_equal(unmeasured[CALL_UNMEASURED_WEBSOCKET], 1);
	websocket("/queue/join", "websocket");
	websocket("/v1/realtime", "other");
	assert_int_equal(unmeasured[CALL_UNMEASURED_WEBSOCKET], 1);
	sink.unmeasured = NULL;
	websocket("/v1/realtime", "websocket");
	assert_int_equal(book.started, 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, streams_set_up, streams_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_grpc_is_seen_and_not_measured),
		TEST(test_websocket_is_seen_and_not_measured),
	};
	return cmocka_run_group_tests_name("call/unmeasured", tests, NULL, NULL);
}
