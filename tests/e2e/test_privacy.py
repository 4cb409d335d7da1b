"""Nothing that was said to or by a model leaves the ring: not in exports, logs, files or a core."""

import resource
import signal
import subprocess
from pathlib import Path

import harness
import load
import pytest
from client import Connection, request
from otlp_receiver import OtlpReceiver

PROMPT, ANSWER, SECRET, QUERY = (
    "canary-of-a-prompt",
    "canary-of-an-answer",
    "canary-of-a-key",
    "canary-of-a-query",
)
CANARIES = [c.encode() for c in (PROMPT, ANSWER, SECRET, QUERY)]


def talk(run: harness.Run) -> None:
    """Calls of every outcome, with canaries in everything that is private."""
    scripts = [{}, {"error_after": 1}, {"truncate_after": 1}, {"status": 400}, {"status": 500}]
    for script in scripts:
        for stream in (False, True):
            fields = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": PROMPT}]}
            fields["script"] = script | {"say": ANSWER, "events": 3}
            body = load.sized(fields, 600)
            for data in (body, body[:-1]):
                connection = Connection(run.server.address)
                headers = {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}
                connection.call(request("POST", f"{load.CHAT}?key={QUERY}", data, headers))
                connection.close()


def test_nothing_private_gets_out(watch, receiver: OtlpReceiver) -> None:
    run = watch(harness.uvicorn("asyncio", "h11"))
    headers = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization={SECRET}", "OTEL_LOG_LEVEL": "debug"}
    run.start(harness.preloaded, receiver.endpoint, **headers)
    talk(run)
    run.stop()

    assert len(run.calls()) == 20
    files = [f for folder in (run.directory, run.home) for f in folder.rglob("*") if f.is_file()]
    assert run.call_log in files
    written = {str(f): f.read_bytes() for f in files} | {
        f"export {n}": b for n, b in enumerate(receiver.bodies)
    }
    assert receiver.bodies
    found = {name: canary for name, data in written.items() for canary in CANARIES if canary in data}
    assert found == {}


def leaves_a_core(home: Path) -> bool:
    """Whether a process that is killed here leaves a core in its folder at all."""
    home.mkdir()
    child = subprocess.Popen(["sleep", "60"], cwd=home, preexec_fn=unlimited_core)
    child.send_signal(signal.SIGABRT)
    child.wait()
    return any(home.iterdir())


def unlimited_core() -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def test_the_agent_leaves_no_core(watch, receiver: OtlpReceiver, tmp_path: Path) -> None:
    if not leaves_a_core(tmp_path / "control"):
        pytest.skip("no process leaves a core here (kernel.core_pattern, RLIMIT_CORE)")
    run = watch(harness.uvicorn("asyncio", "h11")).start(
        harness.preloaded, receiver.endpoint, INFERWIRE_AGENT="external"
    )
    home = tmp_path / "agent"
    home.mkdir()
    agent = subprocess.Popen(
        [str(harness.AGENT)],
        env=run.environment,
        cwd=home,
        preexec_fn=unlimited_core,
        stderr=subprocess.DEVNULL,
    )
    harness.wait_for("the agent has the lock", run.agent_runs)
    talk(run)
    agent.send_signal(signal.SIGABRT)
    agent.wait()
    assert not list(home.iterdir())
