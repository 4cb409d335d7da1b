"""What is not to be watched runs as if nothing had been preloaded."""

import json
import os
import pwd
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import client
import harness
import pytest
from otlp_receiver import OtlpReceiver
from processes import compiled

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


# What the loader does for any object that is preloaded.
LOADS = {"access", "openat", "read", "pread64", "newfstatat", "fstat", "mmap", "mprotect", "munmap", "close", "brk"}


@needs_strace
@pytest.mark.parametrize("switch", [{}, {"INFERWIRE_ENABLED": "0"}], ids=["no switch", "switched off"])
def test_the_constructor_asks_nothing(tmp_path: Path, switch: dict[str, str]) -> None:
    """What comes before the program's own part: the library is loaded, and no other file is opened."""

    def calls(**environment: str) -> tuple[Counter[str], Counter[str]]:
        trace = tmp_path / "trace"
        command = ["strace", "-o", str(trace), "/bin/true"]
        done = subprocess.run(command, env=harness.clean_environment() | environment, capture_output=True, text=True)
        lines = [line for line in trace.read_text().splitlines() if "(" in line]
        if done.returncode or not lines:
            pytest.skip(f"strace cannot trace here: {done.stderr[-200:]}")
        files = [m[1] for line in lines if (m := re.search(r'^openat\(AT_FDCWD, "([^"]*)"', line))]
        return Counter(line.partition("(")[0] for line in lines), Counter(files)

    bare_calls, bare_files = calls()
    more_calls, more_files = calls(LD_PRELOAD=str(harness.LIBRARY), **switch)
    assert set(more_calls - bare_calls) <= LOADS, more_calls - bare_calls
    assert more_files - bare_files == Counter([str(harness.LIBRARY)])


# ---- secure execution: the loader drops what is preloaded -------------------------------------------------

CAP_NET_RAW = 13  # of which a server on loopback has no use


def setuid(program: Path) -> None:
    os.chown(program, pwd.getpwnam("daemon").pw_uid, 0)
    program.chmod(0o4755)


def capable(program: Path) -> None:
    # What setcap(8) writes for cap_net_raw+ep: struct vfs_cap_data, revision 2, effective.
    os.setxattr(program, "security.capability", struct.pack("<5I", 0x02000001, 1 << CAP_NET_RAW, 0, 0, 0))


@pytest.fixture
def privileged() -> Iterator[Path]:
    """A server's program that everybody may run, on a file system that gives it its rights."""
    for place in ("/tmp", "/var/tmp", "/"):
        if not os.statvfs(place).f_flag & os.ST_NOSUID:
            break
    else:
        pytest.skip("every place is mounted nosuid")
    with tempfile.TemporaryDirectory(dir=place) as folder:
        os.chmod(folder, 0o755)
        yield Path(compiled(Path(folder), harness.SERVERS / "forgetful_server.c"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a program rights")
@pytest.mark.parametrize("way", [harness.preloaded, harness.by_command], ids=["preload", "run"])
@pytest.mark.parametrize("rights", [setuid, capable])
def test_a_program_of_more_rights_than_its_user(watch, privileged: Path, rights, way, receiver: OtlpReceiver) -> None:
    """It serves as ever, unseen, and is told: before it is started, and while it runs."""
    rights(privileged)
    port, nobody = harness.free_port(), pwd.getpwnam("nobody")
    server = harness.Server("privileged", [str(privileged), str(port)], port, "unknown", is_scripted=False)
    ids = ["setpriv", "--reuid", str(nobody.pw_uid), "--regid", str(nobody.pw_gid), "--clear-groups"]
    rings = privileged.parent / "rings"
    rings.mkdir(0o700)
    os.chown(rings, nobody.pw_uid, nobody.pw_gid)

    def as_nobody(command: list[str]) -> tuple[list[str], dict[str, str]]:
        command, variables = way(command)
        return [*ids, *command], variables

    def check(*what: str) -> tuple[int, dict]:
        command = [*ids, str(harness.COMMAND), "check", "--json", *what]
        done = subprocess.run(command, env=harness.clean_environment(), capture_output=True, text=True, timeout=30)
        return done.returncode, json.loads(done.stdout)

    status, told = check("--", str(privileged))
    assert (status, told["reason"]) == (1, "secure-execution")
    run = watch(server).start(as_nobody, receiver.endpoint, INFERWIRE_DIR=str(rings))
    assert client.get(port, "/v1/models").wire == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    assert run.process
    pid = int(subprocess.check_output(["pgrep", "-n", "-f", f"{privileged} {port}"]))
    assert "libinferwire" not in Path(f"/proc/{pid}/maps").read_text()
    as_root = [str(harness.COMMAND), "check", "--json", "--pid", str(pid)]
    told = json.loads(subprocess.run(as_root, capture_output=True, text=True, timeout=30).stdout)
    assert (told["state"], told["reason"]) == ("absent", "secure-execution")
    run.end_server()
    assert not list(rings.glob("*.ring"))


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
