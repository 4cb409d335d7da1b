"""Python's HTTP runtimes, watched and not watched side by side: their clients get the same bytes, and the
numbers are what the clients got."""

from pathlib import Path

import harness
import judge
import load
import pytest
import runtimes
import twins
from otlp_receiver import OtlpReceiver

# Of several requests in one piece they answer the first, and close.
ANSWER_ONE = ("gunicorn/sync", "waitress")


@pytest.mark.parametrize("name", runtimes.PLAIN)
def test_plain(watch, name: str, receiver: OtlpReceiver) -> None:
    server, twin = runtimes.plain(name), runtimes.plain(name)
    pipelines = name not in ANSWER_ONE
    twins.check(watch, server, twin, runtimes.plan(name, 100, seed=6), receiver, pipelines)


@pytest.mark.parametrize("name", runtimes.TLS)
def test_tls(watch, name: str, tmp_path: Path, receiver: OtlpReceiver) -> None:
    twins.check(watch, runtimes.tls(name, tmp_path), runtimes.tls(name, tmp_path), runtimes.plan(name, 100, seed=6), receiver)


def test_tls_that_cannot_be_read_is_told(watch, tmp_path: Path, receiver: OtlpReceiver) -> None:
    """granian's is rustls, a part of its own code."""
    server = runtimes.tls("granian", tmp_path)
    run = watch(server).start(harness.preloaded, receiver.endpoint)
    load.run(server.address, load.scripted_plan(40, seed=14))
    run.stop()
    assert run.calls() == [] and not receiver.totals(judge.PREFIX + "requests_total")
    assert list(judge.connections(receiver)) == ["kind=encrypted reason=tls_without_plain_text"]


def test_workers_that_come_and_go(watch, receiver: OtlpReceiver) -> None:
    """gunicorn replaces a worker after some requests: each has its numbers, and together they are all."""
    more = ("--max-requests", "30")
    server, twin = (runtimes.gunicorn("sync", "wsgi_app:app", *more) for _ in range(2))
    run = twins.check(watch, server, twin, runtimes.plan("gunicorn/sync", 100, seed=6), receiver, pipelines=False)
    assert len({line["pid"] for line in run.calls()}) > 3


def test_clients_that_leave_unnoticed(watch, receiver: OtlpReceiver) -> None:
    """The server neither reads nor writes when they leave. Each call is counted once; whether its answer
    still went out or failed is the server's luck."""
    run = watch(runtimes.plain("http_server")).start(harness.preloaded, receiver.endpoint)
    script = {"first_delay_ms": 200}
    plan = []
    for n in range(16):
        stream, reset = n % 2 == 0, n % 4 < 2
        body = load.sized({"model": "tiny-a", "stream": stream, "script": script}, 2000 + 2 * n)
        plan.append(load.Call(load.CHAT, body, "tiny-a", stream, leave_after=0, reset=reset))
    load.run(run.server.address, plan)
    # It ends without waiting for the threads of its connections.
    harness.wait_for("the answers", lambda: len(run.calls()) == len(plan))
    run.stop()
    calls = run.calls()
    assert sorted(c["request_bytes"] for c in calls) == [len(c.body) for c in plan]
    assert {c["error_type"] for c in calls} <= {None, "client_disconnect"}
    assert sum(judge.counts(receiver, "requests_total").values()) == len(plan)
    assert not any(judge.counts(receiver, "concurrent_requests").values())
