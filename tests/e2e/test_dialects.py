"""Dialects and INFERWIRE_ENDPOINTS, from the bytes of a real server to the call log."""

import sys

import client
import harness
from otlp_receiver import OtlpReceiver

FORM = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n'
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n--b--\r\n'
)
ENDPOINTS = "/my/chat=chat_completion, /v3/*/gen=completion,/generate=none,/odd,/x=chat"


def server() -> harness.Server:
    port = harness.free_port()
    command = [sys.executable, str(harness.SERVERS / "dialects.py"), str(port)]
    return harness.Server("dialects", command, port, "scripted", is_scripted=True)


def post(address: client.Address, path: str, body: bytes, content_type: str = "application/json") -> None:
    connection = client.Connection(address)
    assert connection.call(client.request("POST", path, body, {"content-type": content_type})).status == 200
    connection.close()


def test_dialects_and_configured_endpoints(watch, way, receiver: OtlpReceiver) -> None:
    run = watch(server()).start(way, receiver.endpoint, INFERWIRE_ENDPOINTS=ENDPOINTS)
    address = run.server.address
    post(address, "/api/chat", b'{"model":"llama3","messages":[{"role":"user","content":"x"}]}')
    post(address, "/v1/messages", b'{"model":"claude","messages":[{"role":"user","content":"x"}],"stream":true}')
    post(address, "/v1/audio/transcriptions", FORM, "multipart/form-data; boundary=b")
    post(address, "/my/chat", b'{"model":"m"}')
    post(address, "/generate", b'{"inputs":"x"}')
    post(address, "/v3/m/gen", b'{"model":"m"}')
    harness.wait_for("five calls", lambda: len(run.calls()) >= 5)
    run.stop()
    told = ("path", "endpoint_type", "model", "stream", "input_tokens", "output_tokens", "cached_tokens")
    calls = sorted(run.calls(), key=lambda call: call["arrived_ns"])
    assert [[call[name] for name in told] for call in calls] == [
        ["/api/chat", "chat_completion", "llama3", True, 4, 2, None],
        ["/v1/messages", "message", "claude", True, 12, 3, 7],
        ["/v1/audio/transcriptions", "transcription", "whisper", False, 14, 2, None],
        ["/my/chat", "chat_completion", "m", False, 1, 9, None],
        ["/v3/m/gen", "completion", "m", False, None, None, None],
    ]
    log = (run.directory / "agent.log").read_text()
    assert log.count("INFERWIRE_ENDPOINTS") == 2, log
    assert "\"/odd\" is left out: it has no '='" in log and '"/x=chat" is left out: its type' in log
