"""What is not seen is told: each connection that was not read is counted while it lasts, by kind and
reason, in the exported metrics and in `inferwire status`; and what was read is not."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import client
import harness
import pytest
from otlp_receiver import OtlpReceiver
from processes import compiled

Kinds = dict[tuple[str, str | None], int]


def exported(receiver: OtlpReceiver) -> Kinds:
    totals = receiver.totals("inferwire.connections")
    return {(dict(a)["kind"], dict(a).get("reason")): n for a, n in totals.items()}


def told(receiver: OtlpReceiver, kinds: Kinds) -> None:
    """That the counters come to be these, and no others."""
    harness.wait_for(f"{kinds}", lambda: exported(receiver) == kinds or None, 20) if kinds else None
    time.sleep(3)  # three looks more: nothing is counted twice
    assert exported(receiver) == kinds
    assert receiver.violations() == []


def status(run: harness.Run, *arguments: str) -> str:
    command = [str(harness.COMMAND), "status", "--dir", str(run.directory), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout


def status_of(run: harness.Run) -> dict[str, Any]:
    (process,) = json.loads(status(run, "--json"))["processes"]
    return process


def advice(run: harness.Run) -> list[str]:
    """The lines below the table's only process."""
    lines = status(run).splitlines()
    (at,) = [n for n, line in enumerate(lines) if line.split()[:1] == [str(status_of(run)["pid"])]]
    return [line.strip() for line in lines[at + 1 :]]


@pytest.fixture
def held():
    """Connections that stay open; each sends its requests when asked."""
    connections: list[client.Connection] = []

    def hold(address: client.Address, count: int, requests: int = 1) -> None:
        for _ in range(count):
            connections.append(client.Connection(address))
        for _ in range(requests):
            for connection in connections[-count:]:
                assert connection.call(client.request("GET", "/health")).status == 200

    yield hold
    for connection in connections:
        connection.close()


@pytest.fixture(scope="session")
def raw_accept(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compiled(tmp_path_factory.mktemp("raw"), harness.SERVERS / "raw_accept.c", "-pthread")


def tls_server(name: str, command: list[str], folder: Path) -> harness.Server:
    port = harness.free_port()
    command = [*command, str(port), *harness.certificate(folder)]
    return harness.Server(name, command, client.Tls(port), "unknown", is_scripted=False)


def static_openssl(folder: Path) -> harness.Server:
    libraries = ["-pthread", "-l:libssl.a", "-l:libcrypto.a", "-ldl"]
    return tls_server("static", [compiled(folder, harness.SERVERS / "static_tls.c", *libraries)], folder)


def node(folder: Path) -> harness.Server:
    asks = ["node", "-p", "process.config.variables.node_shared_openssl"]
    if not shutil.which("node") or subprocess.check_output(asks).strip() != b"false":
        pytest.skip("no node with an OpenSSL of its own")
    return tls_server("node", ["node", str(harness.SERVERS / "https_server.js")], folder)


class LineServer(harness.Server):
    def ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.address), 5):
                return True
        except OSError:
            return False


def line_server() -> harness.Server:
    port = harness.free_port()
    command = [sys.executable, str(harness.SERVERS / "line_server.py"), str(port)]
    return LineServer("lines", command, port, "unknown", is_scripted=False)


def test_plain_text_is_read(watch, held: Callable[..., None], receiver: OtlpReceiver) -> None:
    run = watch(harness.uvicorn("uvloop", "httptools")).start(harness.preloaded, receiver.endpoint)
    held(run.server.address, 5, requests=4)
    told(receiver, {("http", None): 6})  # and the one that asked whether it is ready
    assert advice(run) == ["connections: 6 http"]


def test_tls_that_is_read(watch, held, tmp_path: Path, receiver: OtlpReceiver) -> None:
    server = harness.uvicorn_tls("uvloop", "httptools", tmp_path)
    run = watch(server).start(harness.preloaded, receiver.endpoint)
    assert isinstance(server.address, client.Tls)
    for _ in range(3):  # what a load balancer asks: it shakes hands, and leaves
        with socket.create_connection(("127.0.0.1", server.address.port), 10) as sock:
            client.TLS_CONTEXT.wrap_socket(sock).close()
    held(server.address, 5, requests=6)
    told(receiver, {("tls", None): 6})
    assert advice(run) == ["connections: 6 tls"]


@pytest.mark.parametrize("server", [static_openssl, node])
def test_tls_that_cannot_be_read_is_told_while_it_lasts(watch, server, held, tmp_path, receiver) -> None:
    run = watch(server(tmp_path)).start(harness.preloaded, receiver.endpoint)
    encrypted = ("encrypted", "tls_without_plain_text")
    told(receiver, {encrypted: 1})  # the one that asked whether it is ready, and is closed
    held(run.server.address, 4, requests=6)
    told(receiver, {encrypted: 5})
    state = status_of(run)
    assert (state["encrypted"], state["unseen"], state["http"], state["tls"]) == (5, 0, 0, 0)
    below = advice(run)
    assert below[0] == "connections: 5 encrypted"
    assert below[1].startswith("encrypted: TLS of a library that cannot be seen")
    run.stop()
    assert exported(receiver) == {encrypted: 5}


