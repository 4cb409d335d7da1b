"""inferwire-run: the same start in shell."""
import os
import signal
import subprocess
import sys

import pytest

from isolation import CONTAINER, needs_container

from conftest import HERE

LISTENER = [sys.executable, str(HERE / "listener.py")]


def run(installed, *arguments, prefix=(), **more):
    return subprocess.run([*prefix, installed.script, *arguments], text=True, capture_output=True,
                          timeout=30, env=installed.environment(**more))


EVERYWHERE = [(), pytest.param(CONTAINER, marks=needs_container)]


@pytest.mark.parametrize("prefix", EVERYWHERE)
@pytest.mark.parametrize("status", [0, 7, 255])
def test_exit_status_is_the_commands(installed, prefix, status):
    assert run(installed, "sh", "-c", f"exit {status}", prefix=prefix).returncode == status


@pytest.mark.parametrize("prefix", EVERYWHERE)
@pytest.mark.parametrize("before, after", [
    ("", "{0}"), ("libc.so.6", "libc.so.6:{0}"), ("{0}", "{0}"), ("{0}:libc.so.6", "{0}:libc.so.6"),
    ("libc.so.6 {0}", "libc.so.6 {0}"), ("{0} libc.so.6", "{0} libc.so.6")])
def test_library_is_appended_once(installed, prefix, before, after):
    done = run(installed, "sh", "-c", 'echo "$LD_PRELOAD|$INFERWIRE_ENABLED"', prefix=prefix,
               LD_PRELOAD=before.format(installed.library))
    assert done.stdout == f"{after.format(installed.library)}|1\n"


@pytest.mark.parametrize("arguments", [[], ["--"], ["no-such-server"], ["--", "/no/such/server"]])
def test_wrong_usage_is_one_line_and_status_2(installed, arguments):
    done = run(installed, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_missing_library(installed):
    installed.library.unlink()
    done = run(installed, "true")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "libinferwire.so" in done.stderr


def test_is_the_same_process(installed):
    running = subprocess.Popen([installed.script, "sh", "-c", "echo $$"], stdout=subprocess.PIPE,
                               text=True, env=installed.environment())
    assert int(running.communicate(timeout=10)[0]) == running.pid


@needs_container
@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 5), (signal.SIGINT, 130)])
def test_process_1_passes_signals_on_and_waits_for_the_export(installed, number, status):
    running = subprocess.Popen([*CONTAINER, installed.script, *LISTENER, "20"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               env=installed.environment(STAND_IN_EXPORT_S=0.5))
    assert running.stdout.readline() == "ready\n"
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(running.pid)], text=True,
                              capture_output=True).stdout.split()
    os.kill(int(children[0]), number)
    assert running.wait(timeout=10) == status
    assert installed.ring_files() == []
    running.communicate()
