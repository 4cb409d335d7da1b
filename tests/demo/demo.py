"""A llama.cpp server behind `inferwire run`, under real load, and its six metrics beside the clients' own
account of what they got. Ends with 0 only if the two agree.

    python tests/demo/demo.py                 what is exported, decoded here
    python tests/demo/demo.py prometheus      through a real Collector into a real Prometheus, and queried
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / folder) for folder in ("e2e", "receivers", "servers")]

import harness
import judge
import load
import otlp_receiver
import real
import tiny_model
from queries import ORIGIN

NAMES = [name.removeprefix(otlp_receiver.PREFIX) for name in otlp_receiver.INSTRUMENTS]
COLUMNS = ["model", "provider", "endpoint_type", "stream", "status", "error_type"]
UNITS = {"tokens_per_second": "/s"}
PROVIDER = "llama.cpp"

Key = tuple[str, ...]  # the values of COLUMNS, as text


class Value(NamedTuple):
    """A sum, or the count and the sum of a histogram."""

    count: int
    sum: float | None = None

    @property
    def mean(self) -> float | None:
        return None if self.sum is None or not self.count else self.sum / self.count


def key(labels: Any) -> Key:
    values = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in dict(labels).items()}
    return tuple(values.get(name, "") for name in COLUMNS)


class Decoded:
    """Takes the exports itself and decodes them with the official message classes."""

    def __init__(self) -> None:
        self.receiver = otlp_receiver.OtlpReceiver()
        self.endpoint = self.receiver.endpoint
        self.title = f"OTLP over HTTP at {self.endpoint}, decoded with the official message classes"
        self.loads = 1

    def read(self, name: str) -> dict[Key, Value]:
        totals = self.receiver.totals(otlp_receiver.PREFIX + name)
        return {
            key(k): Value(v.count, v.sum) if isinstance(v, otlp_receiver.Histogram) else Value(v)
            for k, v in totals.items()
        }

    def complaints(self) -> list[str]:
        return self.receiver.violations()

    def more(self) -> None:
        pass

    def close(self) -> None:
        self.receiver.close()


class Queried:
    """A real Collector takes the exports, a real Prometheus scrapes it and is queried."""

    def __init__(self, home: Path) -> None:
        subprocess.run(["sh", str(TESTS / "receivers" / "build.sh")], check=True)
        self.collector = real.Collector(home)
        self.prometheus = real.Prometheus(home, self.collector)
        self.endpoint = self.collector.endpoint
        self.title = (
            f"OpenTelemetry Collector at {self.endpoint}, scraped by Prometheus at {self.prometheus.url}"
        )
        self.loads = 2  # `rate` needs every series twice

    def read(self, name: str) -> dict[Key, Value]:
        series = "llama_stack_inference_" + name
        if not otlp_receiver.INSTRUMENTS[otlp_receiver.PREFIX + name].bounds:
            return {key(labels): Value(int(v)) for labels, v in self.prometheus.query(series)}
        sums = {key(labels): v for labels, v in self.prometheus.query(series + "_sum")}
        counts = self.prometheus.query(series + "_count")
        return {key(labels): Value(int(v), sums[key(labels)]) for labels, v in counts}

    def complaints(self) -> list[str]:
        return []

    def more(self) -> None:
        for title, query in ORIGIN.items():
            print(f"\n{title}: {query}")
            for labels, value in sorted(self.prometheus.query(query), key=lambda s: key(s[0])):
                shown = " ".join(f"{k}={labels[k]}" for k in COLUMNS if k in labels)
                print(f"  {value:12.4f}  {shown}")

    def close(self) -> None:
        self.prometheus.close()
        self.collector.close()


def seconds(name: str, o: load.Outcome) -> float:
    """What a client measured of one call: a little more than the server, whose last byte it waits for;
    less where it left and the server noticed later."""
    r = o.response
    last = o.content_ns[-1] if o.content_ns else r.end_ns
    if name == "request_duration_seconds":
        return (r.end_ns - r.send_ns) / 1e9
    if name == "time_to_first_token_seconds":
        return (o.content_ns[0] - r.sent_ns) / 1e9
    if name == "tokens_per_second":
        return (o.output_tokens or 0) / ((last - r.sent_ns) / 1e9)
    return (last - r.sent_ns) / 1e9


def account(outcomes: list[load.Outcome]) -> dict[str, dict[Key, Value]]:
    """The clients' own account, in the form of the metrics."""
    found: dict[str, dict[Key, Value]] = {}
    for name in judge.NAMES:
        counts: Counter[Key] = Counter()
        sums: dict[Key, float] = defaultdict(float)
        for o in outcomes:
            labels = judge.recorded(name, o, PROVIDER)
            if labels is not None:
                counts[key(labels)] += 1
                sums[key(labels)] += seconds(name, o)
        histogram = name != "requests_total"
        found[name] = {k: Value(n, sums[k] if histogram else None) for k, n in counts.items()}
    return found


