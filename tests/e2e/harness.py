"""Real servers, started in each way that a user starts them, and the files that come of it."""

import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import client

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
SERVERS = ROOT / "tests" / "servers"
LIBRARY, AGENT, COMMAND = BUILD / "libinferwire.so", BUILD / "inferwire-agent", BUILD / "inferwire"
MODEL = BUILD / "tiny.gguf"
# Exports this often. The interval is the agent's resolution of nothing: a test only gets done sooner.
INTERVAL_MS = 300


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_for(what: str, enough: Callable[[], Any], seconds: float = 20) -> Any:
    until = time.monotonic() + seconds
    while True:
        if value := enough():
            return value
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def clean_environment() -> dict[str, str]:
    ours = ("OTEL_", "INFERWIRE_", "LD_PRELOAD", "LD_AUDIT")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | {"PYTHONDONTWRITEBYTECODE": "1"}


@dataclass
class Server:
    """What a test can serve with: a command, and where it is to be found when it runs."""

    name: str
    command: list[str]
    address: client.Address
    provider: str
    is_scripted: bool
    descriptors: tuple[int, ...] = ()  # that it inherits

    def ready(self) -> bool:
        try:
            return client.get(self.address, "/health").status == 200
        except OSError:
            return False


def llama_cpp(*more: str) -> Server:
    port = free_port()
    command = [sys.executable, str(SERVERS / "llama_server.py"), "--model", str(MODEL), "--port", str(port)]
    return Server("llama.cpp", [*command, *more], port, "llama.cpp", is_scripted=False)


def uvicorn(loop: str, http: str, *more: str, app: str = "asgi_app:app") -> Server:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        app,
        "--app-dir",
        str(SERVERS),
        "--port",
        str(port),
    ]
    command += ["--loop", loop, "--http", http, "--log-level", "critical", *more]
    return Server(f"uvicorn-{loop}", command, port, "scripted", is_scripted=True)


def certificate(folder: Path) -> tuple[str, str]:
    """A key and a certificate of a day, as PEM files."""
    key, crt = folder / "key.pem", folder / "crt.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(crt)], check=True, capture_output=True)
    return str(key), str(crt)


def uvicorn_tls(loop: str, http: str, folder: Path) -> Server:
    key, crt = certificate(folder)
    server = uvicorn(loop, http, "--ssl-keyfile", key, "--ssl-certfile", crt)
    assert isinstance(server.address, int)
    server.address = client.Tls(server.address)
    return server


SHELL = """
export LD_PRELOAD={library}
true; /bin/true; ls / | wc -l | tr -d '0-9'; date >/dev/null; (uname; id) | sort >/dev/null
INFERWIRE_ENABLED=1 "$@" &
server=$!
trap 'kill -TERM $server' TERM
for n in 1 2 3 4 5 6 7 8; do env printf '' | cat; {python} -c 'import socket; socket.socket().listen()'; done
wait $server || true
wait $server
"""


def preloaded(command: list[str]) -> tuple[list[str], dict[str, str]]:
    return command, {"LD_PRELOAD": str(LIBRARY), "INFERWIRE_ENABLED": "1"}


def by_command(command: list[str]) -> tuple[list[str], dict[str, str]]:
    return [str(COMMAND), "run", "--", *command], {}


def from_a_shell(command: list[str]) -> tuple[list[str], dict[str, str]]:
    script = SHELL.format(library=LIBRARY, python=sys.executable)
    return ["/bin/sh", "-euc", script, "sh", *command], {}


def not_at_all(command: list[str]) -> tuple[list[str], dict[str, str]]:
    return command, {}


Way = Callable[[list[str]], tuple[list[str], dict[str, str]]]
WAYS: dict[str, Way] = {"preload": preloaded, "run": by_command, "shell": from_a_shell}


