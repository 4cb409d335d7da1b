"""What a watched server is when it has started: what it is without us, but for a mapping."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import harness
import pytest
from otlp_receiver import OtlpReceiver
from processes import process_server

# Prints what a process can find out about itself, when it listens and when it has accepted.
PROGRAM = """
import os, signal, socket, sys
def state(when):
    status = open("/proc/self/status").read().splitlines()
    kept = ("Threads", "SigP", "SigB", "SigI", "SigC", "ShdP", "Cap", "NoNewPrivs", "Seccomp", "Umask", "TracerPid", "Groups")
    print(when, [line for line in status if line.startswith(kept)])
    print(when, sorted(os.listdir("/proc/self/fd")), os.getcwd(), os.getsid(0) == os.getpid())
    print(when, sorted(k for k in os.environ if not k.startswith(("INFERWIRE", "LD_PRELOAD", "OTEL"))))
    print(when, open("/proc/self/limits").read())
    print(when, open("/proc/self/task/%d/children" % os.getpid()).read())
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
signal.signal(signal.SIGUSR2, lambda *_: None)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
server = socket.create_server(("127.0.0.1", 0))
state("listens")
near = socket.create_connection(server.getsockname())
far, _ = server.accept()
near.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
far.recv(100)
state("serves")
"""


def started(*before: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, sys.executable, "-S", "-c", PROGRAM],
        env=harness.clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
    )


@pytest.fixture
def watched():
    directory = harness.ring_directory()
    yield {
        "LD_PRELOAD": str(harness.LIBRARY),
        "INFERWIRE_ENABLED": "1",
        "INFERWIRE_DIR": str(directory),
        "OTEL_METRICS_EXPORTER": "none",
    }
    harness.wait_for_the_agents_end(directory)
    shutil.rmtree(directory)


@pytest.mark.parametrize("first", [True, False], ids=["first", "behind another"])
def test_the_process_is_as_it_was(watched: dict[str, str], first: bool) -> None:
    """Threads, signals, capabilities, descriptors, environment, limits, children; and nothing is printed. The
    first one in a directory finds no lock there to ask for an agent."""
    if not first:
        (Path(watched["INFERWIRE_DIR"]) / "agent.lock").touch(0o600)
    raw, under = started(), started(**watched)
    assert under.stdout == raw.stdout
    assert (under.returncode, under.stderr) == (raw.returncode, raw.stderr) == (0, "")


# To read the process's own state, to make the ring, to ask for the agent.
OPENS = {"openat", "read", "close", "mkdirat", "fstat", "faccessat", "fstatfs", "fallocate", "renameat"}
OPENS |= {"newfstatat", "mmap", "mprotect", "madvise", "munlock", "munmap", "fcntl"}
ASKS = {"getpid", "geteuid", "prlimit64", "clock_gettime", "ppoll"}
# To start the agent; the middle process is waited for, and it ends at once.
STARTS = {"clone", "rt_sigprocmask", "wait4"}


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is missing: make deps")
@pytest.mark.parametrize("agent", ["external", "started"])
def test_system_calls_at_the_start(tmp_path: Path, watched: dict[str, str], agent: str) -> None:
    """None that could wait: no futex, no poll but one that only asks, no socket of ours."""

    def calls(**environment: str) -> Counter[str]:
        trace = tmp_path / "trace"
        done = started("strace", "-o", str(trace), **environment)
        if "listens" not in done.stdout:
            pytest.skip(f"strace cannot trace here: {done.stderr[-200:]}")
        lines = [line for line in trace.read_text().splitlines() if "(" in line]
        assert all("{tv_sec=0, tv_nsec=0}" in line for line in lines if line.startswith("ppoll("))
        return Counter(line.partition("(")[0] for line in lines)

    extra = {"INFERWIRE_AGENT": "external"} if agent == "external" else {}
    more = calls(**watched, **extra) - calls()
    more.pop("brk", None)  # where the heap begins is random
    assert set(more) <= OPENS | ASKS | (STARTS if agent == "started" else set()), more
    assert sum(more.values()) < 100


LOW = """
import os, socket
os.closerange(0, 3)
socket.socket().listen()
"""


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is missing: make deps")
def test_nothing_of_ours_becomes_standard_output(tmp_path: Path, watched: dict[str, str]) -> None:
    """Where 0, 1 and 2 are closed, another thread's print at this moment would go into the ring's file."""
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-o", str(trace), sys.executable, "-S", "-c", LOW]
    subprocess.run(command, env=harness.clean_environment() | watched, capture_output=True, timeout=60)
    lines = trace.read_text().splitlines()
    used = [int(m[1]) for line in lines if (m := re.search(r" fallocate\((\d+),", line))]
    if not used:
        pytest.skip("strace cannot trace here")
    assert min(used) > 2
    written = [int(m[1]) for line in lines if (m := re.search(r" mmap\(.*MAP_SHARED, (\d+),", line))]
    assert written and min(written) > 2


def descriptors(pid: int) -> list[str]:
    links = [os.readlink(f) for f in Path(f"/proc/{pid}/fd").iterdir()]
    return sorted(link.partition(":[")[0] for link in links)


@pytest.mark.parametrize("way", [harness.preloaded, harness.not_at_all], ids=["watched", "raw"])
@pytest.mark.parametrize("closed", [False, True], ids=["with stdio", "without stdio"])
def test_descriptors_of_the_server(watch, way: harness.Way, closed: bool, receiver: OtlpReceiver) -> None:
    """None more than its own, and where it has closed 0, 1 and 2, they are free."""
    server = process_server("threads", *(["--close-stdio"] if closed else []))
    run = watch(server).start(way, receiver.endpoint)
    assert run.process
    pid, own = run.process.pid, ["socket"]
    if not closed:
        own = ["/dev/null", str(run.output), str(run.output), "socket"]
    # It may be closing the connection by which it was found ready.
    harness.wait_for(f"{own}, not {descriptors(pid)}", lambda: descriptors(pid) == own, 5)
    run.end_server()
    if run.agent_runs():
        run.end_agent()
