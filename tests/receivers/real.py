"""A real Collector and a real Prometheus, on the example configurations with other ports in them."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / os.environ.get("BUILD", "build") / "receivers" / "bin"
EXAMPLES = ROOT / "examples"

Sample = tuple[dict[str, str], float]


def built() -> bool:
    return all((BIN / name).exists() for name in ("collector", "prometheus", "promtool"))


def free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [int(s.getsockname()[1]) for s in sockets]
    for s in sockets:
        s.close()
    return ports


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


class Program:
    def __init__(self, command: list[str], log: Path) -> None:
        self.log = log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def wait_until(self, url: str, text: str = "", seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while True:
            try:
                if text in fetch(url).decode():
                    return
            except (OSError, urllib.error.URLError):
                pass
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{url}: not ready\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def substituted(example: str, home: Path, by: dict[str, str]) -> Path:
    """An example's file, with what differs on this machine put in: every text that is to be replaced
    has to be there."""
    text = (EXAMPLES / example).read_text()
    for what, value in by.items():
        if what not in text:
            raise ValueError(f"{example} has no {what}")
        text = text.replace(what, value)
    file = home / Path(example).name
    file.write_text(text)
    return file


class Collector(Program):
    def __init__(self, home: Path) -> None:
        http, grpc, self.page = free_ports(3)
        config = substituted(
            "collector/config.yaml",
            home,
            {":4318": f":{http}", ":4317": f":{grpc}", ":9464": f":{self.page}"},
        )
        super().__init__([str(BIN / "collector"), "--config", str(config)], home / "collector.log")
        self.endpoint = f"http://127.0.0.1:{http}"
        self.wait_until(f"http://127.0.0.1:{self.page}/metrics")

    def metrics(self) -> str:
        return fetch(f"http://127.0.0.1:{self.page}/metrics").decode()


class Prometheus(Program):
    """Takes OTLP itself, or scrapes a Collector."""

    def __init__(self, home: Path, collector: Collector | None = None) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.endpoint = f"{self.url}/api/v1/otlp"
        if collector:
            self.endpoint = collector.endpoint
            by = {":9464": f":{collector.page}", "scrape_interval: 15s": "scrape_interval: 500ms"}
            config = substituted("prometheus/prometheus-scrape.yml", home, by)
            more = ["--scrape.discovery-reload-interval=100ms"]
        else:
            config = substituted("prometheus/prometheus-otlp.yml", home, {})
            more = ["--web.enable-otlp-receiver"]
        command = [str(BIN / "prometheus"), f"--config.file={config}", f"--storage.tsdb.path={home / 'tsdb'}"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}", *more]
        super().__init__(command, home / "prometheus.log")
        self.config = config
        self.wait_until(f"{self.url}/-/ready")
        if collector:
            self.wait_until(f"{self.url}/api/v1/query?query=up", '"1"')

    def query(self, expression: str) -> list[Sample]:
        """An instant query: the labels and the value of each sample."""
        parameters = urllib.parse.urlencode({"query": expression})
        try:
            answer: dict[str, Any] = json.loads(fetch(f"{self.url}/api/v1/query?{parameters}"))
        except urllib.error.HTTPError as e:
            raise ValueError(f"{expression}: {e.read().decode()}") from e
        data = answer["data"]
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(s["metric"], float(s["value"][1])) for s in data["result"]]
