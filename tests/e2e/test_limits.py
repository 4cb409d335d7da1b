"""Servers under limits on descriptors, files, addresses and memory."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import client
import harness
import load
import pytest
from otlp_receiver import OtlpReceiver
from processes import compiled, needs_root, process_server, serve_and_judge

# As many descriptors as the administrator allows: a million by the kernel's own default.
MANY = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def limited(server: harness.Server, *limits: str) -> harness.Server:
    server.command = ["prlimit", *limits, "--", *server.command]
    return server


@pytest.mark.parametrize(
    "limit",
    ["--nofile=64", f"--nofile={MANY}", f"--fsize={4 * 2**20}", f"--as={2**31}"],
    ids=["64 descriptors", "as many as are allowed", "files of 4 MiB", "2 GiB of addresses"],
)
def test_a_limit_that_leaves_room(watch, limit: str, receiver: OtlpReceiver) -> None:
    """A file beyond RLIMIT_FSIZE would be a SIGXFSZ in the server: the ring is smaller."""
    run = watch(limited(process_server("threads"), limit)).start(harness.preloaded, receiver.endpoint)
    serve_and_judge(run, receiver)


@pytest.mark.parametrize("limit", ["--fsize=65536", "--as=450000000"], ids=["files of 64 KiB", "few addresses"])
def test_a_limit_that_leaves_none(watch, limit: str, receiver: OtlpReceiver) -> None:
    """No ring, and a server that does not notice."""
    run = watch(limited(process_server("threads"), limit)).start(harness.preloaded, receiver.endpoint)
    load.run(run.server.address, load.scripted_plan(60, seed=35))
    assert not list(run.directory.glob("*.ring"))
    run.end_server()


@needs_root
def test_shared_memory_that_fills_up_later(watch, tmp_path: Path, receiver: OtlpReceiver) -> None:
    """The ring has its memory from the start: a page that a full tmpfs cannot give would be a SIGBUS."""
    memory, port = tmp_path / "memory", harness.free_port()
    memory.mkdir(0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(memory)]).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        program = compiled(tmp_path, harness.SERVERS / "forgetful_server.c")
        run = watch(harness.Server("C", [program, str(port)], port, "unknown", is_scripted=False))
        run.directory = memory
        run.start(harness.preloaded, receiver.endpoint, INFERWIRE_AGENT="external")
        (ring,) = memory.glob("*.ring")
        with pytest.raises(OSError), open(memory / "others", "wb", 0) as others:
            while True:
                others.write(bytes(65536))
        connection = client.Connection(port)
        for _ in range(ring.stat().st_size // 4000):  # more than is there for one descriptor
            parts = client.request("POST", load.CHAT, bytes(4000))
            assert connection.call([b"".join(parts)]).status == 200
        connection.close()
        assert run.end_server() == -signal.SIGTERM
    finally:
        subprocess.run(["umount", "--lazy", str(memory)], check=True)


# Has no descriptor left but those for what it accepts; after the health check and one call it closes some.
EXHAUSTED = """
import json, os, resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(sys.argv[1])))
spare = [os.dup(0) for _ in range(64 - 1 - len(os.listdir("/proc/self/fd")) + 1)]
server.listen()
body = json.dumps({"object": "chat.completion", "model": "tiny-a", "choices": []}).encode()
head = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\nconnection: close\\r\\ncontent-length: %d\\r\\n\\r\\n"
for n in range(1000):
    if n:
        os.close(spare.pop())
    if n == 2:
        while len(spare) > 20:
            os.close(spare.pop())
    connection, _ = server.accept()
    connection.recv(65536)
    connection.sendall(head % len(body) + body)
    connection.close()
"""


def test_descriptors_that_are_used_up_when_it_listens(watch, receiver: OtlpReceiver) -> None:
    """The ring waits for the next accept that leaves some free."""
    server = process_server("threads")
    server.command = [sys.executable, "-c", EXHAUSTED, str(server.address)]
    run = watch(server).start(harness.preloaded, receiver.endpoint)
    for n in range(3):
        body = load.sized({"model": "tiny-a", "messages": []}, 100 + n)
        parts = client.request("POST", load.CHAT, body, {"connection": "close"})
        assert client.Connection(run.server.address).call([b"".join(parts)]).status == 200
    harness.wait_for("an agent", run.agent_runs)
    run.stop()
    # The first connections came while there was none.
    assert [c["request_bytes"] for c in run.calls()] == [101, 102]


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@needs_root
def test_locked_memory(watch, receiver: OtlpReceiver) -> None:
    """mlockall(MCL_FUTURE) fills in every later mapping: not the tables of a million descriptors."""
    run = watch(process_server("threads", "--lock-memory")).start(harness.preloaded, receiver.endpoint)
    assert run.process
    raw = watch(process_server("threads", "--lock-memory")).start(harness.not_at_all, receiver.endpoint)
    assert raw.process
    assert resident(run.process.pid) - resident(raw.process.pid) < 24 * 2**20
    raw.end_server()
    serve_and_judge(run, receiver, n=60)


def test_a_file_limit_does_not_kill(watch, tmp_path: Path, receiver: OtlpReceiver) -> None:
    """SIGXFSZ, which Python ignores, ends a program in C."""
    program, port = compiled(tmp_path, harness.SERVERS / "forgetful_server.c"), harness.free_port()
    server = limited(harness.Server("C", [program, str(port)], port, "scripted", True), "--fsize=65536")
    run = watch(server).start(harness.preloaded, receiver.endpoint)
    assert not list(run.directory.glob("*.ring"))
    assert client.get(port, "/health").status == 200
    run.end_server()
