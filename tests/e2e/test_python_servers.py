"""Python's HTTP runtimes, watched and not watched side by side: their clients get the same bytes, and the
numbers are what the clients got."""

from pathlib import Path

import harness
import judge
import load
import pytest
import runtimes
from otlp_receiver import OtlpReceiver

PLAIN = [
    "uvicorn/workers/asyncio/h11",
    "uvicorn/workers/uvloop/httptools",
    "gunicorn/uvicorn",
    "gunicorn/sync",
    "gunicorn/gthread",
    "hypercorn",
    "aiohttp_server",
    "tornado_server",
    "http_server",
]
TLS = [
    "uvicorn/workers/uvloop/httptools",
    "gunicorn/gthread",
    "hypercorn",
    "aiohttp_server",
    "tornado_server",
    "http_server",
]
# They neither read nor write while they wait for the answer.
BLIND = ("gunicorn/sync", "gunicorn/gthread", "http_server")


def check(watch, server: harness.Server, twin: harness.Server, name: str, receiver: OtlpReceiver) -> None:
    plan = load.scripted_plan(120, seed=6, leaves_early=name not in BLIND)
    without = watch(twin).launch(harness.not_at_all, receiver.endpoint)
    run = watch(server).launch(harness.preloaded, receiver.endpoint)
    expected = [load.verbatim(o) for o in load.run(without.listening().server.address, plan)]
    outcomes = load.run(run.listening().server.address, plan)
    assert [load.verbatim(o) for o in outcomes] == expected
    assert run.stop() == without.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")


@pytest.mark.parametrize("name", PLAIN)
def test_plain(watch, name: str, receiver: OtlpReceiver) -> None:
    check(watch, runtimes.plain(name), runtimes.plain(name), name, receiver)


@pytest.mark.parametrize("name", TLS)
def test_tls(watch, name: str, tmp_path: Path, receiver: OtlpReceiver) -> None:
    check(watch, runtimes.tls(name, tmp_path), runtimes.tls(name, tmp_path), name, receiver)
