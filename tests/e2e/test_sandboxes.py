"""Servers that lock themselves in with seccomp."""

from pathlib import Path

import client
import harness
import judge
import load
import pytest
from otlp_receiver import OtlpReceiver
from processes import compiled


def serve_sandboxed(watch, home: Path, kind: str, endpoint: str) -> harness.Run:
    program = compiled(home, harness.SERVERS / "sandboxed_server.c")
    port = harness.free_port()
    server = harness.Server("sandboxed", [program, str(port), kind], port, "scripted", is_scripted=True)
    run = watch(server).start(harness.preloaded, endpoint)
    for n in range(20):
        connection = client.Connection(port)
        body = load.sized({"model": "tiny-a", "messages": []}, 100 + n)
        response = connection.call(client.request("POST", load.CHAT, body))
        assert response.status == 200 and response.complete
        connection.close()
    assert run.process and run.process.poll() is None
    return run


@pytest.mark.parametrize("kind", ["process", "worker-prctl", "worker-seccomp"])
def test_a_seccomp_filter_that_kills(watch, tmp_path: Path, kind: str, receiver: OtlpReceiver) -> None:
    """Once it is in force the shim makes no system call; and the ring was made before."""
    run = serve_sandboxed(watch, tmp_path, kind, receiver.endpoint)
    harness.wait_for("the calls", lambda: sum(judge.counts(receiver, "requests_total").values()) >= 20)
    run.stop()
    assert sorted(c["request_bytes"] for c in run.calls()) == list(range(100, 120))
    assert all(c["status"] == "success" for c in run.calls())


def test_the_strict_mode_of_seccomp(watch, tmp_path: Path, receiver: OtlpReceiver) -> None:
    """It takes the clock away: there the shim records nothing, and a call that it cannot see is none."""
    run = serve_sandboxed(watch, tmp_path, "strict", receiver.endpoint)
    harness.wait_for("an agent", run.agent_runs)
    run.stop()
    assert run.calls() == []
    assert not any(judge.counts(receiver, "requests_total").values())
