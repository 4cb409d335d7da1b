"""What a streamed event costs a uvicorn server: bare, watched, and under OpenTelemetry's ASGI middleware.

Two bare servers run, so that it shows what two servers differ by that do not differ.

usage: uvicorn_cpu.py BUILD_DIR [ROUNDS]
"""

import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from bars import Bars, quartile  # noqa: E402
import stream_app  # noqa: E402
import watched  # noqa: E402

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 200
STACKS = {"asyncio+h11": ("asyncio", "h11"), "uvloop+httptools": ("uvloop", "httptools")}


def load() -> watched.Load:
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hello."}]})
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    return watched.Load(request, b"0\r\n\r\n", connections=8, times=2)


def start(app: str, loop: str, parser: str, env: dict[str, str], *under: str) -> watched.Server:
    port = watched.free_port()
    command = [*under, sys.executable, "-m", "uvicorn", f"stream_app:{app}", "--app-dir", "tests/bench/server"]
    command += ["--port", str(port), "--loop", loop, "--http", parser, "--log-level", "critical"]
    if app != "app":
        command.append("--factory")
    return watched.start(command, port, env)


def measure(bars: Bars, name: str, loop: str, parser: str) -> None:
    with watched.temporary_rings() as rings, watched.sink() as receiver:
        servers = {}
        try:
            servers["bare"] = start("app", loop, parser, {})
            servers["watched"] = start("app", loop, parser, watched.shim_env(BUILD, rings, receiver))
            servers["twin"] = start("app", loop, parser, {})
            agent = watched.agent_of(rings)
            near = watched.costs(servers, load(), ROUNDS)
            before = watched.cpu_ns(agent)
            for app in ("otel", "otel_tuned"):
                servers[app] = start(app, loop, parser, watched.otlp_env(receiver))
            far = watched.costs(servers, load(), ROUNDS // 5)
            requests = (ROUNDS // 5 + 1) * load().connections * load().times
            agent_us = (watched.cpu_ns(agent) - before) / 1e3 / requests
        finally:
            for server in servers.values():
                server.stop()
    tell(bars, f"uvicorn {name}", near, far, agent_us)


def tell(bars: Bars, name: str, near: dict[str, list[float]], far: dict[str, list[float]], agent_us: float) -> None:
    ours = watched.ratio(near, "watched", "bare")
    bars.at_most(f"{name}: CPU of a streamed event, watched over bare", ours.high, 1.03, 1.01, str(ours))
    bars.tell(f"{name}: the same, bare over bare", str(watched.ratio(near, "twin", "bare")))
    gain = watched.ratio(far, "otel", "watched")
    bars.at_least(f"{name}: events a CPU second, watched over OpenTelemetry's", gain.low, 3.9, 4, str(gain))
    share = watched.share_of_loss(ours, watched.ratio(far, "otel_tuned", "bare"))
    bars.at_most(f"{name}: loss over that of OpenTelemetry without send spans", share.high, 1 / 8, 1 / 20, str(share))
    micros = ", ".join(f"{n} {quartile(c) / stream_app.EVENTS:.2f}" for n, c in far.items())
    bars.tell(f"{name}: CPU us of an event", f"{micros}; the agent's {agent_us / stream_app.EVENTS:.2f}")


def instructions(loop: str, parser: str, env: dict[str, str]) -> int:
    """Of a streamed event, in user space, exact: by callgrind."""
    with tempfile.TemporaryDirectory() as work:
        tool = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={work}/out"]
        server = start("app", loop, parser, env | {"PYTHONHASHSEED": "0"}, *tool)
        try:
            few = watched.Load(load().request, load().end, connections=1, times=10)
            few.cost(server)
            for what in ("--zero", "--dump"):
                pid = str(server.process.pid)
                subprocess.run(["callgrind_control", what, pid], check=True, capture_output=True, timeout=60)
                if what == "--zero":
                    few.cost(server)
        finally:
            server.stop()
        with open(f"{work}/out.1") as f:
            total = next(line for line in f if line.startswith("totals:"))
    return int(total.split()[1]) // (few.times * stream_app.EVENTS)


def count(bars: Bars, name: str, loop: str, parser: str) -> None:
    with watched.temporary_rings() as rings:
        bare = instructions(loop, parser, {})
        env = {"LD_PRELOAD": f"{BUILD}/libinferwire.so", "INFERWIRE_ENABLED": "1", "INFERWIRE_DIR": rings}
        ours = instructions(loop, parser, env | {"INFERWIRE_AGENT": "external"})
    value = f"{ours / bare:.4f} ({bare} and {ours - bare} more)"
    bars.at_most(f"uvicorn {name}: instructions of a streamed event in user space, watched over bare", ours / bare, 1.03, 1.01, value)


for stack, (loop, parser) in STACKS.items():
    count(Bars(BUILD), stack, loop, parser)
    measure(Bars(BUILD), stack, loop, parser)