@dataclass
class Run:
    """One server while it runs, and what it leaves behind."""

    server: Server
    directory: Path  # of the rings
    home: Path  # everything else: the call log, the server's output
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    call_log: Path = Path()

    def __post_init__(self) -> None:
        self.call_log = self.home / "calls.jsonl"

    @property
    def output(self) -> Path:
        return self.home / "server.out"

    def start(self, way: Way, endpoint: str, pass_fds: tuple[int, ...] = (), **more: str) -> "Run":
        return self.launch(way, endpoint, pass_fds, **more).listening()

    def launch(self, way: Way, endpoint: str, pass_fds: tuple[int, ...] = (), **more: str) -> "Run":
        """Without waiting for it."""
        command, variables = way(self.server.command)
        if isinstance(self.server.address, str):
            Path(self.server.address).unlink(missing_ok=True)
        self.environment = clean_environment() | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_METRIC_EXPORT_INTERVAL": str(INTERVAL_MS),
            "OTEL_SERVICE_NAME": "e2e",
            "INFERWIRE_DIR": str(self.directory),
            "INFERWIRE_CALL_LOG": str(self.call_log),
        }
        if self.server.is_scripted:
            self.environment["INFERWIRE_PROVIDER"] = self.server.provider
        with open(self.output, "ab") as out:
            self.process = subprocess.Popen(
                command,
                env=self.environment | variables | more,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                pass_fds=pass_fds + self.server.descriptors,
            )
        return self

    def listening(self) -> "Run":
        wait_for(f"{self.server.name} listens", self.is_ready, 60)
        return self

    def is_ready(self) -> bool:
        assert self.process
        assert self.process.poll() is None, f"exit {self.process.returncode}: {self.output.read_text()}"
        return self.server.ready()

    def end_server(self, with_: int = signal.SIGTERM) -> int:
        assert self.process
        self.process.send_signal(with_)
        return self.process.wait(30)

    def settle(self, calls: int) -> None:
        """Gives so many calls the time to come into the log. Who reads the last byte of an answer may be faster than
        the server's thread that wrote it: one that a signal ends there leaves a call whose end nobody recorded."""
        until = time.monotonic() + 10
        while self.lines_logged() < calls and time.monotonic() < until:
            time.sleep(0.05)

    def stop(self, with_: int = signal.SIGTERM) -> int:
        """Ends the server, and waits for the agent's last export and its end."""
        status = self.end_server(with_)
        wait_for_the_agents_end(self.directory)
        return status

    def agent_runs(self) -> bool:
        return agent_runs(self.directory)

    def calls(self) -> list[dict[str, Any]]:
        if not self.call_log.exists():
            return []
        return [json.loads(line) for line in self.call_log.read_text().splitlines()]

    def lines_logged(self) -> int:
        return self.call_log.read_bytes().count(b"\n") if self.call_log.exists() else 0

    def end_agent(self, with_: int = signal.SIGTERM) -> None:
        """Ends an agent that has nobody to export to: it would try for a minute."""
        try:
            os.kill(int((self.directory / "agent.lock").read_text()), with_)
        except ProcessLookupError:
            pass
        wait_for("the agent ends", lambda: not self.agent_runs(), 15)

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.agent_runs():
            self.end_agent()
        shutil.rmtree(self.directory, ignore_errors=True)


def ring_directory() -> Path:
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="inferwire-e2e-", dir=shm))


def wait_for_the_agents_end(directory: Path) -> None:
    # One that was only just started has not taken its lock yet; what waits for it shows that it comes.
    until = time.monotonic() + 3
    while any(directory.glob("*.ring")) and not agent_runs(directory) and time.monotonic() < until:
        time.sleep(0.02)
    wait_for("the agent ends", lambda: not agent_runs(directory), 30)


F_OFD_GETLK = 36
FLOCK = "hhqqi4x"


def agent_runs(directory: Path) -> bool:
    """Whether somebody holds the write lock of the directory (shim/wire.h: WIRE_LOCK_NAME)."""
    try:
        fd = os.open(directory / "agent.lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        answer = fcntl.fcntl(fd, F_OFD_GETLK, struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        return bool(struct.unpack(FLOCK, answer)[0] != fcntl.F_UNLCK)
    finally:
        os.close(fd)
