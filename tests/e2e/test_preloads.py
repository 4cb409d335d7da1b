"""The shim among other preloaded objects, and beside a second copy of itself."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import harness
import judge
import load
import pytest
from otlp_receiver import OtlpReceiver

SIBLING = harness.ROOT / "tests" / "shim" / "sibling.c"
# Serves itself a connection, forks, and ends.
PROGRAM = """
import os, socket
server = socket.create_server(("127.0.0.1", 0))
near = socket.create_connection(server.getsockname())
far, _ = server.accept()
os.write(near.fileno(), b"GET / HTTP/1.1\\r\\n\\r\\n")
print(os.read(far.fileno(), 100))
if os.fork() == 0:
    os._exit(0)
os.wait()
far.close()
print("done")
"""


@pytest.fixture(scope="module")
def sibling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    at = tmp_path_factory.mktemp("sibling") / "libsibling.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-w", "-o", str(at), str(SIBLING)], check=True)
    yield at


def outcome(preload: list[Path], directory: Path) -> tuple[int, str, str]:
    environment = harness.clean_environment() | {
        "LD_PRELOAD": " ".join(map(str, preload)),
        "INFERWIRE_ENABLED": "1",
        "INFERWIRE_AGENT": "external",
        "INFERWIRE_DIR": str(directory),
    }
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("order", ["before", "behind"])
def test_a_neighbour_that_does_all_it_may(sibling: Path, order: str) -> None:
    """Sockets in its constructor and at exit, hooks of the same functions, a malloc that is not for us."""
    directory = harness.ring_directory()
    try:
        raw = outcome([sibling], directory)
        assert raw[0] == 0 and "constructor: conversed" in raw[2] and "exit: conversed" in raw[2]
        both = [sibling, harness.LIBRARY] if order == "before" else [harness.LIBRARY, sibling]
        assert outcome(both, directory) == raw
        assert len(list(directory.glob("*.ring"))) == 1
    finally:
        shutil.rmtree(directory)


@pytest.mark.parametrize("copies", [2, 3])
def test_copies_of_the_shim(watch, tmp_path: Path, copies: int, receiver: OtlpReceiver) -> None:
    """By LD_PRELOAD and by /etc/ld.so.preload, say: one works, and nothing is counted twice."""
    paths = [harness.LIBRARY]
    for n in range(1, copies):
        (tmp_path / str(n)).mkdir()
        # With the agent beside it, for it may be this one that starts it.
        os.symlink(harness.AGENT, tmp_path / str(n) / "inferwire-agent")
        paths.append(Path(shutil.copy(harness.LIBRARY, tmp_path / str(n))))
    preload = {"LD_PRELOAD": ":".join(map(str, paths)), "INFERWIRE_ENABLED": "1"}
    run = watch(harness.uvicorn("uvloop", "httptools"))
    run.start(lambda command: (command, preload), receiver.endpoint)
    assert len(list(run.directory.glob("*.ring"))) == 1
    outcomes = load.run(run.server.address, load.scripted_plan(100, seed=36))
    run.settle(load.counted(outcomes))
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")


def test_a_copy_that_is_opened_later(tmp_path: Path) -> None:
    """By dlopen, of another path: nobody calls its hooks, and by itself it does nothing."""
    copy = shutil.copy(harness.LIBRARY, tmp_path)
    directory = harness.ring_directory()
    program = f"import ctypes; ctypes.CDLL({str(copy)!r}, ctypes.RTLD_GLOBAL)\n" + PROGRAM
    environment = harness.clean_environment() | {
        "LD_PRELOAD": str(harness.LIBRARY),
        "INFERWIRE_ENABLED": "1",
        "INFERWIRE_AGENT": "external",
        "INFERWIRE_DIR": str(directory),
    }
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], env=environment, capture_output=True, text=True, timeout=60
    )
    try:
        assert (done.returncode, done.stderr) == (0, "")
        assert len(list(directory.glob("*.ring"))) == 1
    finally:
        shutil.rmtree(directory)
