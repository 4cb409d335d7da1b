"""The judge itself: a good export passes, and each of the breaches it is there for is seen."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from otlp_receiver import INSTRUMENTS, PREFIX, Judge


def attributes(point: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        pair = point.attributes.add(key=key)
        setattr(pair.value, "bool_value" if isinstance(value, bool) else "string_value", value)


def export(at_s: float = 0) -> Any:
    """All six metrics with a point each, as they are to be."""
    message = ExportMetricsServiceRequest()
    resource = message.resource_metrics.add()
    for key, value in (("service.name", "s"), ("service.instance.id", "1")):
        resource.resource.attributes.add(key=key).value.string_value = value
    scope = resource.scope_metrics.add()
    scope.scope.name, scope.scope.version = "inferwire", "1"
    now = time.time_ns() + int(at_s * 1e9)
    start = time.time_ns() // 10**9 * 10**9 - 10**9
    for name, wanted in INSTRUMENTS.items():
        metric = scope.metrics.add(name=name, unit=wanted.unit)
        data = getattr(metric, wanted.kind)
        data.aggregation_temporality = 2
        if wanted.kind == "sum":
            data.is_monotonic = wanted.monotonic
        point = data.data_points.add(start_time_unix_nano=start, time_unix_nano=now)
        values = {"model": "m", "provider": "p", "endpoint_type": "completion", "stream": True}
        attributes(point, values | ({"status": "success"} if "status" in wanted.attributes else {}))
        if wanted.bounds:
            point.count, point.sum, point.min, point.max = 2, 3.0, 1.0, 2.0
            point.explicit_bounds.extend(wanted.bounds)
            point.bucket_counts.extend([2] + [0] * len(wanted.bounds))
        else:
            point.as_int = 2
    return message


def metric(message: Any, name: str) -> Any:
    metrics = message.resource_metrics[0].scope_metrics[0].metrics
    return next(m for m in metrics if m.name == PREFIX + name)


def point(message: Any, name: str) -> Any:
    m = metric(message, name)
    return getattr(m, m.WhichOneof("data")).data_points[0]


def stream_as_text(message: Any) -> None:
    for pair in point(message, "requests_total").attributes:
        if pair.key == "stream":
            pair.value.string_value = "true"


def set_(thing: Any, name: str, value: Any) -> None:
    setattr(thing, name, value)


BREACHES: dict[str, Callable[[Any], Any]] = {
    "delta": lambda m: set_(metric(m, "requests_total").sum, "aggregation_temporality", 1),
    "not monotonic": lambda m: set_(metric(m, "requests_total").sum, "is_monotonic", False),
    "unit": lambda m: set_(metric(m, "tokens_per_second"), "unit", "{token}/s"),
    "a counter as a double": lambda m: set_(point(m, "requests_total"), "as_double", 2.0),
    "stream as text": stream_as_text,
    "no status": lambda m: point(m, "requests_total").attributes.pop(),
    "error without a type": lambda m: set_(
        point(m, "requests_total").attributes[4].value, "string_value", "error"
    ),
    "a bucket too few": lambda m: point(m, "request_duration_seconds").bucket_counts.pop(),
    "buckets and count": lambda m: set_(point(m, "request_duration_seconds"), "count", 3),
    "other bounds": lambda m: point(m, "request_duration_seconds").explicit_bounds.__setitem__(0, 0.005),
    "sum past max": lambda m: set_(point(m, "request_duration_seconds"), "sum", 9.0),
    "start is time": lambda m: set_(
        point(m, "requests_total"), "start_time_unix_nano", point(m, "requests_total").time_unix_nano
    ),
    "no start": lambda m: set_(point(m, "requests_total"), "start_time_unix_nano", 0),
    "negative": lambda m: set_(point(m, "concurrent_requests"), "as_int", -1),
    "empty metric": lambda m: metric(m, "requests_total").sum.data_points.pop(),
    "twice": lambda m: metric(m, "requests_total").sum.data_points.append(point(m, "requests_total")),
    "no instance": lambda m: m.resource_metrics[0].resource.attributes.pop(),
    "no scope": lambda m: m.resource_metrics[0].scope_metrics[0].ClearField("scope"),
    "another name": lambda m: set_(metric(m, "requests_total"), "name", "llama_stack.requests_total"),
}


def test_a_good_export_passes_twice() -> None:
    judge = Judge()
    judge.request(export())
    judge.request(export(0.5))
    assert judge.violations == []
    assert list(judge.totals(PREFIX + "requests_total").values()) == [2]


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_seen(breach: str) -> None:
    judge, message = Judge(), export()
    BREACHES[breach](message)
    judge.request(message)
    assert judge.violations


@pytest.mark.parametrize("name", ["requests_total", "request_duration_seconds"])
def test_a_counter_that_falls_is_seen(name: str) -> None:
    judge = Judge()
    judge.request(export())
    later = export(0.5)
    if name == "requests_total":
        point(later, name).as_int = 1
    else:
        p = point(later, name)
        p.count, p.sum, p.bucket_counts[0] = 1, 1.0, 1
    judge.request(later)
    assert judge.violations


def test_a_new_agent_may_begin_anew() -> None:
    judge = Judge()
    judge.request(export())
    anew = export(2)
    for m in anew.resource_metrics[0].scope_metrics[0].metrics:
        for p in getattr(m, m.WhichOneof("data")).data_points:
            p.start_time_unix_nano = p.time_unix_nano - 10**9
    judge.request(anew)
    assert judge.violations == []
    assert list(judge.totals(PREFIX + "requests_total").values()) == [4]
