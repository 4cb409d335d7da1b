"""What passes through the rings are prompts: no other user reads them, none can have them written elsewhere,
and no core dump holds them."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import client
import harness
import judge
import load
import pytest
from otlp_receiver import OtlpReceiver
from processes import compiled, ids_of_nobody, needs_root, nobody, process_server

EXTERNAL = {"INFERWIRE_AGENT": "external"}
CANARY = b"a canary that sings of what was asked"

# Listens once it is told to, by a line on its standard input; then says so, and waits for its end.
LISTENER = """
import socket, sys
sys.stdin.readline()
server = socket.create_server(("127.0.0.1", 0))
print("listens", flush=True)
sys.stdin.readline()
"""


class Listener:
    """A watched process that makes its ring when it is told to."""

    def __init__(self, directory: Path, **more: str) -> None:
        environment = harness.clean_environment() | {
            "LD_PRELOAD": str(harness.LIBRARY),
            "INFERWIRE_ENABLED": "1",
            "INFERWIRE_DIR": str(directory),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", LISTENER],
            env=environment | EXTERNAL | more,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ticks = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        self.name = f"{self.process.pid}-{ticks}"

    def listen(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "listens\n"

    def close(self) -> None:
        self.process.communicate("\n", timeout=10)
        assert self.process.returncode == 0


@pytest.fixture
def directory() -> Iterator[Path]:
    at = harness.ring_directory()
    yield at
    shutil.rmtree(at, ignore_errors=True)


@pytest.fixture
def listener() -> Iterator[Callable[..., Listener]]:
    made: list[Listener] = []

    def make(at: Path, **more: str) -> Listener:
        made.append(Listener(at, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def as_nobody(*command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["setpriv", *ids_of_nobody(), *command], capture_output=True, timeout=10)


def test_the_ring_is_made_in_a_directory_of_our_own(listener, directory: Path) -> None:
    """Or the tests below could not fail."""
    one = listener(directory)
    one.listen()
    (ring,) = directory.iterdir()
    assert ring.name == f"{one.name}-0.ring"
    assert ring.stat().st_mode & 0o777 == 0o400 and directory.stat().st_mode & 0o777 == 0o700


def test_a_missing_directory_is_made_private(listener, directory: Path) -> None:
    os.umask(os.umask(0))  # whatever it is
    listener(directory / "new").listen()
    assert (directory / "new").stat().st_mode & 0o777 == 0o700


@needs_root
def test_another_user_reads_nothing(listener, directory: Path) -> None:
    listener(directory).listen()
    (ring,) = directory.iterdir()
    assert as_nobody("cat", "/etc/hostname").returncode == 0
    assert b"Permission denied" in as_nobody("ls", str(directory)).stderr
    assert b"Permission denied" in as_nobody("cat", str(ring)).stderr
    # Also where somebody opened the directory: the files are closed by themselves.
    directory.chmod(0o711)
    assert b"Permission denied" in as_nobody("cat", str(ring)).stderr


@needs_root
def test_its_own_user_does_not_cut_a_ring_short(watch, receiver: OtlpReceiver) -> None:
    """A record past the end of its file would be a SIGBUS in the server. What writes to the ring by its name is
    refused, also where an agent had to open it as this user."""
    run = watch(process_server("threads"))
    os.chown(run.directory, *nobody())
    run.start(
        lambda command: harness.preloaded(["setpriv", *ids_of_nobody(), *command]),
        receiver.endpoint,
        INFERWIRE_CALL_LOG=str(run.directory / "calls.jsonl"),
    )
    run.call_log = run.directory / "calls.jsonl"
    (ring,) = run.directory.glob("*.ring")
    assert ring.stat().st_uid == nobody()[0]
    whole = ring.stat().st_size
    outcomes = load.run(run.server.address, load.scripted_plan(50, 41))
    harness.wait_for("an agent", run.agent_runs)
    for cutter in (["truncate", "-s", "0", str(ring)], ["sh", "-c", f": >{ring}"], ["cp", "/etc/hostname", str(ring)]):
        assert b"Permission denied" in as_nobody(*cutter).stderr
        assert ring.stat().st_size == whole
    outcomes += load.run(run.server.address, load.scripted_plan(50, 42))
    run.settle(load.counted(outcomes))
    run.stop()
    calls = run.calls()
    judge.check_all(receiver, calls, outcomes, "scripted")


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o750, 0o705, 0o701])
def test_a_directory_that_is_open_to_others(listener, directory: Path, mode: int) -> None:
    directory.chmod(mode)
    listener(directory).listen()
    assert not list(directory.iterdir())


def run_agent(directory: Path) -> subprocess.CompletedProcess[str]:
    """One that is to refuse the directory."""
    environment = harness.clean_environment() | {"INFERWIRE_DIR": str(directory)}
    return subprocess.run([str(harness.AGENT)], env=environment, capture_output=True, text=True, timeout=10)


@needs_root
def test_a_directory_that_another_user_made_before(listener, directory: Path) -> None:
    os.chown(directory, *nobody())
    listener(directory).listen()
    assert not list(directory.iterdir())
    told = run_agent(directory)
    assert told.returncode == 2 and "belongs to another user" in told.stderr


def who_was_first(kind: str, at: Path, victims: Path) -> list[str]:
    """What another user puts in the place of a directory that is to be made in a folder open to all."""
    return {
        "directory": ["mkdir", "-m", "700", str(at)],
        "open directory": ["mkdir", "-m", "777", str(at)],
        "file": ["touch", str(at)],
        "pipe": ["mkfifo", "-m", "666", str(at)],
        "link to a directory of the victim's": ["ln", "-s", str(victims), str(at)],
        "dangling link": ["ln", "-s", f"{victims}/new", str(at)],
    }[kind]


@needs_root
@pytest.mark.parametrize("kind", ["directory", "open directory", "file", "pipe", "link to a directory of the victim's", "dangling link"])
@pytest.mark.parametrize("sticky", [True, False], ids=["as /dev/shm", "not sticky"])
def test_another_user_was_there_first(listener, directory: Path, kind: str, sticky: bool) -> None:
    """Nothing is written, by the shim or by the agent, and the server does not notice."""
    victims = directory / "own"
    victims.mkdir(0o700)
    directory.chmod(0o1777 if sticky else 0o777)
    at = directory / "inferwire"
    assert as_nobody(*who_was_first(kind, at, victims)).returncode == 0
    there = at.lstat()
    listener(at).listen()
    agent = run_agent(at)
    assert agent.returncode == 2 and agent.stderr.count("\n") == 1, agent.stderr
    assert at.lstat().st_ino == there.st_ino and at.lstat().st_uid == nobody()[0]
    assert not list(victims.iterdir()) and not (at.is_dir() and list(at.iterdir()))


@needs_root
def test_what_another_user_planted_in_the_directory(listener, directory: Path) -> None:
    """While it stood open: what lies at the names that are ours is neither written nor read as a ring."""
    directory.chmod(0o777)
    one = listener(directory)
    planted = [directory / f"{one.name}-0.new", directory / f"{one.name}-0.ring", directory / "1-1-0.ring"]
    for at in planted:
        assert as_nobody("sh", "-c", f"echo planted >{at}; chmod 666 {at}").returncode == 0
    directory.chmod(0o700)
    one.listen()
    assert [at.read_text() for at in planted[:2]] == ["planted\n"] * 2
    rings = [r for r in directory.glob("*.ring") if r.stat().st_size > 8192]
    assert len(rings) == 1 and rings[0].stat().st_uid == os.geteuid()


def test_a_link_in_the_place_of_the_directory(listener, directory: Path) -> None:
    elsewhere, link = directory / "elsewhere", directory / "link"
    elsewhere.mkdir(0o700)
    link.symlink_to(elsewhere)
    listener(link).listen()
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("suffix", ["new", "ring"])
@pytest.mark.parametrize("kind", ["symbolic", "hard", "dangling", "file"])
def test_the_name_of_the_ring_is_taken(
    listener, directory: Path, tmp_path: Path, kind: str, suffix: str
) -> None:
    """By somebody who knows the process: what is there is not opened, and not written through."""
    victim, at = directory.parent / f"{directory.name}.victim", directory
    victim.write_bytes(b"precious")
    try:
        one = listener(at)
        taken = at / f"{one.name}-0.{suffix}"
        if kind == "symbolic":
            taken.symlink_to(victim)
        elif kind == "hard":
            taken.hardlink_to(victim)
        elif kind == "dangling":
            taken.symlink_to(at / "nowhere")
        else:
            taken.write_bytes(b"precious")
        one.listen()
        assert victim.read_bytes() == b"precious"
        assert not (at / "nowhere").exists()
        rings = [r for r in at.glob("*.ring") if r.is_file() and r.stat().st_size > 8192]
        assert len(rings) == 1 and rings[0].lstat().st_nlink == 1 and not rings[0].is_symlink()
        assert kind != "file" or taken.read_bytes() == b"precious"
    finally:
        victim.unlink()


@pytest.mark.parametrize("name", ["agent.lock", "agent.log", "status.json.new"])
def test_what_the_agent_writes_goes_through_no_link(directory: Path, listener, name: str) -> None:
    victim = directory.parent / f"{directory.name}.victim"
    victim.write_bytes(b"precious")
    (directory / name).symlink_to(victim)
    try:
        listener(directory).listen()
        agent = subprocess.Popen(
            [str(harness.AGENT), "--started-by-shim"],
            env=harness.clean_environment() | {"INFERWIRE_DIR": str(directory), "OTEL_METRICS_EXPORTER": "none"},
            stderr=subprocess.DEVNULL,
        )
        time.sleep(1.5)
        agent.terminate()
        agent.wait(10)
        assert victim.read_bytes() == b"precious"
    finally:
        victim.unlink()


# ---- core dumps -------------------------------------------------------------------------------------


def flags_of(pid: int, path: str) -> list[set[str]]:
    """VmFlags of the mappings of a file: proc(5), /proc/PID/smaps."""
    found, ours = [], False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if line.split()[0].count("-") == 1 and ":" not in line.split()[0]:
            ours = line.endswith(path)
        elif ours and line.startswith("VmFlags:"):
            found.append(set(line.split()[1:]))
    return found


def forgetful(tmp_path: Path, directory: Path) -> tuple[subprocess.Popen[bytes], int]:
    program, port = compiled(tmp_path, harness.SERVERS / "forgetful_server.c"), harness.free_port()
    environment = harness.clean_environment() | {
        "LD_PRELOAD": str(harness.LIBRARY),
        "INFERWIRE_ENABLED": "1",
        "INFERWIRE_DIR": str(directory),
    }
    server = subprocess.Popen([str(program), str(port)], env=environment | EXTERNAL)
    harness.wait_for("it listens", lambda: reachable(port))
    return server, port


def reachable(port: int) -> bool:
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(not shutil.which("gdb"), reason="gdb is missing: make deps")
def test_a_core_of_the_server_has_no_ring(directory: Path, tmp_path: Path) -> None:
    server, port = forgetful(tmp_path, directory)
    try:
        parts = client.request("POST", "/v1/chat/completions", CANARY)
        assert client.Connection(port).call([b"".join(parts)]).status == 200
        (ring,) = directory.glob("*.ring")
        assert CANARY in ring.read_bytes()
        mapped = flags_of(server.pid, ring.name)
        assert mapped and all("dd" in flags for flags in mapped), mapped
        # core(5): mappings of every kind, as an administrator may have set it.
        Path(f"/proc/{server.pid}/coredump_filter").write_text("0xff")
        core = tmp_path / "core"

        def dumped(*how: str) -> bool:
            commands = [*how, f"generate-core-file {core}"]
            arguments = [a for c in commands for a in ("-ex", c)]
            subprocess.run(
                ["gdb", "-nx", "-batch", "-p", str(server.pid), *arguments],
                capture_output=True,
                check=True,
                timeout=60,
            )
            return CANARY in core.read_bytes()

        assert not dumped()
        assert dumped("set dump-excluded-mappings on")  # or the line above could not fail
    finally:
        server.kill()
        server.wait()
