"""What is not to be watched runs as if nothing had been preloaded."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import client
import harness
import pytest
from otlp_receiver import OtlpReceiver

# Everything that is hooked, in a program of which every call can be told: a listener, a conversation
# in both directions, duplicates, a child.
PROGRAM = """
import os, socket, sys
os.write(2, b"begin")
server = socket.create_server(("127.0.0.1", 0))
near = socket.create_connection(server.getsockname())
far, _ = server.accept()
near.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
far.recv(100)
far.sendmsg([b"HTTP/1.1 200 OK\\r\\n", b"content-length: 0\\r\\n\\r\\n"])
near.recv(100)
os.read(os.dup(far.fileno()), 0)
os.writev(far.fileno(), [b"a", b"b"])
far.shutdown(socket.SHUT_WR)
pid = os.fork()
if pid == 0:
    far.close()
    os._exit(0)
os.waitpid(pid, 0)
far.close()
near.close()
os.write(2, b"end")
"""


def strace(tmp_path: Path, environment: dict[str, str]) -> list[str]:
    """The system calls of the program's own part, in order, by process; without what differs each time."""
    out = tmp_path / "trace"
    command = ["strace", "-f", "-s", "200", "-o", str(out), sys.executable, "-S", "-E", "-c", PROGRAM]
    done = subprocess.run(
        command, env=harness.clean_environment() | environment, capture_output=True, text=True
    )
    if "begin" not in done.stderr:
        pytest.skip(f"strace cannot trace here: {done.stderr[-200:]}")
    lines = [re.sub(r"^\d+ +", "", line) for line in out.read_text().splitlines()]
    first = next(n for n, line in enumerate(lines) if '"begin"' in line)
    lines = [line for line in lines[first:] if not line.startswith(("---", "+++")) and "resumed" not in line]
    # Only the names: addresses, ports and pids are others each time. Where the heap begins is random, and
    # with it whether it grows once more.
    names = (re.split(r"[(<]", line)[0] for line in lines)
    return sorted(name for name in names if name != "brk")


needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="strace is missing: make deps")


@needs_strace
@pytest.mark.parametrize(
    "switch",
    [{}, {"INFERWIRE_ENABLED": "0"}, {"INFERWIRE_ENABLED": "1", "OTEL_SDK_DISABLED": "true"}],
    ids=["no switch", "switched off", "SDK disabled"],
)
def test_no_system_call_more(tmp_path: Path, switch: dict[str, str]) -> None:
    rings = tmp_path / "rings"
    plain = strace(tmp_path, {})
    watched = strace(tmp_path, {"LD_PRELOAD": str(harness.LIBRARY), "INFERWIRE_DIR": str(rings), **switch})
    assert watched == plain
    assert not rings.exists()


@needs_strace
def test_the_trace_would_show_a_watched_program(tmp_path: Path) -> None:
    """Or the test above could not fail."""
    more = {"INFERWIRE_ENABLED": "1", "INFERWIRE_AGENT": "external", "INFERWIRE_DIR": str(tmp_path / "rings")}
    assert strace(tmp_path, {"LD_PRELOAD": str(harness.LIBRARY), **more}) != strace(tmp_path, {})


@pytest.mark.parametrize(
    "more",
    [{"INFERWIRE_ENABLED": "0"}, {"OTEL_SDK_DISABLED": "true"}, {"INFERWIRE_ONLY": "vllm,llama-server"}],
    ids=lambda m: next(iter(m)),
)
def test_a_server_that_is_not_meant(watch, receiver: OtlpReceiver, more: dict[str, str]) -> None:
    run = watch(harness.uvicorn("asyncio", "h11")).start(harness.preloaded, receiver.endpoint, **more)
    assert client.get(run.server.address, "/health").status == 200
    run.stop()
    assert not list(run.directory.iterdir())
    assert receiver.bodies == []


def test_programs_that_serve_nothing_leave_nothing(tmp_path: Path) -> None:
    """An enabled shell and what it starts: nobody of them listens, so there is no ring and no agent."""
    rings = tmp_path / "rings"
    environment = harness.clean_environment() | {
        "LD_PRELOAD": str(harness.LIBRARY),
        "INFERWIRE_ENABLED": "1",
        "INFERWIRE_DIR": str(rings),
    }
    script = (
        "ls / | sort | wc -l; date; echo 'int x;' | cc -xc -c - -o /dev/null 2>/dev/null; env | grep -c PATH"
    )
    plain = subprocess.run(["/bin/sh", "-c", script], env=harness.clean_environment(), capture_output=True)
    under = subprocess.run(["/bin/sh", "-c", script], env=environment, capture_output=True)
    assert (under.returncode, under.stderr) == (plain.returncode, plain.stderr)
    assert len(under.stdout.splitlines()) == len(plain.stdout.splitlines())
    assert not rings.exists()
