"""A private installation for each test: the built command and library, and an agent to play with."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
HERE = pathlib.Path(__file__).resolve().parent


def pytest_configure():
    """Who runs the tests in the background of a shell has SIGINT ignored; so would have what is tested."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Installation:
    """PREFIX/bin and PREFIX/lib, a ring directory, and a log of what the agent was started with."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.bin = prefix / "bin"
        self.rings = prefix / "rings"
        self.agent_log = prefix / "agent.log"
        self.library = prefix / "lib" / "libinferwire.so"
        self.inferwire = self.bin / "inferwire"
        self.script = self.bin / "inferwire-run"
        self.agent = self.bin / "inferwire-agent"
        for folder in (self.bin, prefix / "lib"):
            folder.mkdir()
        shutil.copy(BUILD / "inferwire", self.inferwire)
        shutil.copy(BUILD / "libinferwire.so", self.library)
        shutil.copy(ROOT / "tools" / "inferwire-run", self.script)
        self.agent.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE}/stand_in_agent.py "$@"\n')
        self.agent.chmod(0o755)

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(("OTEL_", "INFERWIRE_", "LD_"))}
        env.update(INFERWIRE_DIR=str(self.rings), STAND_IN_LOG=str(self.agent_log))
        env.update({k: str(v) for k, v in more.items()})
        return env

    def run(self, *arguments, **more):
        """`inferwire run ARGUMENTS`, ended."""
        return subprocess.run([self.inferwire, "run", *map(str, arguments)], text=True,
                              capture_output=True, timeout=30, env=self.environment(**more))

    def start(self, *arguments, **more):
        """`inferwire run ARGUMENTS`, running."""
        return subprocess.Popen([self.inferwire, "run", *map(str, arguments)], text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=self.environment(**more))

    def agent_starts(self):
        """Process ids of the agents that were started for the directory, in order."""
        if not self.agent_log.exists():
            return []
        lines = self.agent_log.read_text().splitlines()
        return [int(line.split()[1]) for line in lines if line.startswith("start ")]

    def ring_files(self):
        return sorted(p.name for p in self.rings.glob("*.ring"))


@pytest.fixture
def installed(tmp_path):
    return Installation(tmp_path)


@pytest.fixture
def public():
    """An installation that other users can reach: pytest's own folders are closed to them."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Installation(pathlib.Path(folder))


@pytest.fixture
def running(installed):
    """Starts a process that says "ready", and ends it after the test."""
    started = []

    def start(*command, **environment):
        process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True,
                                   env=installed.environment(**environment))
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process.pid

    yield start
    for process in started:
        process.kill()
        process.communicate()
