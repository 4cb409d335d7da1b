"""An OTLP/HTTP receiver of metrics, on the official message classes, that judges what it is sent.

Real receivers forgive much: a wrong number of bucket counts, a start after its end, an empty metric.
This one notes each breach of the protocol, of the data model and of the six metrics' own contract in
`violations`, and answers 200 as a Collector does. It keeps the last point of every series.
"""

import gzip
import http.server
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

PREFIX = "llama_stack.inference."
CUMULATIVE = 2
COMMON = {"model": str, "provider": str, "endpoint_type": str, "stream": bool}
STATUS = COMMON | {"status": str}
DURATIONS = [0.01 * 2**n for n in range(17)]
FIRST_TOKEN = [
    0.001,
    0.005,
    0.01,
    0.02,
    0.04,
    0.06,
    0.08,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10,
    20,
    40,
    80,
]
RATES = [1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000]


@dataclass(frozen=True)
class Instrument:
    kind: str
    unit: str
    attributes: dict[str, type]
    monotonic: bool = False
    bounds: Sequence[float] | None = None


INSTRUMENTS = {
    PREFIX + "requests_total": Instrument("sum", "{request}", STATUS, monotonic=True),
    PREFIX + "request_duration_seconds": Instrument("histogram", "s", STATUS, bounds=DURATIONS),
    PREFIX + "concurrent_requests": Instrument("sum", "{request}", COMMON),
    PREFIX + "tokens_per_second": Instrument("histogram", "", COMMON, bounds=RATES),
    PREFIX + "inference_duration_seconds": Instrument("histogram", "s", COMMON, bounds=DURATIONS),
    PREFIX + "time_to_first_token_seconds": Instrument("histogram", "s", COMMON, bounds=FIRST_TOKEN),
}

Attributes = frozenset[tuple[str, Any]]


@dataclass
class Histogram:
    count: int
    sum: float
    buckets: list[int]


@dataclass
class Series:
    """The last point of one attribute set of one metric of one resource."""

    start: int
    time: int
    value: float | Histogram


