"""Servers that get their sockets from elsewhere: the listening one by inheritance, each accepted one in a
message."""

import dataclasses
import socket
from collections.abc import Iterator

import harness
import judge
import load
import pytest
import runtimes
import twins
from otlp_receiver import OtlpReceiver

UVICORN = [runtimes.PYTHON, "-m", "uvicorn", "asgi_app:app", "--app-dir", str(runtimes.SERVERS)]
UVICORN += ["--log-level", "critical"]
GUNICORN = [runtimes.PYTHON, "-m", "gunicorn", "--chdir", str(runtimes.SERVERS), "--workers", "2"]
GUNICORN += ["--worker-class", "uvicorn_worker.UvicornWorker", "--log-level", "critical", "asgi_app:app"]
# As sd_listen_fds(3) has it: the sockets from 3 on, and the process they are meant for.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def listeners() -> Iterator[list[socket.socket]]:
    """Two sockets that listen, as a service manager has them."""
    both = [socket.create_server(("127.0.0.1", 0), backlog=128) for _ in range(2)]
    yield both
    for listener in both:
        listener.close()


def inherits(listener: socket.socket, command: list[str]) -> harness.Server:
    server = runtimes.on_port("inherits", command, listener.getsockname()[1])
    server.descriptors = (listener.fileno(),)
    return server


def by_number(listener: socket.socket) -> harness.Server:
    return inherits(listener, [*UVICORN, "--fd", str(listener.fileno())])


def activated(listener: socket.socket) -> harness.Server:
    return inherits(listener, [runtimes.PYTHON, "-c", ACTIVATE, str(listener.fileno()), *GUNICORN])


def supervised(_: socket.socket) -> harness.Server:
    """The listening process is watched as well, and becomes the server."""
    port = harness.free_port()
    command = [runtimes.PYTHON, str(runtimes.SERVERS / "supervisor.py"), str(port), *UVICORN, "--fd", "{fd}"]
    return runtimes.on_port("supervised", command, port)


@pytest.mark.parametrize("how", [by_number, activated, supervised])
def test_an_inherited_listening_socket(watch, how, listeners, receiver: OtlpReceiver) -> None:
    server, twin = (how(listener) for listener in listeners)
    twins.check(watch, server, twin, load.scripted_plan(80, seed=7), receiver)


def hand_over(*more: str) -> harness.Server:
    port = harness.free_port()
    command = [runtimes.PYTHON, str(runtimes.SERVERS / "hand_over.py"), str(port), *more]
    return runtimes.on_port("hand_over", command, port)


def test_connections_that_come_in_messages(watch, receiver: OtlpReceiver) -> None:
    plan = load.scripted_plan(120, seed=8, leaves_early=False)
    twins.check(watch, hand_over(), hand_over(), plan, receiver)


def test_connections_that_come_half_read(watch, receiver: OtlpReceiver) -> None:
    """One process has the request's head, another one answers: what each sees makes no call, and it is told."""
    run = watch(hand_over("begun")).start(harness.preloaded, receiver.endpoint)
    plan = [c for c in load.scripted_plan(40, seed=9) if c.counted and c.leave_after is None]
    plan = [dataclasses.replace(c, connection="close", chunked=False) for c in plan]
    load.run(run.server.address, plan)
    run.stop()
    assert run.calls() == [] and not receiver.totals(judge.PREFIX + "requests_total")
    # And the test's own question whether the server is ready.
    assert judge.connections(receiver)["kind=opaque reason=not_http"] == len(plan) + 1
    assert not any(judge.counts(receiver, "concurrent_requests").values())