def table(name: str, exported: dict[Key, Value], clients: dict[Key, Value]) -> bool:
    """Prints one metric and says whether both sides have the same attribute sets and counts."""
    histogram = otlp_receiver.INSTRUMENTS[otlp_receiver.PREFIX + name].bounds is not None
    print(f"\n{otlp_receiver.PREFIX}{name}")
    if name == "concurrent_requests":
        # Which sets there were in between depends on when a call could be told; they all are at 0 now.
        clients = {k: Value(0) for k in exported}
    rows = []
    good = bool(exported)
    for k in sorted(exported.keys() | clients.keys()):
        e, c = exported.get(k), clients.get(k)
        same = e is not None and c is not None and e.count == c.count
        good &= same
        row = [*k, *(str(v.count) if v else "-" for v in (e, c))]
        if histogram:
            unit = UNITS.get(name, "s")
            row += [f"{v.mean:.4f} {unit}" if v and v.mean is not None else "-" for v in (e, c)]
        rows.append([*row, "" if same else "  DIFFERS"])
    head = [*COLUMNS, "exported", "clients", *(["mean", "clients' mean"] if histogram else []), ""]
    used = [n for n, title in enumerate(head) if n >= len(COLUMNS) or any(r[n] for r in rows)]
    widths = {n: max(len(r[n]) for r in [head, *rows]) for n in used}
    for row in [head, *rows]:
        cells = [row[n].rjust(widths[n]) if n >= len(COLUMNS) else row[n].ljust(widths[n]) for n in used]
        print(("  " + "  ".join(cells)).rstrip())
    return good


def show(receiver: Decoded | Queried, outcomes: list[load.Outcome]) -> bool:
    clients = account(outcomes)
    good = all([table(name, receiver.read(name), clients.get(name, {})) for name in NAMES])
    receiver.more()
    for complaint in receiver.complaints():
        print(f"the receiver complains: {complaint}")
        good = False
    return good


def main() -> int:
    began = time.monotonic()
    tiny_model.ensure(str(harness.MODEL))
    home, rings = Path(tempfile.mkdtemp(prefix="inferwire-demo-")), harness.ring_directory()
    through_prometheus = sys.argv[1:] == ["prometheus"]
    receiver: Decoded | Queried = Queried(home) if through_prometheus else Decoded()
    run = harness.Run(harness.llama_cpp(), rings, home)
    try:
        command = " ".join([str(harness.COMMAND), "run --", *run.server.command])
        print(f"server    {command.replace(f'{harness.ROOT}/', '')}")
        print(f"receiver  {receiver.title}")
        run.start(harness.by_command, receiver.endpoint)
        outcomes: list[load.Outcome] = []
        for _ in range(receiver.loads):
            outcomes += load.run(run.server.address, load.llama_cpp_plan(300, seed=1))
            time.sleep(1.5)
        left = sum(o.left for o in outcomes)
        counted = sum(o.call.counted for o in outcomes)
        print(
            f"load      {len(outcomes)} requests of 8 clients: {counted} inference calls, of which"
            f" {sum(o.streams and o.call.counted for o in outcomes)} streams; {left} clients left before the end"
        )
        run.stop()
        if through_prometheus:
            time.sleep(1.5)  # the last scrape
        good = show(receiver, outcomes)
        verdict = "The exported metrics are what the clients got." if good else "The two DIFFER."
        print(f"\n{verdict} {time.monotonic() - began:.0f} s")
        return 0 if good else 1
    finally:
        run.close()
        receiver.close()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
