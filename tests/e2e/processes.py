"""Servers whose processes do more than serve (tests/servers/process_server.py), and what holds for all of them."""

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import harness
import judge
import load
import pytest
from otlp_receiver import OtlpReceiver

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def process_server(life: str, *more: str) -> harness.Server:
    port = harness.free_port()
    command = [sys.executable, str(harness.SERVERS / "process_server.py"), "--port", str(port)]
    return harness.Server(life, [*command, "--life", life, *more], port, "scripted", is_scripted=True)


def all_private(directory: Path) -> bool:
    """The directory and what is in it: of this user, and open to no other."""
    for entry in [directory, *directory.iterdir()]:
        try:
            found = entry.lstat()
        except FileNotFoundError:  # it has its last name by now
            continue
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            return False
    return True


def serve_and_judge(run: harness.Run, receiver: OtlpReceiver, n: int = 200, seed: int = 31) -> None:
    outcomes = load.run(run.server.address, load.scripted_plan(n, seed))
    run.settle(load.counted(outcomes))
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")


def nobody() -> tuple[int, int]:
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def ids_of_nobody() -> list[str]:
    uid, gid = nobody()
    return ["--reuid", str(uid), "--regid", str(gid), "--clear-groups"]


def compiled(home: Path, source: Path, *flags: str, compiler: Sequence[str] = ("cc",)) -> str:
    program = home / source.stem
    command = [*compiler, "-O2", f"-I{harness.ROOT}", "-o", str(program), str(source), *flags]
    subprocess.run(command, check=True)
    return str(program)
