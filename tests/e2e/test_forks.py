"""Servers that fork: for each connection, for good, or to start programs. What the clients got is counted once."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import client
import harness
import judge
import load
import pytest
from otlp_receiver import OtlpReceiver
from processes import compiled, process_server


def test_a_daemon(watch, receiver: OtlpReceiver) -> None:
    """Two forks, a session of its own, / as its directory, and every descriptor closed but one."""
    server = process_server("daemon")
    server.command = ["/bin/sh", "-c", '"$@"; exec sleep 60', "sh", *server.command]
    run = watch(server).start(harness.preloaded, receiver.endpoint, INFERWIRE_ONLY="process_server.py")
    outcomes = load.run(run.server.address, load.scripted_plan(200, seed=32))
    run.settle(load.counted(outcomes))
    for daemon in {c["pid"] for c in run.calls()}:
        os.kill(daemon, signal.SIGTERM)
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")


@pytest.mark.parametrize("life", ["fork", "inetd"])
def test_a_child_for_each_connection(watch, life: str, receiver: OtlpReceiver) -> None:
    """The parent accepts, the child serves: the call is the child's, and counted once."""
    run = watch(process_server(life)).start(harness.preloaded, receiver.endpoint)
    parent = run.process.pid
    outcomes = load.run(run.server.address, load.scripted_plan(100, seed=33))
    run.settle(load.counted(outcomes))
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")
    assert parent not in {c["pid"] for c in run.calls()}
    assert not list(run.directory.glob("*.ring"))


def test_a_request_that_parent_and_child_share(watch, receiver: OtlpReceiver) -> None:
    """The parent read from it, the child answers: nobody sees the whole. So no call is counted, and above all
    none as failed."""
    run = watch(process_server("late-fork")).start(harness.preloaded, receiver.endpoint)
    plan = [c for c in load.scripted_plan(60, seed=34) if not c.error and c.counted]
    load.run(run.server.address, plan)
    run.stop()
    assert run.calls() == []
    assert not any(judge.counts(receiver, "requests_total").values())
    assert not any(judge.counts(receiver, "concurrent_requests").values())
    assert 0 < sum(receiver.totals("inferwire.calls.lost").values()) <= 60
    assert receiver.violations() == []


# A server with one long stream, which starts programs all the while: by vfork with every descriptor closed,
# by posix_spawn, and by fork with a function of its own in between.
STARTER = """
import os, socket, subprocess, sys, threading
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))

def stream(connection):
    connection.recv(65536)
    head = b"HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\nconnection: close\\r\\n\\r\\n"
    connection.sendall(head)
    for n in range(2000):
        event = b'data: {"object":"chat.completion.chunk","model":"tiny-a","choices":[{"index":0,"delta":'
        connection.sendall(event + b'{"content":"%d"},"finish_reason":null}]}\\n\\n' % n)
        while not finished.is_set() and n == 1000:
            finished.wait()
    connection.sendall(b"data: [DONE]\\n\\n")
    connection.close()

def health(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\nconnection: close\\r\\n\\r\\n")
    connection.close()

threading.excepthook = lambda raised: os._exit(1)

def ended_well(pid):
    if os.waitpid(pid, 0)[1]:
        os._exit(1)

def start_programs():
    shut = [(os.POSIX_SPAWN_CLOSE, server.fileno())]
    for n in range(int(sys.argv[3])):
        if sys.argv[2] == "vfork":
            subprocess.run(["/bin/true"], close_fds=True, check=True)
        elif sys.argv[2] == "spawn":
            ended_well(os.posix_spawn("/bin/true", ["true"], os.environ, file_actions=shut))
        elif sys.argv[2] == "fork":
            subprocess.run(["/bin/true"], close_fds=True, preexec_fn=os.getpid, check=True)
        else:
            pid = os.fork()
            if not pid:
                os.closerange(3, 65536)
                os._exit(0)
            ended_well(pid)
    finished.set()

finished = threading.Event()
while True:
    connection, _ = server.accept()
    if connection.recv(5, socket.MSG_PEEK) == b"GET /":
        health(connection)
        continue
    threading.Thread(target=start_programs).start()
    threading.Thread(target=stream, args=(connection,)).start()
"""


@pytest.mark.parametrize(("kind", "n"), [("vfork", 1000), ("spawn", 1000), ("fork", 200), ("close", 1000)])
def test_a_stream_while_programs_are_started(watch, kind: str, n: int, receiver: OtlpReceiver) -> None:
    """The children write nothing, close nothing of ours, and have no ring."""
    port = harness.free_port()
    command = [sys.executable, "-c", STARTER, str(port), kind, str(n)]
    run = watch(harness.Server("starter", command, port, "scripted", True))
    run.start(harness.preloaded, receiver.endpoint)
    plan = [load.Call(load.CHAT, load.sized({"model": "tiny-a", "stream": True}, 5000), "tiny-a", True)]
    # The body goes with the head, in one piece: the server reads once.
    connection = client.Connection(port)
    parts = client.request("POST", plan[0].path, plan[0].body)
    response = connection.send([b"".join(parts)])
    assert connection.sock
    connection.finish(client.Reader(connection.sock, response))
    assert len(response.events) == 2001
    harness.wait_for("the status", lambda: (run.directory / "status.json").exists())
    assert len(list(run.directory.glob("*.ring"))) == 1
    run.stop()
    (call,) = run.calls()
    assert (call["status"], call["events"], call["incomplete"]) == ("success", 2000, False)
    assert sum(receiver.totals("inferwire.records.dropped").values()) == 0