@dataclass
class Judge:
    violations: list[str] = field(default_factory=list)
    # Keyed by the resource, the metric's name and the point's attributes.
    series: dict[tuple[Attributes, str, Attributes], Series] = field(default_factory=dict)
    # What counters and histograms had reached when a new agent began them anew.
    before: list[tuple[tuple[Attributes, str, Attributes], Series]] = field(default_factory=list)

    def fault(self, what: str) -> None:
        if len(self.violations) < 100:
            self.violations.append(what)

    def attributes(self, where: str, pairs: Any) -> Attributes:
        found: dict[str, Any] = {}
        for pair in pairs:
            kind = pair.value.WhichOneof("value")
            if pair.key in found:
                self.fault(f"{where}: attribute {pair.key} twice")
            if kind is None or not pair.key:
                self.fault(f"{where}: attribute {pair.key!r} without a name or a value")
            elif kind in ("string_value", "bool_value", "int_value", "double_value"):
                found[pair.key] = getattr(pair.value, kind)
            else:
                found[pair.key] = str(pair.value)
        return frozenset(found.items())

    def request(self, message: Any) -> None:
        seen: set[tuple[Attributes, str, Attributes]] = set()
        if not message.resource_metrics:
            self.fault("an export without anything in it")
        for of_resource in message.resource_metrics:
            resource = self.attributes("resource", of_resource.resource.attributes)
            for name in ("service.name", "service.instance.id"):
                if not dict(resource).get(name):
                    self.fault(f"resource without {name}")
            if not of_resource.scope_metrics:
                self.fault("a resource without a scope")
            for of_scope in of_resource.scope_metrics:
                if of_scope.scope.name != "inferwire" or not of_scope.scope.version:
                    self.fault(f"scope {of_scope.scope.name!r} {of_scope.scope.version!r}")
                if not of_scope.metrics:
                    self.fault("a scope without a metric")
                for metric in of_scope.metrics:
                    self.metric(resource, metric, seen)

    def metric(self, resource: Attributes, metric: Any, seen: set[Any]) -> None:
        kind = metric.WhichOneof("data")
        if kind not in ("sum", "histogram", "gauge"):
            return self.fault(f"{metric.name}: {kind} is none of the kinds this project sends")
        data = getattr(metric, kind)
        if not data.data_points:
            self.fault(f"{metric.name}: no point")
        if kind != "gauge" and data.aggregation_temporality != CUMULATIVE:
            self.fault(f"{metric.name}: temporality {data.aggregation_temporality}")
        wanted = INSTRUMENTS.get(metric.name)
        if wanted is None and not metric.name.startswith("inferwire."):
            self.fault(f"{metric.name}: a name outside the contract")
        if wanted:
            if (kind, metric.unit) != (wanted.kind, wanted.unit):
                self.fault(f"{metric.name}: {kind} in {metric.unit!r}")
            if kind == "sum" and data.is_monotonic != wanted.monotonic:
                self.fault(f"{metric.name}: monotonic is {data.is_monotonic}")
        for point in data.data_points:
            attributes = self.attributes(metric.name, point.attributes)
            key = (resource, metric.name, attributes)
            if key in seen:
                self.fault(f"{metric.name}: two points of {dict(attributes)} in one export")
            seen.add(key)
            if wanted:
                self.contract(metric.name, wanted, dict(attributes))
            self.point(key, kind, point, kind == "histogram" or kind == "sum" and data.is_monotonic)
        return None

    def contract(self, name: str, wanted: Instrument, attributes: dict[str, Any]) -> None:
        if attributes == {"otel.metric.overflow": True}:
            return
        expected = dict(wanted.attributes)
        if attributes.get("status") == "error" and "status" in expected:
            expected["error_type"] = str
        if {k: type(v) for k, v in attributes.items()} != expected:
            self.fault(f"{name}: attributes {attributes}")

    def point(self, key: tuple[Attributes, str, Attributes], kind: str, point: Any, rises: bool) -> None:
        name = key[1]
        if kind != "gauge" and not 0 < point.start_time_unix_nano < point.time_unix_nano:
            self.fault(f"{name}: start {point.start_time_unix_nano}, time {point.time_unix_nano}")
        if abs(point.time_unix_nano - time.time_ns()) > 60e9:
            self.fault(f"{name}: time {point.time_unix_nano} is not now")
        value: float | Histogram
        if kind == "histogram":
            value = self.histogram(name, point)
        else:
            value = getattr(point, point.WhichOneof("value") or "as_int")
            if point.WhichOneof("value") != "as_int" and name in INSTRUMENTS:
                self.fault(f"{name}: {point.WhichOneof('value')} in place of as_int")
            if getattr(point, point.WhichOneof("value") or "as_int") < 0:
                self.fault(f"{name}: {value} is negative")
        last = self.series.get(key)
        if last and rises:
            if point.start_time_unix_nano > last.time:
                self.before.append((key, last))
            else:
                self.successor(name, last, point, value)
        self.series[key] = Series(point.start_time_unix_nano, point.time_unix_nano, value)

    def histogram(self, name: str, point: Any) -> Histogram:
        buckets, bounds = list(point.bucket_counts), list(point.explicit_bounds)
        if len(buckets) != len(bounds) + 1:
            self.fault(f"{name}: {len(buckets)} buckets for {len(bounds)} bounds")
        if sum(buckets) != point.count:
            self.fault(f"{name}: buckets hold {sum(buckets)} of {point.count}")
        if bounds != sorted(set(bounds)):
            self.fault(f"{name}: bounds {bounds}")
        wanted = INSTRUMENTS.get(name)
        if (
            wanted
            and wanted.bounds
            and (
                len(bounds) != len(wanted.bounds)
                or any(abs(a - b) > 1e-9 * b for a, b in zip(bounds, wanted.bounds))
            )
        ):
            self.fault(f"{name}: bounds {bounds}")
        if not point.HasField("sum"):
            self.fault(f"{name}: no sum")
        if point.HasField("min") and point.count:
            low, high = point.min * point.count, point.max * point.count
            if not low - 1e-6 <= point.sum <= high + 1e-6:
                self.fault(f"{name}: sum {point.sum} of {point.count} between {point.min} and {point.max}")
        return Histogram(point.count, point.sum, buckets)

    def successor(self, name: str, last: Series, point: Any, value: float | Histogram) -> None:
        if point.start_time_unix_nano != last.start:
            self.fault(f"{name}: the start of a series moved")
        if point.time_unix_nano <= last.time:
            self.fault(f"{name}: time did not go on")
        if isinstance(value, Histogram) and isinstance(last.value, Histogram):
            if value.sum < last.value.sum or any(a < b for a, b in zip(value.buckets, last.value.buckets)):
                self.fault(f"{name}: a cumulative histogram fell")
        elif value < last.value:  # type: ignore[operator]
            self.fault(f"{name}: a counter fell from {last.value} to {value}")

    def totals(self, name: str) -> dict[Attributes, float | Histogram]:
        """The last values of one metric by attribute set, summed over the resources."""
        sums: dict[Attributes, Any] = {}
        for (_, metric, attributes), series in [*self.before, *self.series.items()]:
            if metric != name:
                continue
            was = sums.get(attributes)
            if was is None:
                sums[attributes] = series.value
            elif isinstance(series.value, Histogram):
                buckets = [a + b for a, b in zip(was.buckets, series.value.buckets)]
                sums[attributes] = Histogram(
                    was.count + series.value.count, was.sum + series.value.sum, buckets
                )
            else:
                sums[attributes] = was + series.value
        return sums


class OtlpReceiver:
    """The judge behind a socket on 127.0.0.1. `bare` answers as llama-stack's test collector does:
    HTTP/1.0, no length, no body, and the connection closed."""

    def __init__(self, bare: bool = False, port: int = 0) -> None:
        self.judge = Judge()
        self.lock = threading.Lock()
        self.bodies: list[bytes] = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0" if bare else "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status = owner.take(self.path, dict(self.headers.items()), body)
                self.send_response_only(status)
                if not bare:
                    self.send_header("Content-Type", "application/x-protobuf")
                    self.send_header("Content-Length", "2" if status == 200 else "0")
                self.end_headers()
                if not bare and status == 200:
                    self.wfile.write(b"\x0a\x00")  # an empty partial_success

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        headers = {k.lower(): v for k, v in headers.items()}
        with self.lock:
            if path != "/v1/metrics":
                self.judge.fault(f"path {path}")
                return 404
            if headers.get("content-type") != "application/x-protobuf":
                self.judge.fault(f"content type {headers.get('content-type')}")
                return 415
            if headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            self.bodies.append(body)
            try:
                message = ExportMetricsServiceRequest.FromString(body)
            except DecodeError as e:
                self.judge.fault(f"not an export request: {e}")
                return 400
            self.judge.request(message)
            return 200

    def totals(self, name: str) -> dict[Attributes, Any]:
        with self.lock:
            return self.judge.totals(name)

    def violations(self) -> list[str]:
        with self.lock:
            return list(self.judge.violations)

    def wait(self, enough: Callable[[], bool], seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not enough():
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
