"""Servers of which one is bare, one under `inferwire`'s shim and the others under their own instrumentation,
their load, and the CPU time that each takes for it.

The load goes to one after the other, in an order that turns; a server's own CPU time is read from
/proc/PID/task/*/schedstat (nanoseconds), so that neither the agent's and the sink's share of the machine
nor other programs' are in it. Ratios of neighbours are what holds on a machine that wobbles.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bars import quartile_ratios


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_ns(pid: int) -> int:
    """Of all threads."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total


@contextmanager
def sink() -> Iterator[str]:
    """The URL of a receiver that takes everything."""
    command = [sys.executable, os.path.join(os.path.dirname(__file__), "sink.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


@dataclass
class Server:
    process: subprocess.Popen
    port: int

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def start(command: list[str], port: int, env: dict[str, str]) -> Server:
    process = subprocess.Popen(command, env=os.environ | env)
    for _ in range(1200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return Server(process, port)
        except OSError:
            time.sleep(0.05)
    process.kill()
    raise SystemExit(f"did not start: {command}")


def shim_env(build: str, directory: str, receiver: str) -> dict[str, str]:
    env = {"LD_PRELOAD": f"{build}/libinferwire.so", "INFERWIRE_ENABLED": "1", "INFERWIRE_DIR": directory}
    return env | otlp_env(receiver)


def otlp_env(receiver: str) -> dict[str, str]:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    return env | {"OTEL_METRIC_EXPORT_INTERVAL": "1000", "OTEL_SERVICE_NAME": "bench"}


def agent_of(directory: str) -> int:
    """Once something was accepted; on the processors that are not the servers'."""
    with open(f"{directory}/agent.lock") as f:
        pid = int(f.read())
    place([pid], False)
    return pid


def ask(port: int, request: bytes, end: bytes, times: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as s:
        for _ in range(times):
            s.sendall(request)
            tail = b""
            while not tail.endswith(end):
                got = s.recv(65536)
                if not got:
                    raise SystemExit("the server closed a connection")
                tail = (tail + got)[-64:]


@dataclass
class Load:
    request: bytes
    end: bytes  # of a response
    connections: int
    times: int  # requests of a connection

    def cost(self, server: Server) -> float:
        """CPU microseconds of a request."""
        before = cpu_ns(server.process.pid)
        args = (server.port, self.request, self.end, self.times)
        threads = [threading.Thread(target=ask, args=args) for _ in range(self.connections)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return (cpu_ns(server.process.pid) - before) / 1e3 / (self.connections * self.times)


def place(pids: list[int], on_last: bool) -> None:
    """The servers have the last processor for themselves; the load, the agent and the sink the others."""
    cpus = sorted(os.sched_getaffinity(0))
    wanted = set(cpus[-1:] if on_last else cpus[:-1]) or set(cpus)
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(task), wanted)


def costs(servers: dict[str, Server], load: Load, rounds: int) -> dict[str, list[float]]:
    """CPU microseconds of a request, by server and round."""
    names = list(servers)
    place([s.process.pid for s in servers.values()], True)
    for name in names:
        load.cost(servers[name])
    cost: dict[str, list[float]] = {name: [] for name in names}
    for n in range(rounds):
        turned = names[n // 2 % len(names) :] + names[: n // 2 % len(names)]
        for name in turned if n % 2 else turned[::-1]:
            cost[name].append(load.cost(servers[name]))
    return cost


@dataclass
class Ratio:
    """Of the CPU time of two servers, and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def ratio(cost: dict[str, list[float]], a: str, b: str) -> Ratio:
    return Ratio(*quartile_ratios(cost[a], cost[b]))


def loss(over_bare: float) -> float:
    """Of throughput."""
    return 1 - 1 / over_bare


def share_of_loss(ours: Ratio, theirs: Ratio) -> Ratio:
    """What part of their loss of throughput ours is: at most the upper end of ours over the lower end of
    theirs."""
    if theirs.low <= 1:
        raise SystemExit(f"nothing to compare with: theirs costs {theirs} of bare")
    shares = (ours.value, theirs.value), (ours.low, theirs.high), (ours.high, theirs.low)
    return Ratio(*(loss(a) / loss(b) for a, b in shares))


@contextmanager
def temporary_rings() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory:
        yield f"{directory}/rings"
