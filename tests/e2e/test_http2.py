"""HTTP/2 with prior knowledge and over TLS: many calls side by side on each connection."""

import json
import subprocess
from pathlib import Path

import client_http2
import harness
import judge
import load
import pytest
import runtimes
from otlp_receiver import OtlpReceiver


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_numbers_are_the_clients(watch, tmp_path: Path, receiver: OtlpReceiver, tls: bool) -> None:
    server = runtimes.tls("hypercorn", tmp_path) if tls else runtimes.plain("hypercorn")
    # hypercorn closes the whole connection when an application breaks off, whatever else goes over it.
    plan = [call for call in load.scripted_plan(300, seed=9 + tls) if call.error != "truncated"]
    run = watch(server).start(harness.preloaded, receiver.endpoint)
    outcomes = client_http2.run(run.server.address, plan)
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")


BODY = {"model": "tiny-a", "stream": True, "script": {"events": 5, "usage": True}}


def test_h2load(watch, tmp_path: Path, receiver: OtlpReceiver) -> None:
    """nghttp2's own client, ten calls at a time on each of four connections."""
    body = tmp_path / "body.json"
    body.write_text(json.dumps(BODY | {"stream_options": {"include_usage": True}}))
    run = watch(runtimes.plain("hypercorn")).start(harness.preloaded, receiver.endpoint)
    url = f"http://127.0.0.1:{run.server.address}/v1/chat/completions"
    load_ = ["h2load", "-n", "400", "-c", "4", "-m", "10", "-d", str(body), "-H", "content-type: application/json"]
    told = subprocess.run([*load_, url], check=True, capture_output=True, text=True).stdout
    assert "400 succeeded, 0 failed" in told
    run.stop()
    calls = run.calls()
    assert len(calls) == 400
    for call in calls:
        assert (call["status"], call["model"], call["stream"]) == ("success", "tiny-a", True)
        assert (call["events"], call["token_source"], call["output_tokens"]) == (5, "usage", 15)
    assert sum(judge.counts(receiver, "requests_total").values()) == 400
    assert not any(judge.counts(receiver, "concurrent_requests").values())


@pytest.mark.parametrize("how", ["--http2", "--http2-prior-knowledge", "--http1.1"])
def test_curl(watch, receiver: OtlpReceiver, how: str) -> None:
    """With --http2 curl asks for it by an Upgrade, with the first request."""
    run = watch(runtimes.plain("hypercorn")).start(harness.preloaded, receiver.endpoint)
    root = f"http://127.0.0.1:{run.server.address}"
    ask = [how, "-sS", "-w", "%{http_version}", "-H", "content-type: application/json", "-d", json.dumps(BODY)]
    chat = f"{root}/v1/chat/completions"
    # Debian's curl 7.88 cannot use such a connection a second time.
    first = [] if how == "--http2-prior-knowledge" else [how, "-sS", f"{root}/health", "--next"]
    curl = ["curl", *first, *ask, chat]
    told = subprocess.run(curl, check=True, capture_output=True, text=True).stdout
    assert told.count("data: [DONE]") == 1
    assert told.endswith("1.1" if how == "--http1.1" else "2")
    run.stop()
    calls = run.calls()
    assert [(c["status"], c["stream"], c["events"]) for c in calls] == [("success", True, 5)]
