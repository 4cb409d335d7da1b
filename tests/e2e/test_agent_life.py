"""The agent may be killed, stopped, started again, or have nobody to send to: the server's clients never
see it, and what was lost is counted."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import harness
import judge
import load
import pytest
import rings
from otlp_receiver import OtlpReceiver

EXTERNAL = {"INFERWIRE_AGENT": "external"}


@pytest.fixture
def agents() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts agents by hand; ends those that are left."""
    started: list[subprocess.Popen[bytes]] = []

    def start(run: harness.Run, **more: str) -> subprocess.Popen[bytes]:
        agent = subprocess.Popen([str(harness.AGENT)], env=run.environment | more, stderr=subprocess.PIPE)
        started.append(agent)
        harness.wait_for("the agent has the lock", run.agent_runs)
        return agent

    yield start
    for agent in started:
        if agent.poll() is None:
            agent.kill()
        agent.wait()
        if agent.stderr:
            agent.stderr.close()


def logged(run: harness.Run, outcomes: list[load.Outcome]) -> list[dict[str, object]]:
    sizes = {len(o.call.body) for o in outcomes if o.call.counted}
    return [c for c in run.calls() if c["request_bytes"] in sizes]


def sum_of(receiver: OtlpReceiver, name: str) -> int:
    return sum(v for v in receiver.totals(name).values())


def test_killed_under_load_and_started_again(watch, agents, receiver: OtlpReceiver) -> None:
    run = watch(harness.uvicorn("uvloop", "httptools")).start(
        harness.preloaded, receiver.endpoint, **EXTERNAL
    )
    first = agents(run)
    loading = load.InBackground(load.run, run.server.address, load.scripted_plan(600, seed=11))
    time.sleep(0.5)
    first.kill()
    first.wait()
    before = loading.result()  # no client saw anything

    agents(run)
    rings.wait_until_read(run.directory)
    after = load.run(run.server.address, load.scripted_plan(100, seed=12))
    run.stop()
    judge.check_call_log(logged(run, after), after, "scripted")
    assert receiver.violations() == []
    total = load.counted([*before, *after])
    assert load.counted(after) <= sum_of(receiver, judge.PREFIX + "requests_total") <= total


def test_stopped_under_load(watch, agents, receiver: OtlpReceiver) -> None:
    # Less than the load's bytes; enough for what comes between two looks of a running agent.
    small = {"INFERWIRE_RING_BYTES": str(2 * 2**20)}
    run = watch(harness.uvicorn("asyncio", "h11")).start(
        harness.preloaded, receiver.endpoint, **EXTERNAL, **small
    )
    agent = agents(run)
    agent.send_signal(signal.SIGSTOP)
    during = load.run(run.server.address, load.scripted_plan(300, seed=13))
    agent.send_signal(signal.SIGCONT)
    rings.wait_until_read(run.directory)
    after = load.run(run.server.address, load.scripted_plan(100, seed=14))
    run.stop()

    assert sum_of(receiver, "inferwire.records.dropped") > 0
    assert receiver.violations() == []
    # What came after is as exact as ever; of what did not fit, nothing was invented.
    judge.check_call_log(logged(run, after), after, "scripted")
    by_size = {len(o.call.body): o for o in during}
    whole = [c for c in logged(run, during) if not c["incomplete"]]
    assert whole and len({c["request_bytes"] for c in whole}) == len(whole)
    for line in whole:
        judge.check_call(line, by_size[line["request_bytes"]], "scripted")
    assert len(run.calls()) <= load.counted([*during, *after])
    assert not any(judge.counts(receiver, "concurrent_requests").values())


