"""CPU seconds of a uvicorn server per 1,000 streamed events, with the shim and without, paired.

Two servers run all the time, one under `inferwire run`; the load goes to one and then to the other,
A B B A, and the server process's own CPU time is read from /proc/PID/schedstat (nanoseconds). The
agent's time is not in it; it is printed beside. Ratios of neighbours are what holds on a machine that
wobbles.

usage: uvicorn_cpu.py BUILD_DIR [PAIRS]
"""

import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
PAIRS = int(sys.argv[2]) if len(sys.argv) > 2 else 12
CONNECTIONS, REQUESTS, EVENTS = 8, 6, 100
STACKS = {"asyncio+h11": ("asyncio", "h11"), "uvloop+httptools": ("uvloop", "httptools")}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(loop: str, parser: str, shim_dir: str | None) -> tuple[subprocess.Popen, int]:
    port = free_port()
    command = [f"{BUILD}/venv/bin/python", "-m", "uvicorn", "asgi_app:app", "--app-dir", "tests/servers"]
    command += ["--port", str(port), "--loop", loop, "--http", parser, "--log-level", "critical"]
    env = dict(os.environ)
    if shim_dir:
        env |= {"LD_PRELOAD": f"{BUILD}/libinferwire.so", "INFERWIRE_ENABLED": "1"}
        env |= {"INFERWIRE_DIR": shim_dir, "OTEL_METRICS_EXPORTER": "none"}
        env |= {"OTEL_METRIC_EXPORT_INTERVAL": "1000"}
    process = subprocess.Popen(command, env=env)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process, port
        except OSError:
            time.sleep(0.05)
    raise SystemExit("uvicorn did not start")


def client(port: int) -> None:
    body = json.dumps({"model": "m", "stream": True, "script": {"events": EVENTS, "first_delay_ms": 0}})
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    with socket.create_connection(("127.0.0.1", port)) as s:
        for _ in range(REQUESTS):
            s.sendall(request)
            tail = b""
            while not tail.endswith(b"0\r\n\r\n"):
                got = s.recv(65536)
                if not got:
                    raise SystemExit("the server closed a stream")
                tail = (tail + got)[-16:]


def cpu_ns(pid: int) -> int:
    """Of all threads."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total


def load(process: subprocess.Popen, port: int) -> float:
    before = cpu_ns(process.pid)
    threads = [threading.Thread(target=client, args=(port,)) for _ in range(CONNECTIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    events = CONNECTIONS * REQUESTS * (EVENTS + 3)
    return (cpu_ns(process.pid) - before) / 1e6 / events * 1000


def interval(ratios: list[float]) -> tuple[float, float]:
    """Of the median, 95 %, by bootstrap."""
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(2000))
    return medians[50], medians[1949]


def agent_of(directory: str) -> int | None:
    with open(f"{directory}/agent.lock") as f:
        text = f.read().strip()
    return int(text) if text.isdigit() else None


def measure(name: str, loop: str, parser: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        bare, bare_port = start(loop, parser, None)
        shim, shim_port = start(loop, parser, f"{directory}/rings")
        try:
            load(bare, bare_port), load(shim, shim_port)
            agent = agent_of(f"{directory}/rings")
            agent_before = cpu_ns(agent) if agent else 0
            ratios, with_ms, without_ms = [], [], []
            for n in range(PAIRS):
                order = [(bare, bare_port), (shim, shim_port)]
                cost = {p.pid: load(p, port) for p, port in (order if n % 2 else reversed(order))}
                with_ms.append(cost[shim.pid])
                without_ms.append(cost[bare.pid])
                ratios.append(cost[shim.pid] / cost[bare.pid])
            low, high = interval(ratios)
            events = PAIRS * CONNECTIONS * REQUESTS * (EVENTS + 3)
            agent_ms = (cpu_ns(agent) - agent_before) / 1e6 / events * 1000 if agent else float("nan")
            print(f"server: {name}: CPU ms per 1,000 events {statistics.median(without_ms):.2f} bare,"
                  f" {statistics.median(with_ms):.2f} watched, ratio {statistics.median(ratios):.3f}"
                  f" (95 % {low:.3f} to {high:.3f}, {PAIRS} pairs); agent {agent_ms:.2f}")
        finally:
            for p in (bare, shim):
                p.send_signal(signal.SIGTERM)
                p.wait()


for stack, (loop, parser) in STACKS.items():
    measure(stack, loop, parser)
