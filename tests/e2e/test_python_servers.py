"""Python's HTTP runtimes, watched and not watched side by side: their clients get the same bytes, and the
numbers are what the clients got."""

from pathlib import Path

import load
import pytest
import runtimes
import twins
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


def plan_for(name: str) -> list[load.Call]:
    return load.scripted_plan(120, seed=6, leaves_early=name not in BLIND)


@pytest.mark.parametrize("name", PLAIN)
def test_plain(watch, name: str, receiver: OtlpReceiver) -> None:
    server, twin = runtimes.plain(name), runtimes.plain(name)
    # gunicorn's sync workers answer one request a connection.
    twins.check(watch, server, twin, plan_for(name), receiver, pipelines=name != "gunicorn/sync")


@pytest.mark.parametrize("name", TLS)
def test_tls(watch, name: str, tmp_path: Path, receiver: OtlpReceiver) -> None:
    twins.check(watch, runtimes.tls(name, tmp_path), runtimes.tls(name, tmp_path), plan_for(name), receiver)