def test_another_protocol_is_opaque(watch, receiver: OtlpReceiver) -> None:
    run = watch(line_server()).start(harness.preloaded, receiver.endpoint)
    with socket.create_connection(("127.0.0.1", run.server.address), 10) as sock:
        sock.sendall(b"one line\n")
        assert sock.recv(100) == b"one line\n"
        told(receiver, {("opaque", "not_http"): 1})
        assert status_of(run)["opaque"] == 1
        assert advice(run)[0] == "connections: 1 opaque"
    run.stop()
    assert exported(receiver) == {("opaque", "not_http"): 1}


def test_raw_system_calls_are_unseen(watch, held, raw_accept: str, receiver: OtlpReceiver) -> None:
    port = harness.free_port()
    server = harness.Server("raw", [raw_accept, str(port)], port, "unknown", is_scripted=False)
    run = watch(server).start(harness.preloaded, receiver.endpoint)
    told(receiver, {})
    held(port, 3)
    told(receiver, {("unseen", "not_seen"): 3})
    held(port, 2)
    told(receiver, {("unseen", "not_seen"): 5})
    assert (status_of(run)["unseen"], status_of(run)["connections_total"]) == (5, 0)
    assert advice(run)[0] == "connections: 5 unseen"
    assert "raw system calls" in advice(run)[1]
    run.stop()
    assert exported(receiver) == {("unseen", "not_seen"): 5}


def test_io_uring_is_unseen_and_named(watch, held, raw_accept: str, receiver: OtlpReceiver) -> None:
    port = harness.free_port()
    if subprocess.run([raw_accept, "io_uring"], timeout=10).returncode == 77:
        pytest.skip("the kernel refuses io_uring")
    server = harness.Server("uring", [raw_accept, "io_uring", str(port)], port, "unknown", is_scripted=False)
    run = watch(server).start(harness.preloaded, receiver.endpoint)
    held(port, 3)
    told(receiver, {("unseen", "io_uring"): 3})
    assert (status_of(run)["unseen"], status_of(run)["unseen_io_uring"]) == (0, 3)
    assert advice(run)[0] == "connections: 3 unseen (io_uring)"


def test_a_connection_that_was_there_before_the_server(watch, held, raw_accept, receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = listener.accept()
            fds = (listener.fileno(), accepted.fileno())
            command = [raw_accept, *map(str, fds)]
            server = harness.Server("raw", command, port, "unknown", is_scripted=False)
            run = watch(server)
            run.start(harness.preloaded, receiver.endpoint, pass_fds=fds)
            accepted.close()
            told(receiver, {("unseen", "not_seen"): 1})


def test_an_agent_that_takes_over_calls_nothing_unseen(watch, held, receiver: OtlpReceiver) -> None:
    server = harness.uvicorn("asyncio", "h11", "--timeout-keep-alive", "60")
    run = watch(server).start(harness.preloaded, receiver.endpoint)
    held(run.server.address, 5)
    told(receiver, {("http", None): 6})
    run.end_agent()
    environment = run.environment | {"INFERWIRE_AGENT": "external"}
    agent = subprocess.Popen([harness.AGENT], env=environment)
    try:
        time.sleep(4)
        assert exported(receiver) == {("http", None): 6}
        held(run.server.address, 1)
        told(receiver, {("http", None): 7})
    finally:
        agent.terminate()
        agent.wait(20)


def stdio_server(folder: Path, *how: str) -> harness.Server:
    port = harness.free_port()
    command = [compiled(folder, harness.SERVERS / "stdio_server.c", "-pthread"), str(port), *how]
    return harness.Server("stdio", command, port, "unknown", is_scripted=False)


def test_streams_of_stdio_are_unseen(watch, held, tmp_path: Path, receiver: OtlpReceiver) -> None:
    run = watch(stdio_server(tmp_path)).start(harness.preloaded, receiver.endpoint)
    held(run.server.address, 4, requests=2)
    told(receiver, {("unseen", "not_seen"): 5})
    assert status_of(run)["unseen"] == 5


def test_answers_that_were_printed_make_no_wrong_call(watch, held, tmp_path: Path, receiver: OtlpReceiver) -> None:
    run = watch(stdio_server(tmp_path, "print")).start(harness.preloaded, receiver.endpoint)
    connection = client.Connection(run.server.address)
    for _ in range(3):
        body = b'{"model":"m","prompt":"x"}'
        assert connection.call(client.request("POST", "/v1/completions", body)).status == 200
    connection.close()
    told(receiver, {("http", None): 2})
    run.stop()
    assert run.calls() == []
    lost = receiver.totals("inferwire.calls.lost")
    assert sum(lost.values()) == 3
