"""A tiny server that is killed again and again under load, with the agent that its shims start, which is
killed now and then as well."""

import os
import random
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import harness
import judge
from cycles import Figures, quiet_receiver, total
from hostility import memory_kb
from otlp_receiver import OtlpReceiver

SERVER = harness.BUILD / "chaos" / "tiny_server"
CLIENTS = 3
LIFE_S = 0.02
REQUEST_BODY = b'{"model":"tiny-a","messages":[{"role":"user","content":"say it"}]}\n'
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n"
REQUEST += b"content-length: %d\r\n\r\n%s" % (len(REQUEST_BODY), REQUEST_BODY)
MOST_KB = 200_000
MOST_SHARED = 256 * 2**20


class Client(threading.Thread):
    """Calls, and calls again. A server that dies costs it the call, and nothing else may."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.over = threading.Event()
        self.sent = self.answered = 0
        self.expected = b""
        self.faults: list[str] = []
        self.start()

    def run(self) -> None:
        while not self.over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), 30) as s:
                    while not self.over.is_set():
                        self.call(s)
            except TimeoutError:
                self.faults.append("no answer within 30 s")
            except (ConnectionError, EOFError):
                pass

    def call(self, s: socket.socket) -> None:
        self.sent += 1
        s.sendall(REQUEST)
        got = b""
        while not got.endswith(b"}\n"):
            if not (piece := s.recv(4096)):
                break
            got += piece
        whole = b"\r\n\r\n" in got and got.endswith(b"}\n")
        self.expected = self.expected or (got if whole else b"")
        if not self.expected.startswith(got) and self.expected:
            self.faults.append(f"another answer: {got!r}")
        if not whole:
            raise EOFError
        self.answered += 1


def pid_of(directory: Path) -> int:
    try:
        return int((directory / "agent.lock").read_text())
    except (OSError, ValueError):
        return 0


def kill_agent(directory: Path) -> bool:
    pid = pid_of(directory)
    if not pid or not harness.agent_runs(directory) or pid != pid_of(directory):
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def environment(directory: Path, endpoint: str) -> dict[str, str]:
    return harness.clean_environment() | {
        "LD_PRELOAD": str(harness.LIBRARY),
        "INFERWIRE_ENABLED": "1",
        "INFERWIRE_DIR": str(directory),
        "INFERWIRE_RING_BYTES": str(2 * 2**20),
        "INFERWIRE_PROVIDER": "scripted",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": str(harness.INTERVAL_MS),
    }


def start(env: dict[str, str], command: list[str], listener: socket.socket) -> subprocess.Popen[bytes]:
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, env=env, stdin=listener.fileno(), stdout=nowhere, stderr=nowhere)


def crash(server: subprocess.Popen[bytes]) -> None:
    assert server.poll() is None, f"it ended by itself: {server.returncode}"
    server.kill()
    server.wait()


def allocated(directory: Path) -> int:
    """Bytes that its files have."""
    total_ = 0
    for path in directory.iterdir():
        try:
            total_ += path.stat().st_blocks * 512
        except FileNotFoundError:
            pass
    return total_


def rings(directory: Path) -> list[str]:
    return [p.name for p in directory.iterdir() if p.suffix in (".ring", ".new")]


def rounds(f: Figures, directory: Path, endpoint: str, listener: socket.socket, most: int, seconds: float,
           r: random.Random, kills: bool) -> int:
    """Returns how much memory the rings had at most."""
    env, highest, until = environment(directory, endpoint), 0, time.monotonic() + seconds
    # A listener that is inherited: while a thread makes the ring, others accept past it.
    command = [str(SERVER)] if kills else [str(SERVER), "listen"]
    n = 0
    while n < most and time.monotonic() < until:
        server = start(env, command, listener)
        time.sleep(r.uniform(0, LIFE_S))
        crash(server)
        n += 1
        if n % 16 == 0:
            highest = max(highest, allocated(directory))
            if pid := pid_of(directory):
                f.most_kb = max(f.most_kb, memory_kb(pid))
        if kills and r.random() < 0.05:
            f.stops += kill_agent(directory)
    f.cycles += n
    f.kills += n
    # An agent that was killed last gets a successor, for the rings that it left.
    server = start(env, command, listener)
    harness.wait_for("the server has an agent", lambda: harness.agent_runs(directory))
    crash(server)
    f.kills += 1
    return highest


def half_made(directory: Path) -> list[str]:
    """What was killed while it made its ring goes when it is a minute old; the rest has gone by now."""
    names = rings(directory)
    return [n for n in names if n.endswith(".new")]


def run(f: Figures, most: int, seconds: float, seed: int, kills: bool) -> None:
    """So many cycles, or so many seconds of them. `kills`: also the agent's."""
    r = random.Random(seed)
    directory = harness.ring_directory()
    receiver = quiet_receiver()
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    clients = [Client(listener.getsockname()[1]) for _ in range(CLIENTS)]
    try:
        highest = rounds(f, directory, receiver.endpoint, listener, most, seconds, r, kills)
        for c in clients:
            c.over.set()
        listener.close()  # resets those who wait in its queue
        for c in clients:
            c.join()
        harness.wait_for("the agent ends", lambda: not harness.agent_runs(directory), 60)
        settle(f, directory, receiver, clients, kills)
        # Those of the dead are emptied at once, or when the agent that was killed has a successor.
        assert highest < MOST_SHARED, f"{highest} bytes of rings"
    finally:
        for c in clients:
            c.over.set()
        listener.close()
        receiver.close()
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()


def settle(f: Figures, directory: Path, receiver: OtlpReceiver, clients: list[Client], kills: bool) -> None:
    sent, answered = sum(c.sent for c in clients), sum(c.answered for c in clients)
    by_status: dict[str, int] = {}
    for attributes, n in receiver.totals(judge.PREFIX + "requests_total").items():
        status = str(dict(attributes)["status"])
        by_status[status] = by_status.get(status, 0) + n
    counted, dropped = sum(by_status.values()), total(receiver, "inferwire.records.dropped")
    f.sent += sent
    f.counted += counted
    f.dropped += dropped
    f.lost += total(receiver, "inferwire.calls.lost")
    assert not (faults := [x for c in clients for x in c.faults]), faults[:3]
    assert answered > 0, "nothing was ever answered"
    assert counted <= sent, f"{counted} calls counted, {sent} made"
    if not kills and not dropped:
        assert answered <= counted, f"{counted} calls counted, {answered} answered, nothing dropped"
        # Between the write and its record a server may be killed: then its client has the answer.
        assert by_status.get("success", 0) >= answered - f.kills * CLIENTS
    assert not receiver.violations(), receiver.violations()[:3]
    assert f.most_kb < MOST_KB, f"the agent took {f.most_kb} kB"
    whole = [n for n in rings(directory) if n not in half_made(directory)]
    assert not whole, f"rings are left: {whole}"
