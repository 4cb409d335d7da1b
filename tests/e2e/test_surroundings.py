"""What a server may be surrounded by: other preloaded libraries, namespaces, a read-only root, thousands of
descriptors. Its clients get the same bytes, and the numbers are what they got."""

import glob
import os
import resource
import signal
import subprocess
from pathlib import Path

import client
import harness
import judge
import load
import pytest
import runtimes
import twins
from otlp_receiver import OtlpReceiver
from processes import compiled


def uvicorn() -> harness.Server:
    return harness.uvicorn("uvloop", "httptools")


# ---- other preloaded libraries ------------------------------------------------------------------------

ALLOCATORS = {"jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc_minimal.so.4"}


@pytest.mark.parametrize("order", ["before", "behind"])
@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_an_allocator_is_preloaded(watch, allocator: str, order: str, receiver: OtlpReceiver) -> None:
    """As images of inference servers do it."""
    found = glob.glob(f"/usr/lib/*/{ALLOCATORS[allocator]}")
    assert found, f"{ALLOCATORS[allocator]}: make deps"
    preload = [found[0], str(harness.LIBRARY)] if order == "before" else [str(harness.LIBRARY), found[0]]

    def preloaded(command: list[str]) -> tuple[list[str], dict[str, str]]:
        return command, {"LD_PRELOAD": " ".join(preload), "INFERWIRE_ENABLED": "1"}

    run = twins.check(watch, uvicorn(), uvicorn(), load.scripted_plan(60, 10), receiver, way=preloaded)
    assert "ERROR" not in run.output.read_text()


SANITIZED = {
    "gcc, address": (["gcc", "-fsanitize=address"], "libasan.so"),
    "gcc, threads": (["gcc", "-fsanitize=thread"], None),
    "clang, address": (["clang", "-fsanitize=address"], None),
}


@pytest.mark.parametrize("name", SANITIZED)
def test_a_program_with_a_sanitizer(watch, tmp_path: Path, name: str, receiver: OtlpReceiver) -> None:
    """gcc's for addresses is to be preloaded before the shim: by itself, it ends under any preloaded library."""
    command, first = SANITIZED[name]
    source, port = harness.SERVERS / "forgetful_server.c", harness.free_port()
    program = compiled(tmp_path, source, "-g", compiler=command)
    runtime = [subprocess.check_output([command[0], f"-print-file-name={first}"], text=True).strip()] if first else []
    variables = {"LD_PRELOAD": " ".join([*runtime, str(harness.LIBRARY)]), "INFERWIRE_ENABLED": "1"}
    run = watch(harness.Server(name, [program, str(port)], port, "unknown", is_scripted=False))
    run.start(lambda command: (command, variables), receiver.endpoint)
    for _ in range(3):
        assert client.get(port, "/health").status == 200
    harness.wait_for("the connections", lambda: judge.connections(receiver) == {"kind=http": 4})
    run.stop()
    assert "Sanitizer" not in run.output.read_text()


# ---- namespaces and a read-only root ---------------------------------------------------------------------

NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
READ_ONLY = 'mount --make-rprivate / && mount -o remount,bind,ro / && exec "$@"'


def works(*command: str) -> bool:
    try:
        return subprocess.run([*command, "true"], capture_output=True, timeout=10).returncode == 0
    except OSError:
        return False


needs_pid_namespace = pytest.mark.skipif(not works(*NAMESPACE), reason="unshare --pid: not allowed here")
read_only = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh"]
needs_read_only = pytest.mark.skipif(not works(*read_only), reason="unshare --mount: not allowed here")


def child_of(process: subprocess.Popen[bytes]) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(children[0])


@needs_pid_namespace
def test_the_first_process_of_a_pid_namespace(watch, receiver: OtlpReceiver) -> None:
    """As in a container: the wrapper is process 1, and stays until the last export."""

    def contained(command: list[str]) -> tuple[list[str], dict[str, str]]:
        return [*NAMESPACE, str(harness.COMMAND), "run", "--", *command], {}

    run = watch(uvicorn()).start(contained, receiver.endpoint)
    outcomes = load.run(run.server.address, load.scripted_plan(80, seed=11))
    run.settle(load.counted(outcomes))
    assert run.process
    os.kill(child_of(run.process), signal.SIGTERM)
    run.process.wait(30)
    judge.check_all(receiver, run.calls(), outcomes, "scripted")


@needs_read_only
def test_a_read_only_root(watch, receiver: OtlpReceiver) -> None:
    """Of which only /dev/shm can be written, as in a hardened container."""

    def hardened(command: list[str]) -> tuple[list[str], dict[str, str]]:
        command, variables = harness.preloaded(command)
        return ["env", *read_only, "env", *(f"{k}={v}" for k, v in variables.items()), *command], {}

    run = watch(uvicorn())
    if run.directory.parent != Path("/dev/shm"):
        pytest.skip("/dev/shm cannot be written here")
    run.call_log = run.directory / "calls.jsonl"
    run.start(hardened, receiver.endpoint)
    outcomes = load.run(run.server.address, load.scripted_plan(80, seed=12))
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")


# ---- descriptors ------------------------------------------------------------------------------------------


def highest() -> int:
    """Where the accepted sockets are to lie: above 65,536 where this user may raise the limit."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limits[0], max(limits[1], 80_000)))
    except (ValueError, PermissionError):
        return limits[1] - 4000
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    return 70_000


@pytest.mark.parametrize("runtime", ["uvicorn", "http_server"])
def test_descriptors_with_high_numbers(watch, runtime: str, receiver: OtlpReceiver) -> None:
    def high() -> harness.Server:
        server = uvicorn() if runtime == "uvicorn" else runtimes.plain(runtime)
        wrapper = [runtimes.PYTHON, str(runtimes.SERVERS / "high_descriptors.py"), str(highest())]
        server.command = [*wrapper, *server.command]
        return server

    plan = load.scripted_plan(60, seed=13, leaves_early=runtime == "uvicorn")
    twins.check(watch, high(), high(), plan, receiver)