def test_the_server_dies(watch, receiver: OtlpReceiver) -> None:
    run = watch(harness.uvicorn("uvloop", "httptools")).start(harness.preloaded, receiver.endpoint)
    outcomes = load.run(run.server.address, load.scripted_plan(50, seed=15))
    script = {"events": 2000, "delay_ms": 5}
    bodies = [load.sized({"model": "tiny-a", "stream": True, "script": script}, 5000 + n) for n in range(3)]
    open_ones = [load.Call(load.CHAT, body, "tiny-a", True, error="server_crash") for body in bodies]
    connections = [load.Connection(run.server.address) for _ in open_ones]
    for connection, call in zip(connections, open_ones):
        response = connection.send(load.request("POST", call.path, call.body))
        assert connection.sock
        reader = load.Reader(connection.sock, response)
        while len(response.events) < 3:
            assert reader.receive()
    run.settle(load.counted(outcomes))
    run.stop(signal.SIGKILL)

    crashed = [c for c in run.calls() if c["error_type"] == "server_crash"]
    assert sorted(c["request_bytes"] for c in crashed) == [5000, 5001, 5002]
    total = load.counted(outcomes) + len(open_ones)
    assert sum_of(receiver, judge.PREFIX + "requests_total") == total
    assert not any(judge.counts(receiver, "concurrent_requests").values())
    assert receiver.violations() == []
    for connection in connections:
        connection.close()


def test_a_second_agent_says_so(watch, agents, receiver: OtlpReceiver) -> None:
    run = watch(harness.uvicorn("asyncio", "h11")).start(harness.preloaded, receiver.endpoint, **EXTERNAL)
    first = agents(run)
    second = subprocess.run(
        [str(harness.AGENT)], env=run.environment, capture_output=True, text=True, timeout=10
    )
    assert str(run.directory) in second.stderr and len(second.stderr.splitlines()) == 1, second.stderr
    assert first.poll() is None
    run.stop()
    assert first.wait(10) == 0


def test_a_receiver_that_hangs(watch) -> None:
    """It takes connections and never answers: the server and its clients are none the wiser, the calls
    are in the log, and the agent ends when it is told to."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as deaf:
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        limit = {"OTEL_EXPORTER_OTLP_TIMEOUT": "500"}
        run = watch(harness.uvicorn("uvloop", "httptools")).start(harness.preloaded, endpoint, **limit)
        outcomes = load.run(run.server.address, load.scripted_plan(200, seed=16))
        began = time.monotonic()
        run.end_server()
        assert time.monotonic() - began < 2
        began = time.monotonic()
        run.end_agent()
        assert time.monotonic() - began < 8
        judge.check_call_log(run.calls(), outcomes, "scripted")


def test_the_agent_holds_nothing_of_the_servers(watch) -> None:
    """Neither its port nor what it inherited: who waits for the end of the server's output sees it."""
    ours, its = os.pipe()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as deaf:
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        run = watch(harness.uvicorn("asyncio", "h11"))
        run.start(harness.preloaded, endpoint, pass_fds=(its,), OTEL_EXPORTER_OTLP_TIMEOUT="500")
        os.close(its)
        load.run(run.server.address, load.scripted_plan(20, seed=19))
        run.end_server()
        assert run.agent_runs()  # it still tries to export
        os.set_blocking(ours, False)
        assert os.read(ours, 1) == b""
        socket.create_server(("127.0.0.1", run.server.address)).close()
        assert run.agent_runs()
    os.close(ours)


def test_a_receiver_that_comes_late(watch) -> None:
    """Cumulative sums: who was not there for the first exports misses nothing."""
    port = harness.free_port()
    run = watch(harness.uvicorn("asyncio", "h11")).start(harness.preloaded, f"http://127.0.0.1:{port}")
    outcomes = load.run(run.server.address, load.scripted_plan(100, seed=17))
    time.sleep(1)
    receiver = OtlpReceiver(port=port)
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")
    receiver.close()


def test_workers_are_processes_of_their_own(watch, receiver: OtlpReceiver) -> None:
    """Two workers accept from one inherited socket: each is a resource of its own, and the sums are right."""
    server = harness.uvicorn("uvloop", "httptools", "--workers", "2")
    run = watch(server).start(harness.preloaded, receiver.endpoint)
    outcomes = load.run(run.server.address, load.scripted_plan(200, seed=18))
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")
    assert len({c["pid"] for c in run.calls()}) == 2
    assert os.getpid() not in {c["pid"] for c in run.calls()}
