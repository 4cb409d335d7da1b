"""Servers of other languages and a proxy, each in what servers are surrounded by in images and containers:
other preloaded libraries, a seccomp filter, a PID namespace, a read-only root, no shared memory. Clients get
what they get of a server that is not watched and not surrounded."""

import glob
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import harness
import judge
import load
import playbook
import players
import proxies
import pytest
from otlp_receiver import OtlpReceiver
from players import answer, wait_until_idle

PLAN = load.scripted_plan(40, seed=25, leaves_early=False)


def nginx(watch, home: Path, receiver: OtlpReceiver) -> harness.Server:
    proxy = proxies.PROXIES[0]
    if missing := proxy.missing():
        pytest.skip(missing)
    engine = watch(harness.uvicorn("uvloop", "httptools", "--timeout-keep-alive", "60"))
    engine.start(harness.not_at_all, receiver.endpoint)
    return proxy.server(home, engine.server.address)


def player(runtime: players.Runtime) -> Callable[..., harness.Server]:
    def make(watch, home: Path, receiver: OtlpReceiver) -> harness.Server:
        playbook.write(home, PLAN)
        return runtime.server(home)

    return make


SERVERS = {"nginx": nginx, "node": player(players.NODE), "axum": player(players.AXUM)}


def allocator(name: str, *more: str) -> harness.Way:
    def way(command: list[str]) -> tuple[list[str], dict[str, str]]:
        found = glob.glob(f"/usr/lib/*/{name}")
        assert found, f"{name}: sh tools/deps.sh check"
        preload = ":".join([found[0], *more, str(harness.LIBRARY)])
        return command, {"LD_PRELOAD": preload, "INFERWIRE_ENABLED": "1"}

    return way


def inside(*wrapper: str) -> harness.Way:
    """Only the server is preloaded into, not what brings its surroundings about."""

    def way(command: list[str]) -> tuple[list[str], dict[str, str]]:
        command, variables = harness.preloaded(command)
        return [*wrapper, "env", *(f"{k}={v}" for k, v in variables.items()), *command], {}

    return way


def contained(command: list[str]) -> tuple[list[str], dict[str, str]]:
    """The wrapper is process 1, and stays until the last export."""
    namespace = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    return [*namespace, str(harness.COMMAND), "run", "--", *command], {}


NO_SHM = 'mount --make-rprivate / && mount -t tmpfs -o size=16k none /dev/shm && exec "$@"'
FILTERED = [sys.executable, str(harness.SERVERS / "filtered.py")]

SURROUNDINGS: dict[str, harness.Way] = {
    "jemalloc": allocator("libjemalloc.so.2"),
    "tcmalloc and another copy of the shim": allocator("libtcmalloc_minimal.so.4", "{copy}"),
    "seccomp": inside(*FILTERED),
    "PID namespace": contained,
    "read-only root": inside("bwrap", "--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--bind", "{home}", "{home}"),
    "full /dev/shm": inside("unshare", "--mount", "sh", "-c", NO_SHM, "sh"),
}


def in_place(way: harness.Way, home: Path) -> harness.Way:
    """The way with the paths of this test."""
    copy = home / "copy.so"
    copy.write_bytes(harness.LIBRARY.read_bytes())

    def filled(text: str) -> str:
        return text.replace("{copy}", str(copy)).replace("{home}", str(home))

    def placed(command: list[str]) -> tuple[list[str], dict[str, str]]:
        command, variables = way(command)
        return [filled(c) for c in command], {k: filled(v) for k, v in variables.items()}

    return placed


def works(way: harness.Way) -> bool:
    command, _ = way(["true"])
    return subprocess.run(command, capture_output=True, timeout=20).returncode == 0


def end(run: harness.Run) -> None:
    """Ends the server itself: what it is surrounded by may pass no signal on."""
    assert run.process
    pid = run.process.pid
    while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if Path(f"/proc/{pid}/comm").read_text().strip() not in ("unshare", "bwrap", "sh", "env"):
            break
        pid = int(children[0])
    os.kill(pid, signal.SIGTERM)
    run.process.wait(30)
    harness.wait_for("the agent ends", lambda: not run.agent_runs(), 30)


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.parametrize("server", SERVERS)
def test_nothing_changes(watch, tmp_path: Path, receiver: OtlpReceiver, server: str, surroundings: str) -> None:
    way = in_place(SURROUNDINGS[surroundings], tmp_path)
    if not works(way):
        pytest.skip(f"{surroundings}: not allowed here")
    made = SERVERS[server](watch, tmp_path, receiver)
    plain = watch(made).start(harness.not_at_all, receiver.endpoint)
    expected = load.run(made.address, PLAN)
    wait_until_idle(made)
    plain.stop()

    run = watch(made).start(way, receiver.endpoint)
    outcomes = load.run(made.address, PLAN)
    wait_until_idle(made)
    end(run)
    assert [answer(o) for o in outcomes] == [answer(o) for o in expected]
    if surroundings == "full /dev/shm":
        assert run.calls() == [] and receiver.bodies == []
    else:
        judge.check_all(receiver, run.calls(), outcomes, "scripted")