def test_a_storm_of_forks_signals_and_cancellations(tmp_path: Path) -> None:
    """In the middle of hooks: no hang, no crash, no byte out of order, and no ring of a child."""
    program = compiled(tmp_path, harness.ROOT / "tests" / "shim" / "storm.c", "-pthread")
    directory = harness.ring_directory()
    _, variables = harness.preloaded([])
    environment = harness.clean_environment() | variables | {"INFERWIRE_AGENT": "external"}
    try:
        for more in ({}, {"INFERWIRE_DIR": str(directory)}):
            run = environment | more if more else harness.clean_environment()
            assert subprocess.run([program, "4"], env=run, timeout=60).returncode == 0, more
        assert len(list(directory.glob("*.ring"))) == 1
        # What it recorded in between can be read to its end.
        agent = [str(harness.AGENT), "--started-by-shim"]
        run = environment | {"INFERWIRE_DIR": str(directory), "OTEL_METRICS_EXPORTER": "none"}
        subprocess.run(agent, env=run, timeout=60, check=True)
        told = (directory / "agent.log").read_text()
        assert " ended: " in told and "broken" not in told
    finally:
        shutil.rmtree(directory)


def told(run: harness.Run) -> dict[str, int]:
    """What the agent says of the first process."""
    assert run.process
    try:
        status = json.loads((run.directory / "status.json").read_text())
    except FileNotFoundError:
        return {"unwatched": 0}
    return next((p for p in status["processes"] if p["pid"] == run.process.pid), {"unwatched": 0})


def test_children_without_a_ring_are_told(watch, receiver: OtlpReceiver) -> None:
    """They may write no file. What they accept is counted in their parent's ring."""
    run = watch(process_server("prefork", "--no-files")).start(harness.preloaded, receiver.endpoint)
    for _ in range(10):
        assert client.get(run.server.address, "/health").status == 200
    harness.wait_for("the count", lambda: told(run)["unwatched"] >= 10)
    run.stop()


def test_children_that_cannot_record_what_they_took_over(watch, receiver: OtlpReceiver) -> None:
    run = watch(process_server("fork", "--no-files")).start(harness.preloaded, receiver.endpoint)
    load.run(run.server.address, load.scripted_plan(60, seed=38))
    run.stop()
    assert run.calls() == []


def ended_children(run: harness.Run, path: str, n: int) -> list[tuple[str | None, int | None]]:
    """What became of n calls to a path, each of a connection of its own."""
    before = len(run.calls())
    for _ in range(n):
        # In one piece: a server that reads once, and answers, has seen no whole request otherwise.
        whole = b"".join(client.request("POST", path, b'{"model":"m"}'))
        response = client.Connection(run.server.address).call([whole])
        assert response.status == 200
    harness.wait_for("the calls", lambda: len(run.calls()) >= before + n)
    return [(c["error_type"], c["output_tokens"]) for c in run.calls()[before:]]


def test_children_that_end_without_closing(watch, tmp_path: Path, receiver: OtlpReceiver) -> None:
    """An answer that is whole is a call that went well, however the connection ends: by its length, by its last
    chunk, or by its own words where the end of the connection is that of the body."""
    port = harness.free_port()
    command = [compiled(tmp_path, harness.SERVERS / "exiting_children.c"), str(port)]
    run = watch(harness.Server("children", command, port, "unknown", is_scripted=False))
    run.start(harness.preloaded, receiver.endpoint)
    completions = "/v1/completions"
    for how in ("length", "chunked", "end"):
        assert ended_children(run, f"/{how}{completions}", 5) == [(None, 5)] * 5, how
    assert ended_children(run, f"/broken{completions}", 5) == [("server_crash", None)] * 5
    run.stop()
    assert not any(judge.counts(receiver, "concurrent_requests").values())


# A child for each connection by the standard library; it shuts down, closes, and ends by os._exit.
FORKING = """
import http.server, socketserver, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"usage":{"completion_tokens":5}}')

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

socketserver.ForkingTCPServer.allow_reuse_address = True
socketserver.ForkingTCPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_the_standard_librarys_forking_server(watch, receiver: OtlpReceiver) -> None:
    port = harness.free_port()
    command = [sys.executable, "-c", FORKING, str(port)]
    run = watch(harness.Server("forking", command, port, "unknown", is_scripted=False))
    run.start(harness.preloaded, receiver.endpoint)
    assert ended_children(run, "/v1/completions", 10) == [(None, 5)] * 10
    run.stop()
