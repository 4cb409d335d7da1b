"""Servers that become another program while they serve."""

import signal
import sys
import time

import client
import harness
import judge
import load
from otlp_receiver import OtlpReceiver
from processes import process_server


def chat(stream: bool, size: int, **script: int) -> load.Call:
    body = load.sized({"model": "tiny-a", "stream": stream, "script": script}, size)
    return load.Call(load.CHAT, body, "tiny-a", stream)


def begun(run: harness.Run, call: load.Call | None) -> client.Connection:
    """A connection that the server accepts without a word; then the call is sent, if there is one."""
    connection = client.Connection(run.server.address)
    connection.open()
    time.sleep(0.5)
    if call:
        connection.send([b"".join(client.request("POST", call.path, call.body))])
    return connection


def test_a_server_that_starts_itself_anew(watch, receiver: OtlpReceiver) -> None:
    """The listening socket and two connections go over exec; a stream does not, for it is close-on-exec."""
    run = watch(process_server("reexec")).start(harness.preloaded, receiver.endpoint)
    assert run.process
    before = load.run(run.server.address, [chat(False, 1000 + n) for n in range(8)], clients=1)
    cut = client.Connection(run.server.address)
    call = chat(True, 2000, events=2000, delay_ms=20)
    response = cut.send([b"".join(client.request("POST", call.path, call.body))])
    assert cut.sock
    reader = client.Reader(cut.sock, response)
    while len(response.events) < 3:
        assert reader.receive()
    silent, asked = begun(run, None), begun(run, chat(False, 3000))
    time.sleep(0.2)
    run.process.send_signal(signal.SIGUSR2)
    cut.finish(reader)
    assert not response.complete
    # The program that it became answers the request that was read before.
    assert asked.sock and asked.finish(client.Reader(asked.sock, client.Response())).status == 200
    # And one on a connection that it never accepted.
    assert silent.call([b"".join(client.request("POST", load.CHAT, chat(False, 3001).body))]).status == 200
    after = load.run(run.server.address, [chat(False, 1100 + n) for n in range(8)], clients=1)
    for connection in (silent, asked):
        connection.close()
    run.stop()
    good = {c["request_bytes"] for c in run.calls() if c["status"] == "success"}
    assert good == {len(o.call.body) for o in [*before, *after]}
    # The stream's descriptor has another connection by the time anybody looks, or none: lost, or broken off.
    failed = [c["request_bytes"] for c in run.calls() if c["error_type"]]
    assert failed in ([], [2000])
    assert sum(receiver.totals("inferwire.calls.lost").values()) == 2 - len(failed)
    assert not any(judge.counts(receiver, "concurrent_requests").values())


# Becomes another program, which serves nothing, in the middle of an answer; the connection stays open.
LEAVER = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = server.accept()
    request = connection.recv(65536)
    if request.startswith(b"GET"):
        connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\nconnection: close\\r\\n\\r\\n")
        connection.close()
        continue
    connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 100\\r\\n\\r\\n{")
    connection.set_inheritable(True)
    os.execv("/bin/sleep", ["sleep", "60"])
"""


def test_a_server_that_becomes_something_else(watch, receiver: OtlpReceiver) -> None:
    """Its call is under way for nobody any more: it is given up while the process lives."""
    port = harness.free_port()
    command = [sys.executable, "-c", LEAVER, str(port)]
    run = watch(harness.Server("leaver", command, port, "scripted", True))
    run.start(harness.preloaded, receiver.endpoint)
    connection = client.Connection(port)
    call = chat(False, 1000)
    connection.send([b"".join(client.request("POST", call.path, call.body))])
    harness.wait_for("it is lost", lambda: sum(receiver.totals("inferwire.calls.lost").values()) == 1)
    assert run.process and run.process.poll() is None
    assert not any(judge.counts(receiver, "concurrent_requests").values())
    connection.close()
    run.stop()
    assert run.calls() == []
